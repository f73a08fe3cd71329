//! One resource's present objects and past events.
use std::sync::Arc;
use imbl::OrdMap;
use super::{CachedObject, WatchRequest, Watcher};
use crate::StoreError;

/// A consistent state of a resource, taken in constant time. It does not change.
#[derive(Clone)]
pub struct Snapshot {
    /// The store's revision of this state: the resourceVersion of a list of it.
    pub revision: u64,
    /// The objects in the order of their keys.
    pub objects: OrdMap<Arc<str>, Arc<CachedObject>>,
}
impl Snapshot {
    /// The objects whose keys begin with `prefix` and come after the key `after`, in order.
    pub fn under<'a>(&'a self, _prefix: &'a str, _after: Option<&'a str>) -> impl Iterator<Item = &'a Arc<CachedObject>> + 'a { self.objects.values() }
}
/// The cache of one resource.
pub struct ResourceCache {}
impl ResourceCache {
    /// The prefix of the resource's keys.
    pub fn prefix(&self) -> &str { todo!() }
    /// Whether the initial state has been loaded.
    pub fn is_ready(&self) -> bool { todo!() }
    /// The revision that the cache has reached: what a bookmark may carry once a watcher has been drained.
    pub fn revision(&self) -> u64 { todo!() }
    /// An object. `None` for `min_revision` reads consistently (as of now), `Some(0)` whatever is there, and another
    /// number a state that is not older.
    pub async fn get(&self, _key: &str, _min_revision: Option<u64>) -> Result<Option<Arc<CachedObject>>, StoreError> { todo!() }
    /// The objects; `min_revision` as with [`Self::get`].
    pub async fn snapshot(&self, _min_revision: Option<u64>) -> Result<Snapshot, StoreError> { todo!() }
    /// The objects as they were at a past revision, if the event window reaches back that far.
    /// # Errors
    /// [`StoreError::Compacted`] if it does not.
    pub async fn snapshot_at(&self, _revision: u64) -> Result<Snapshot, StoreError> { todo!() }
    /// The present state without waiting (the hub's revision; not necessarily the newest acknowledged write of etcd).
    pub fn peek(&self) -> Snapshot { todo!() }
    /// Starts a watch. A revision in the future is waited for by the watch itself: no events up to it are given.
    /// # Errors
    /// [`StoreError::Compacted`] if the window does not reach back to the revision.
    pub async fn watch(&self, _request: WatchRequest) -> Result<Watcher, StoreError> { todo!() }
}

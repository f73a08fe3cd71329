//! Feeds every resource's cache from one watch of the store.
use std::sync::Arc;
use std::time::Duration;
use super::{ObjectCodec, ResourceCache};
use crate::{Store, StoreError};

/// Bounds of a hub.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// How many events each resource keeps for watches that resume.
    pub window_events: usize,
    /// How many bytes of objects those may hold on to.
    pub window_bytes: usize,
    /// How many entries one read of the initial state asks for.
    pub page: usize,
}
/// All caches of one tenant. Cloning gives another handle to the same caches.
#[derive(Clone)]
pub struct CacheHub { _store: Arc<dyn Store> }
impl CacheHub {
    /// Starts a hub over a tenant's store (see [`crate::Tenant::scope`]). Call within a tokio runtime.
    pub async fn start(_store: Arc<dyn Store>, _options: HubOptions) -> Result<Self, StoreError> { todo!() }
    /// The cache of the resource whose keys begin with `prefix` (`/registry/pods/`), made at the first call (with this
    /// codec). It loads in the background; reads wait for it.
    pub fn resource(&self, _prefix: &str, _codec: Arc<dyn ObjectCodec>) -> Arc<ResourceCache> { todo!() }
    /// Forgets a resource (its definition was deleted). Its watchers end with [`super::WatchItem::Lagged`].
    pub fn remove(&self, _prefix: &str) { todo!() }
    /// The revision up to which every cache has every event.
    pub fn revision(&self) -> u64 { todo!() }
    /// Waits until the caches have reached `revision`.
    /// # Errors
    /// [`StoreError::FutureRevision`] if they have not within `timeout`.
    pub async fn wait_for(&self, _revision: u64, _timeout: Duration) -> Result<(), StoreError> { todo!() }
    /// Waits until the caches have every write that was acknowledged before the call, and gives their revision.
    pub async fn wait_consistent(&self) -> Result<u64, StoreError> { todo!() }
    /// Whether every registered resource has been loaded and the watch of the store is running.
    pub fn is_ready(&self) -> bool { todo!() }
}

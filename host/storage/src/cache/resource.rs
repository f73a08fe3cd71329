//! One resource's present objects and past events.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use imbl::OrdMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::hub::Progress;
use super::lane::{Change, Lane};
use super::{
    CacheEvent, CachedObject, EventKind, HubOptions, ObjectCodec, WatchItem, WatchRequest, WatchStart, Watcher,
};
use crate::{Event, KeyValue, StoreError};

/// How long a read waits for a state that is not older than it wants, as in the reference.
const FRESH_WITHIN: Duration = Duration::from_secs(3);

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
    pub fn under<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<CachedObject>> + 'a {
        let start: Bound<Arc<str>> = match after {
            Some(after) if after >= prefix => Bound::Excluded(Arc::from(after)),
            _ => Bound::Included(Arc::from(prefix)),
        };
        let range = self.objects.range((start, Bound::Unbounded));
        range.map(|(_, object)| object).take_while(move |object| object.key.starts_with(prefix))
    }
}

/// The lanes of watches for one value of a field, by the field and the value.
type Lanes = HashMap<(String, String), Weak<Lane>>;

struct State {
    objects: OrdMap<Arc<str>, Arc<CachedObject>>,
    revision: u64,
    /// The revision at which the initial state was read; the main lane begins after it.
    began: u64,
    /// Events that came in before the initial state was there.
    early: Option<Vec<Event>>,
    lanes: Lanes,
}

/// The cache of one resource.
pub struct ResourceCache {
    prefix: String,
    codec: Arc<dyn ObjectCodec>,
    options: HubOptions,
    progress: Progress,
    main: Arc<Lane>,
    state: Mutex<State>,
    ready: watch::Sender<bool>,
}

impl ResourceCache {
    pub(super) fn new(prefix: &str, codec: Arc<dyn ObjectCodec>, options: HubOptions, progress: Progress) -> Self {
        let main = Arc::new(Lane::new(options.window_events, options.window_bytes, 0));
        let state =
            State { objects: OrdMap::new(), revision: 0, began: 0, early: Some(Vec::new()), lanes: Lanes::new() };
        let (ready, _) = watch::channel(false);
        Self { prefix: prefix.to_owned(), codec, options, progress, main, state: Mutex::new(state), ready }
    }

    /// Takes the initial state, read at `revision`, and the events that have come in since.
    pub(super) fn load(&self, entries: &[KeyValue], revision: u64) {
        let mut state = self.state.lock();
        state.objects = entries.iter().filter_map(|kv| self.decode(kv)).map(|o| (Arc::clone(&o.key), o)).collect();
        state.revision = revision;
        state.began = revision;
        self.main.push(&[], revision);
        let early = state.early.take().unwrap_or_default();
        let later: Vec<Event> = early.into_iter().filter(|event| event.revision() > revision).collect();
        let newest = later.last().map_or(revision, Event::revision).max(self.progress.revision());
        self.apply_to(&mut state, &later, newest);
        drop(state);
        self.ready.send_replace(true);
    }

    /// Takes events of this resource, in order, and moves on to `revision`.
    pub(super) fn apply(&self, events: &[Event], revision: u64) {
        let mut state = self.state.lock();
        match &mut state.early {
            Some(early) => early.extend_from_slice(events),
            None => self.apply_to(&mut state, events, revision),
        }
    }

    fn decode(&self, kv: &KeyValue) -> Option<Arc<CachedObject>> {
        match self.codec.decode(kv) {
            Ok(object) => Some(Arc::new(object)),
            Err(error) => {
                tracing::error!(key = &*kv.key, error, "a stored object cannot be read and is not served");
                None
            }
        }
    }

    fn apply_to(&self, state: &mut State, events: &[Event], revision: u64) {
        let mut changes = Vec::with_capacity(events.len());
        for event in events {
            let prev = state.objects.get(event.key()).cloned();
            let change = match event {
                Event::Put { kv, .. } => {
                    let Some(object) = self.decode(kv) else { continue };
                    state.objects.insert(Arc::clone(&object.key), Arc::clone(&object));
                    Change { object, prev, deleted: false, revision: kv.mod_revision }
                }
                Event::Delete { key, revision, .. } => {
                    let Some(prev) = prev else { continue };
                    state.objects.remove(key);
                    let object = Arc::new(prev.deleted_at(*revision));
                    Change { object, prev: Some(prev), deleted: true, revision: *revision }
                }
            };
            changes.push(Arc::new(change));
        }
        state.revision = state.revision.max(revision);
        state.lanes.retain(|(field, value), lane| {
            let Some(lane) = lane.upgrade() else { return false };
            let mine: Vec<_> = changes.iter().filter(|change| concerns(change, field, value)).cloned().collect();
            lane.push(&mine, revision);
            true
        });
        self.main.push(&changes, revision);
    }

    pub(super) fn close(&self) {
        self.main.close();
        for lane in self.state.lock().lanes.values().filter_map(Weak::upgrade) {
            lane.close();
        }
    }

    /// The prefix of the resource's keys.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the initial state has been loaded.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// The revision that the cache has reached: what a bookmark may carry once a watcher has been drained.
    pub fn revision(&self) -> u64 {
        self.state.lock().revision
    }

    async fn wait(&self, min_revision: Option<u64>) -> Result<(), StoreError> {
        if !self.is_ready() {
            let mut ready = self.ready.subscribe();
            let loaded = tokio::time::timeout(FRESH_WITHIN * 10, ready.wait_for(|ready| *ready)).await;
            if !matches!(loaded, Ok(Ok(_))) {
                return Err(StoreError::Unavailable(format!("the cache of {} has not been loaded yet", self.prefix)));
            }
        }
        match min_revision {
            None => self.progress.wait_consistent().await.map(|_| ()),
            Some(0) => Ok(()),
            Some(revision) => self.progress.wait_for(revision, FRESH_WITHIN).await,
        }
    }

    /// An object. `None` for `min_revision` reads consistently (as of now), `Some(0)` whatever is there, and another
    /// number a state that is not older.
    ///
    /// # Errors
    /// [`StoreError::FutureRevision`] if that state does not come within three seconds.
    pub async fn get(&self, key: &str, min_revision: Option<u64>) -> Result<Option<Arc<CachedObject>>, StoreError> {
        self.wait(min_revision).await?;
        Ok(self.state.lock().objects.get(key).cloned())
    }

    /// The objects; `min_revision` as with [`Self::get`].
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn snapshot(&self, min_revision: Option<u64>) -> Result<Snapshot, StoreError> {
        self.wait(min_revision).await?;
        Ok(self.peek())
    }

    /// The objects as they were at a past revision, if the event window reaches back that far.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if it does not, [`StoreError::FutureRevision`] if it has not come yet.
    pub async fn snapshot_at(&self, revision: u64) -> Result<Snapshot, StoreError> {
        self.wait(Some(revision)).await?;
        let state = self.state.lock();
        self.check_floor(&state, revision)?;
        let mut objects = state.objects.clone();
        for change in self.main.newest_first(revision) {
            match &change.prev {
                Some(prev) => objects.insert(Arc::clone(&prev.key), Arc::clone(prev)),
                None => objects.remove(&change.object.key),
            };
        }
        Ok(Snapshot { revision, objects })
    }

    fn check_floor(&self, state: &State, revision: u64) -> Result<(), StoreError> {
        let floor = self.main.floor(state.began);
        if revision < floor { Err(StoreError::Compacted { compact_revision: floor }) } else { Ok(()) }
    }

    /// The present state without waiting (the hub's revision; not necessarily the newest acknowledged write of etcd).
    pub fn peek(&self) -> Snapshot {
        let state = self.state.lock();
        Snapshot { revision: state.revision.max(self.progress.revision()), objects: state.objects.clone() }
    }

    /// Starts a watch. A revision in the future is waited for by the watch itself: no events up to it are given.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the window does not reach back to the revision.
    pub async fn watch(&self, request: WatchRequest) -> Result<Watcher, StoreError> {
        let fresh = matches!(request.start, WatchStart::Initial | WatchStart::Now);
        self.wait(if fresh { None } else { Some(0) }).await?;
        let mut state = self.state.lock();
        let mut initial = VecDeque::new();
        let after = match request.start {
            WatchStart::Now => state.revision,
            WatchStart::Revision(revision) => {
                self.check_floor(&state, revision)?;
                revision
            }
            WatchStart::Initial => {
                let snapshot = Snapshot { revision: state.revision, objects: state.objects.clone() };
                let wanted = |object: &CachedObject| request.filter.as_ref().is_none_or(|filter| filter(object));
                let present = snapshot.under(&request.prefix, None).filter(|object| wanted(object));
                initial.extend(present.map(|object| {
                    let (object, revision) = (Arc::clone(object), object.revision);
                    WatchItem::Event(CacheEvent { kind: EventKind::Added, object, prev: None, revision })
                }));
                initial.push_back(WatchItem::Synced(snapshot.revision.max(self.progress.revision())));
                state.revision
            }
        };
        let lane = match &request.index {
            None => Arc::clone(&self.main),
            Some(index) => self.lane(&mut state, index),
        };
        Ok(Watcher::new(lane, after, request, initial))
    }

    /// The lane of one value of a field, made from the main one at its first watch.
    fn lane(&self, state: &mut State, index: &(String, String)) -> Arc<Lane> {
        if let Some(lane) = state.lanes.get(index).and_then(Weak::upgrade) {
            return lane;
        }
        let lane = Arc::new(Lane::new(self.options.window_events, self.options.window_bytes, state.revision));
        let all = self.main.all();
        let mine: Vec<_> = all.iter().filter(|change| concerns(change, &index.0, &index.1)).cloned().collect();
        lane.push(&mine, state.revision);
        state.lanes.insert(index.clone(), Arc::downgrade(&lane));
        lane
    }
}

/// Whether a change is one of an object that has, or had, this value.
fn concerns(change: &Change, field: &str, value: &str) -> bool {
    let has = |object: &CachedObject| object.field(field) == Some(value);
    has(&change.object) || change.prev.as_deref().is_some_and(has)
}

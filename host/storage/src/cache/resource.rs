//! One resource's present objects and past events.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::hub::Progress;
use super::lane::Lane;
use super::state::{Decoded, State, Unreadable};
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
    /// Objects that are stored and cannot be read, by their keys, with the reasons.
    pub unreadable: OrdMap<Arc<str>, Unreadable>,
}

impl Snapshot {
    /// That everything under `prefix` can be read. A list that leaves out what cannot would make its readers believe that
    /// it is not there, and some delete what belongs to it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Transform`], naming the first object that cannot be read.
    pub fn complete(&self, prefix: &str) -> Result<(), StoreError> {
        let range = self.unreadable.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
        match range.into_iter().next() {
            Some((key, Unreadable::Transform(why))) if key.starts_with(prefix) => {
                Err(StoreError::Transform(format!("unable to transform key {key:?}: {why}")))
            }
            Some((key, why)) if key.starts_with(prefix) => Err(unreadable(key, why)),
            _ => Ok(()),
        }
    }

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

fn unreadable(key: &str, why: &Unreadable) -> StoreError {
    match why {
        Unreadable::Corrupt(why) => StoreError::Corrupt(format!("the object at {key} cannot be read: {why}")),
        Unreadable::Transform(why) => StoreError::Transform(why.to_string()),
    }
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
        let main = Arc::new(Lane::new(options.window_events, options.window_bytes, 0, progress.clone()));
        let (ready, _) = watch::channel(false);
        Self { prefix: prefix.to_owned(), codec, options, progress, main, state: Mutex::new(State::new()), ready }
    }

    /// Takes the initial state, read at `revision`, and the events that have come in since.
    pub(super) fn load(&self, entries: &[KeyValue], revision: u64) {
        let entries = entries.iter().map(|kv| Decoded::of_entry(&*self.codec, kv)).collect();
        let mut state = self.state.lock();
        // A reading that was begun before the cache started over is overtaken by the one begun then.
        if state.early.is_none() || revision < state.least {
            return;
        }
        let early = state.load(entries, revision);
        let newest = early.last().map_or(revision, Decoded::revision).max(revision).max(self.progress.revision());
        self.main.push(&[], revision);
        state.apply(&self.main, early, newest);
        drop(state);
        self.ready.send_replace(true);
    }

    /// Takes events of this resource, in order, and moves on to `revision`.
    pub(super) fn apply(&self, events: &[Event], revision: u64) {
        let decoded: Vec<_> = events.iter().map(|event| Decoded::of_event(&*self.codec, event)).collect();
        let mut state = self.state.lock();
        match &mut state.early {
            Some(early) => early.extend(decoded),
            None => state.apply(&self.main, decoded, revision),
        }
    }

    /// Ends all watches and goes back to waiting for an initial state: events have been missed.
    pub(super) fn reset(&self, revision: u64) {
        self.ready.send_replace(false);
        let mut state = self.state.lock();
        state.early = Some(Vec::new());
        state.least = revision;
        state.cut(&self.main, revision);
    }

    pub(super) fn close(&self) {
        self.state.lock().close(&self.main);
    }

    pub(super) fn end_watches(&self) {
        self.state.lock().end(&self.main);
    }

    /// Some of the objects that the store could not give back, any of them.
    pub(super) fn untransformed(&self, some: usize) -> Vec<Arc<str>> {
        let unreadable = self.state.lock().unreadable.clone();
        let found = unreadable.iter().filter(|(_, why)| matches!(why, Unreadable::Transform(_)));
        found.take(some).map(|(key, _)| Arc::clone(key)).collect()
    }

    /// The prefix of the resource's keys.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the initial state has been loaded.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until the initial state has been loaded, however long that takes: very many objects take long on a busy machine.
    pub async fn loaded(&self) {
        // An error would mean that the cache is gone, which the caller holds.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
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

    /// Acts on the state once it is there and not older than wanted.
    async fn when_ready<T>(
        &self,
        min_revision: Option<u64>,
        act: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            self.wait(min_revision).await?;
            let mut state = self.state.lock();
            // Between the wait and the lock the cache may have begun to start over.
            if state.early.is_none() {
                return act(&mut state);
            }
        }
    }

    /// An object. `None` for `min_revision` reads consistently (as of now), `Some(0)` whatever is there, and another
    /// number a state that is not older.
    ///
    /// # Errors
    /// [`StoreError::FutureRevision`] if that state does not come within three seconds, [`StoreError::Corrupt`] if what is
    /// stored is no object of the resource, [`StoreError::Transform`] if the store cannot give it back.
    pub async fn get(&self, key: &str, min_revision: Option<u64>) -> Result<Option<Arc<CachedObject>>, StoreError> {
        let look = |state: &mut State| match state.unreadable.get(key) {
            Some(why) => Err(unreadable(key, why)),
            None => Ok(state.objects.get(key).cloned()),
        };
        self.when_ready(min_revision, look).await
    }

    /// The objects; `min_revision` as with [`Self::get`]. See [`Snapshot::complete`].
    ///
    /// # Errors
    /// [`StoreError::FutureRevision`] if that state does not come within three seconds.
    pub async fn snapshot(&self, min_revision: Option<u64>) -> Result<Snapshot, StoreError> {
        let take = |state: &mut State| Ok(self.snapshot_of(state, state.revision.max(self.progress.revision())));
        self.when_ready(min_revision, take).await
    }

    /// The objects as they were at a past revision, for as long as the store keeps it: from the event window if that reaches
    /// back so far, else from the store.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the store has discarded it, [`StoreError::FutureRevision`] if it has not come yet.
    pub async fn snapshot_at(&self, revision: u64) -> Result<Snapshot, StoreError> {
        // What the window still has is not given once it is gone from the store: every server on it answers the same.
        self.progress.check_kept(&self.prefix, revision).await?;
        match self.rewound(revision).await {
            Err(StoreError::Compacted { .. }) => self.read_at(revision).await,
            result => result,
        }
    }

    async fn read_at(&self, revision: u64) -> Result<Snapshot, StoreError> {
        let entries = self.progress.read_at(self.options.page, &self.prefix, revision).await?;
        let mut past = State::new();
        past.load(entries.iter().map(|kv| Decoded::of_entry(&*self.codec, kv)).collect(), revision);
        Ok(self.snapshot_of(&past, revision))
    }

    async fn rewound(&self, revision: u64) -> Result<Snapshot, StoreError> {
        let rewind = |state: &mut State| {
            self.check_floor(state, revision)?;
            let (mut objects, unreadable) = (state.objects.clone(), state.unreadable.clone());
            for change in self.main.newest_first(revision) {
                match &change.prev {
                    Some(prev) => objects.insert(Arc::clone(&prev.key), Arc::clone(prev)),
                    None => objects.remove(&change.object.key),
                };
            }
            Ok(Snapshot { revision, objects, unreadable })
        };
        self.when_ready(Some(revision), rewind).await
    }

    fn check_floor(&self, state: &State, revision: u64) -> Result<(), StoreError> {
        let floor = self.main.floor(state.began);
        if revision < floor { Err(StoreError::Compacted { compact_revision: floor }) } else { Ok(()) }
    }

    fn snapshot_of(&self, state: &State, revision: u64) -> Snapshot {
        Snapshot { revision, objects: state.objects.clone(), unreadable: state.unreadable.clone() }
    }

    /// The present state without waiting (the hub's revision; not necessarily the newest acknowledged write of etcd).
    pub fn peek(&self) -> Snapshot {
        let state = self.state.lock();
        // Everything up to the hub's revision has been applied, and nothing more can be while the state is locked.
        self.snapshot_of(&state, state.revision.max(self.progress.revision()))
    }

    /// Starts a watch. A revision in the future is waited for by the watch itself: no events up to it are given.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if the window does not reach back to the revision.
    pub async fn watch(&self, request: WatchRequest) -> Result<Watcher, StoreError> {
        let fresh = matches!(request.start, WatchStart::Initial | WatchStart::Now);
        self.when_ready(if fresh { None } else { Some(0) }, |state| self.start(state, request)).await
    }

    fn start(&self, state: &mut State, request: WatchRequest) -> Result<Watcher, StoreError> {
        let mut initial = VecDeque::new();
        let after = match request.start {
            WatchStart::Now => state.revision,
            WatchStart::Revision(revision) => {
                self.check_floor(state, revision)?;
                revision
            }
            WatchStart::Initial => {
                let snapshot = self.snapshot_of(state, state.revision);
                snapshot.complete(&request.prefix)?;
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
            Some((field, value)) => {
                let HubOptions { window_events, window_bytes, .. } = self.options;
                let fresh = Lane::new(window_events, window_bytes, state.revision, self.progress.clone());
                state.lane(&self.main, field, value, fresh)
            }
        };
        Ok(Watcher::new(lane, after, request, initial))
    }
}

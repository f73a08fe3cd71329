//! Feeds every resource's cache from one watch of the store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{ObjectCodec, ResourceCache};
use crate::{Event, KeyValue, RangeRequest, Store, StoreError, StoreWatch, WatchBatch};

/// How long a consistent read waits for the caches to catch up with the store.
const CONSISTENT_WITHIN: Duration = Duration::from_secs(10);

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

impl Default for HubOptions {
    fn default() -> Self {
        Self { window_events: 10_000, window_bytes: 64 << 20, page: 2_000 }
    }
}

/// How far the caches have come, and how to wait for them to come further.
#[derive(Clone)]
pub(super) struct Progress {
    store: Arc<dyn Store>,
    reached: Arc<watch::Sender<u64>>,
}

impl Progress {
    pub(super) fn revision(&self) -> u64 {
        *self.reached.borrow()
    }

    pub(super) async fn wait_for(&self, revision: u64, timeout: Duration) -> Result<(), StoreError> {
        if self.revision() >= revision {
            return Ok(());
        }
        self.store.request_progress().await?;
        let mut reached = self.reached.subscribe();
        let waited = tokio::time::timeout(timeout, reached.wait_for(|reached| *reached >= revision)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::FutureRevision { current: self.revision() }),
        }
    }

    /// That the store has not discarded a revision. One that has not come yet may still come.
    pub(super) async fn check_kept(&self, key: &str, revision: u64) -> Result<(), StoreError> {
        match self.store.get(key, Some(revision)).await {
            Ok(_) | Err(StoreError::FutureRevision { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All entries under a prefix as they were at a past revision.
    pub(super) async fn read_at(&self, page: usize, prefix: &str, revision: u64) -> Result<Vec<KeyValue>, StoreError> {
        read_all(&self.store, page, prefix, Some(revision)).await.map(|(entries, _)| entries)
    }

    pub(super) async fn wait_consistent(&self) -> Result<u64, StoreError> {
        let now = match self.store.revision_now() {
            Some(revision) => revision,
            None => self.store.revision().await?,
        };
        self.wait_for(now, CONSISTENT_WITHIN).await?;
        Ok(now)
    }
}

struct Hub {
    options: HubOptions,
    progress: Progress,
    resources: RwLock<BTreeMap<String, Arc<ResourceCache>>>,
}

impl Hub {
    /// Hands a batch to the caches of the resources that it concerns.
    fn deliver(&self, batch: &WatchBatch) {
        let resources = self.resources.read();
        let mut at = 0;
        while at < batch.events.len() {
            // Neighbours of one resource go in together, in their order.
            let cache = owner(&resources, batch.events[at].key());
            let same = |event: &Event| match cache {
                Some(cache) => event.key().starts_with(cache.prefix()),
                None => owner(&resources, event.key()).is_none(),
            };
            let length = batch.events[at..].iter().take_while(|event| same(event)).count().max(1);
            let events = &batch.events[at..at + length];
            if let Some(cache) = cache {
                cache.apply(events, events.last().map_or(0, Event::revision));
            }
            at += length;
        }
        // Under the lock, so that a resource that registers sees either the events or the revision after them.
        self.progress.reached.send_if_modified(|reached| {
            let moved = batch.revision > *reached;
            *reached = batch.revision.max(*reached);
            moved
        });
    }
}

impl Hub {
    /// Reads everything anew: what happened up to `revision` may have been missed, what happens after it will be
    /// delivered.
    fn start_over(&self, store: &Arc<dyn Store>, revision: u64) {
        let resources = self.resources.read();
        for cache in resources.values() {
            cache.reset(revision);
            let (store, page, loading) = (Arc::clone(store), self.options.page, Arc::downgrade(cache));
            tokio::spawn(async move { load(&store, page, loading).await });
        }
        self.progress.reached.send_replace(revision);
    }
}

/// The cache whose prefix a key has.
fn owner<'a>(resources: &'a BTreeMap<String, Arc<ResourceCache>>, key: &str) -> Option<&'a Arc<ResourceCache>> {
    let before = resources.range::<str, _>((Bound::Unbounded, Bound::Included(key))).next_back();
    before.filter(|(prefix, _)| key.starts_with(prefix.as_str())).map(|(_, cache)| cache)
}

/// All caches of one tenant. Cloning gives another handle to the same caches.
#[derive(Clone)]
pub struct CacheHub {
    hub: Arc<Hub>,
}

impl CacheHub {
    /// Starts a hub over a tenant's store (see [`crate::Tenant::scope`]). Call within a tokio runtime.
    ///
    /// # Errors
    /// If the store cannot be read or watched.
    pub async fn start(store: Arc<dyn Store>, options: HubOptions) -> Result<Self, StoreError> {
        let revision = store.revision().await?;
        let progress = Progress { store: Arc::clone(&store), reached: Arc::new(watch::Sender::new(revision)) };
        let hub = Arc::new(Hub { options, progress, resources: RwLock::default() });
        let request = StoreWatch { prefix: String::new(), from: revision + 1, prev: false, progress: true };
        let weak = Arc::downgrade(&hub);
        let sink = Box::new(move |batch: &WatchBatch| weak.upgrade().map(|hub| hub.deliver(batch)).is_some());
        if !store.attach(request.clone(), sink)? {
            tokio::spawn(follow(Arc::downgrade(&hub), Arc::downgrade(&store), request));
        }
        Ok(Self { hub })
    }

    /// The cache of the resource whose keys begin with `prefix` (`/registry/pods/`), made at the first call (with this
    /// codec). It loads in the background; reads wait for it.
    pub fn resource(&self, prefix: &str, codec: Arc<dyn ObjectCodec>) -> Arc<ResourceCache> {
        if let Some(cache) = self.hub.resources.read().get(prefix) {
            return Arc::clone(cache);
        }
        let cache = {
            let mut resources = self.hub.resources.write();
            if let Some(cache) = resources.get(prefix) {
                return Arc::clone(cache);
            }
            let cache = self.fresh(prefix, codec);
            resources.insert(prefix.to_owned(), Arc::clone(&cache));
            cache
        };
        self.begin_load(&cache);
        cache
    }

    /// The cache of a resource, if it has been made.
    pub fn existing(&self, prefix: &str) -> Option<Arc<ResourceCache>> {
        self.hub.resources.read().get(prefix).map(Arc::clone)
    }

    /// Puts a new cache in the place of a resource's, because what its codec makes of the stored values has changed.
    /// Watchers of the old one end with [`super::WatchItem::Lagged`].
    pub fn replace(&self, prefix: &str, codec: Arc<dyn ObjectCodec>) -> Arc<ResourceCache> {
        let cache = self.fresh(prefix, codec);
        let old = self.hub.resources.write().insert(prefix.to_owned(), Arc::clone(&cache));
        if let Some(old) = old {
            old.close();
        }
        self.begin_load(&cache);
        cache
    }

    fn fresh(&self, prefix: &str, codec: Arc<dyn ObjectCodec>) -> Arc<ResourceCache> {
        Arc::new(ResourceCache::new(prefix, codec, self.hub.options.clone(), self.hub.progress.clone()))
    }

    fn begin_load(&self, cache: &Arc<ResourceCache>) {
        let (store, page) = (Arc::clone(&self.hub.progress.store), self.hub.options.page);
        let loading = Arc::downgrade(cache);
        tokio::spawn(async move { load(&store, page, loading).await });
    }

    /// Forgets a resource (its definition was deleted). Its watchers end with [`super::WatchItem::Lagged`].
    pub fn remove(&self, prefix: &str) {
        if let Some(cache) = self.hub.resources.write().remove(prefix) {
            cache.close();
        }
    }

    /// Lets the watches that [end with the hub](super::Watcher::ending_with_hub) end once they have given what has happened
    /// so far, and those that are begun later, too: the process is about to end.
    pub fn end_watches(&self) {
        for cache in self.hub.resources.read().values() {
            cache.end_watches();
        }
    }

    /// The revision up to which every cache has every event.
    pub fn revision(&self) -> u64 {
        self.hub.progress.revision()
    }

    /// Waits until the caches have reached `revision`.
    ///
    /// # Errors
    /// [`StoreError::FutureRevision`] if they have not within `timeout`.
    pub async fn wait_for(&self, revision: u64, timeout: Duration) -> Result<(), StoreError> {
        self.hub.progress.wait_for(revision, timeout).await
    }

    /// Waits until the caches have every write that was acknowledged before the call, and gives their revision.
    ///
    /// # Errors
    /// If the store cannot be asked, or the caches do not catch up.
    pub async fn wait_consistent(&self) -> Result<u64, StoreError> {
        self.hub.progress.wait_consistent().await
    }

    /// Reads resources anew in which there is an object that the store could not give back before and can now, or that is
    /// another one. Their watchers start over, as they had to when the object became unreadable. Returns whether there is
    /// such an object still.
    pub async fn retry_unreadable(&self) -> bool {
        /// Of so many objects of a resource it is tried.
        const TRIED: usize = 16;
        let mut left = false;
        let store = &self.hub.progress.store;
        let caches: Vec<_> = self.hub.resources.read().values().map(Arc::clone).collect();
        for cache in caches {
            let mut mended = false;
            for key in cache.untransformed(TRIED) {
                let found = store.get(&key, None).await;
                mended |= found.is_ok_and(|(kv, _)| kv.is_none_or(|kv| kv.unreadable.is_none()));
                left = true;
            }
            if mended {
                tracing::info!(prefix = cache.prefix(), "objects that could not be read can be read now");
                cache.reset(self.hub.progress.revision());
                self.begin_load(&cache);
            }
        }
        left
    }

    /// Whether every registered resource has been loaded.
    pub fn is_ready(&self) -> bool {
        self.hub.resources.read().values().all(|cache| cache.is_ready())
    }
}

/// Reads a resource's initial state, all pages at the revision of the first; tries again until it has it.
async fn load(store: &Arc<dyn Store>, page: usize, cache: Weak<ResourceCache>) {
    loop {
        let Some(prefix) = cache.upgrade().map(|cache| cache.prefix().to_owned()) else { return };
        match read_all(store, page, &prefix, None).await {
            Ok((entries, revision)) => {
                if let Some(cache) = cache.upgrade() {
                    cache.load(&entries, revision);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(prefix, %error, "a cache could not be loaded; trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn read_all(
    store: &Arc<dyn Store>,
    page: usize,
    prefix: &str,
    at: Option<u64>,
) -> Result<(Vec<KeyValue>, u64), StoreError> {
    let mut request = RangeRequest { limit: page, at, ..RangeRequest::prefix(prefix) };
    let mut entries = Vec::new();
    loop {
        let response = store.range(request.clone()).await?;
        request.at = Some(response.revision);
        let last = response.kvs.last().map(|kv| Arc::clone(&kv.key));
        entries.extend(response.kvs);
        match last {
            Some(last) if response.more => request.start = format!("{last}\0"),
            _ => return Ok((entries, response.revision)),
        }
    }
}

/// Feeds the hub from a store that cannot call it, resuming after errors.
async fn follow(hub: Weak<Hub>, store: Weak<dyn Store>, mut request: StoreWatch) {
    loop {
        let Some(opened) = store.upgrade() else { return };
        let stream = opened.watch(request.clone()).await;
        drop(opened);
        let mut failure = None;
        match stream {
            Err(error) => failure = Some(error),
            Ok(mut stream) => {
                while let Some(batch) = stream.next().await {
                    let Some(hub) = hub.upgrade() else { return };
                    match batch {
                        Ok(batch) => {
                            request.from = batch.revision + 1;
                            hub.deliver(&batch);
                        }
                        Err(error) => failure = Some(error),
                    }
                }
            }
        }
        if let Some(StoreError::Compacted { .. }) = failure {
            tracing::error!("the store's history was compacted before it was read; the caches start over");
            let Some(opened) = store.upgrade() else { return };
            if let (Ok(revision), Some(hub)) = (opened.revision().await, hub.upgrade()) {
                request.from = revision + 1;
                hub.start_over(&opened, revision);
            }
        } else if let Some(error) = failure {
            tracing::warn!(%error, "the watch of the store ended; resuming");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

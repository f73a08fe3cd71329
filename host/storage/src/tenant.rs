//! Tenants: logical control planes that share a process and a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use crate::{
    BatchStream, Event, Expect, KeyValue, RangeRequest, RangeResponse, Sink, Store, StoreError, StoreWatch, WatchBatch,
    prefix_end,
};

/// A logical control plane: its name keeps its keys apart from those of all others. The default one has the empty name
/// and keys exactly as kube-apiserver lays them out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Default for Tenant {
    fn default() -> Self {
        Self(Arc::from(""))
    }
}

impl Tenant {
    /// The tenant of a name; `None` unless the name is a DNS label (RFC 1123), or empty for the default tenant.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let label =
            name.len() <= 63 && name.as_bytes().iter().all(inner) && !name.starts_with('-') && !name.ends_with('-');
        label.then(|| Self(Arc::from(name)))
    }

    /// The name; empty for the default tenant.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether this is the default tenant.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// What the tenant's keys begin with in the store: nothing for the default tenant, else `/tenants/<name>`.
    #[must_use]
    pub fn key_prefix(&self) -> String {
        if self.is_default() { String::new() } else { format!("/tenants/{}", self.0) }
    }

    /// The store as the tenant sees it: keys begin with `/registry/` on both sides of the call, and no key of another
    /// tenant can be named. The revision stays that of the whole store.
    #[must_use]
    pub fn scope(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        if self.is_default() { store } else { Arc::new(Scoped { prefix: self.key_prefix(), store }) }
    }
}

/// Where a key of a store is in etcd below a prefix that begins and ends with a slash: the default tenant's keys as
/// kube-apiserver lays them out, those of the others below `~tenants/`.
#[must_use]
pub fn etcd_key(prefix: &str, key: &str) -> String {
    match key.strip_prefix("/registry/") {
        Some(rest) => format!("{prefix}{rest}"),
        None => format!("{prefix}~tenants/{}", key.strip_prefix("/tenants/").unwrap_or(key)),
    }
}

/// A store narrowed to one prefix.
struct Scoped {
    prefix: String,
    store: Arc<dyn Store>,
}

impl Scoped {
    fn inner(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn error(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Conflict { current } => {
                StoreError::Conflict { current: current.map(|kv| strip(&self.prefix, kv)) }
            }
            other => other,
        }
    }

    fn watch_of(&self, watch: StoreWatch) -> StoreWatch {
        StoreWatch { prefix: self.inner(&watch.prefix), ..watch }
    }
}

fn strip_key(prefix: &str, key: &Arc<str>) -> Arc<str> {
    key.strip_prefix(prefix).map_or_else(|| key.clone(), Arc::from)
}

fn strip(prefix: &str, kv: KeyValue) -> KeyValue {
    KeyValue { key: strip_key(prefix, &kv.key), ..kv }
}

fn strip_batch(prefix: &str, batch: &WatchBatch) -> WatchBatch {
    let event = |event: &Event| match event.clone() {
        Event::Put { kv, prev } => Event::Put { kv: strip(prefix, kv), prev: prev.map(|kv| strip(prefix, kv)) },
        Event::Delete { key, prev, revision } => {
            Event::Delete { key: strip_key(prefix, &key), prev: prev.map(|kv| strip(prefix, kv)), revision }
        }
    };
    WatchBatch { revision: batch.revision, events: batch.events.iter().map(event).collect() }
}

#[async_trait]
impl Store for Scoped {
    async fn get(&self, key: &str, at: Option<u64>) -> Result<(Option<KeyValue>, u64), StoreError> {
        let (kv, revision) = self.store.get(&self.inner(key), at).await?;
        Ok((kv.map(|kv| strip(&self.prefix, kv)), revision))
    }

    async fn range(&self, mut request: RangeRequest) -> Result<RangeResponse, StoreError> {
        request.start = self.inner(&request.start);
        request.end = if request.end.is_empty() { prefix_end(&self.prefix) } else { self.inner(&request.end) };
        let mut response = self.store.range(request).await?;
        response.kvs = response.kvs.into_iter().map(|kv| strip(&self.prefix, kv)).collect();
        Ok(response)
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, ttl: Option<Duration>) -> Result<u64, StoreError> {
        self.store.put(&self.inner(key), value, expect, ttl).await.map_err(|e| self.error(e))
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<(KeyValue, u64), StoreError> {
        let (kv, revision) = self.store.delete(&self.inner(key), expect).await.map_err(|e| self.error(e))?;
        Ok((strip(&self.prefix, kv), revision))
    }

    async fn watch(&self, watch: StoreWatch) -> Result<BatchStream, StoreError> {
        let prefix = self.prefix.clone();
        let stream = self.store.watch(self.watch_of(watch)).await?;
        Ok(stream.map(move |batch| batch.map(|batch| strip_batch(&prefix, &batch))).boxed())
    }

    fn attach(&self, watch: StoreWatch, mut sink: Sink) -> Result<bool, StoreError> {
        let prefix = self.prefix.clone();
        self.store.attach(self.watch_of(watch), Box::new(move |batch| sink(&strip_batch(&prefix, batch))))
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.store.revision().await
    }

    fn revision_now(&self) -> Option<u64> {
        self.store.revision_now()
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.store.compact(revision).await
    }

    async fn compacted_revision(&self) -> Result<u64, StoreError> {
        self.store.compacted_revision().await
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.store.request_progress().await
    }

    async fn is_stale(&self, key: &str, mod_revision: u64) -> Result<bool, StoreError> {
        self.store.is_stale(&self.inner(key), mod_revision).await
    }

    fn etcd_key(&self, key: &str) -> String {
        self.store.etcd_key(&self.inner(key))
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.store.health().await
    }
}

//! The store's interface. Its meaning is that of etcd's key-value API, version 3, narrowed to what an API server needs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::StoreError;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key, for an object `/registry/<group-resource>/[<namespace>/]<name>`.
    pub key: Arc<str>,
    /// The value.
    pub value: Bytes,
    /// The revision of the write that made the entry (the first one since it was last deleted).
    pub create_revision: u64,
    /// The revision of the write that gave it this value.
    pub mod_revision: u64,
    /// Why the value is not what was written, where a layer over the engine could not give it back (as when the key that
    /// it was encrypted with is missing). Whoever reads the value looks at this first; [`Self::readable`] does.
    pub unreadable: Option<Arc<str>>,
}

impl KeyValue {
    /// The entry, if its value could be given back.
    ///
    /// # Errors
    /// [`StoreError::Transform`] if not.
    pub fn readable(self) -> Result<Self, StoreError> {
        match &self.unreadable {
            Some(why) => Err(StoreError::Transform(why.to_string())),
            None => Ok(self),
        }
    }
}

/// What a write requires of the entry as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// That there is none.
    Absent,
    /// That its [`KeyValue::mod_revision`] is this one. Zero means the same as [`Expect::Absent`].
    ModRevision(u64),
}

impl Expect {
    /// Whether an entry with this modification revision (`None`: there is no entry) meets the expectation.
    #[must_use]
    pub fn holds(self, mod_revision: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent | Self::ModRevision(0) => mod_revision.is_none(),
            Self::ModRevision(wanted) => mod_revision == Some(wanted),
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An entry was made or got a new value. It was made if `kv.create_revision == kv.mod_revision`.
    Put {
        /// The entry after the change.
        kv: KeyValue,
        /// The entry before the change, if there was one and the watch asked for it.
        prev: Option<KeyValue>,
    },
    /// An entry was deleted, or its time to live ended.
    Delete {
        /// Its key.
        key: Arc<str>,
        /// The entry before the change, if the watch asked for it.
        prev: Option<KeyValue>,
        /// The revision of the deletion.
        revision: u64,
    },
}

impl Event {
    /// The key of the entry that changed.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Put { kv, .. } => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        match self {
            Self::Put { kv, .. } => kv.mod_revision,
            Self::Delete { revision, .. } => *revision,
        }
    }
}

/// Changes in the order of their revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchBatch {
    /// After this batch the watcher has seen everything up to and including this revision.
    pub revision: u64,
    /// The changes; none if the batch only reports progress.
    pub events: Vec<Event>,
}

/// The entries wanted of a range.
#[derive(Clone, Debug, Default)]
pub struct RangeRequest {
    /// The first key.
    pub start: String,
    /// The key after the last one; empty means no end. [`prefix_end`] gives it for a prefix.
    pub end: String,
    /// How many entries to give at most; zero means all.
    pub limit: usize,
    /// The revision at which to read; `None` means the present one, linearizably.
    pub at: Option<u64>,
    /// Only count; no entries are given.
    pub count_only: bool,
}

impl RangeRequest {
    /// Everything whose key begins with `prefix`, at present.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self { start: prefix.to_owned(), end: prefix_end(prefix), ..Self::default() }
    }
}

/// The entries of a range.
#[derive(Clone, Debug, Default)]
pub struct RangeResponse {
    /// In the order of their keys.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left some off.
    pub more: bool,
    /// How many entries are in the range beyond those given (all of them if only the count was asked for).
    pub remaining: u64,
    /// The revision that was read at: the one asked for, else the store's.
    pub revision: u64,
}

/// A watch of a store.
#[derive(Clone, Debug)]
pub struct StoreWatch {
    /// Keys that begin with this are watched.
    pub prefix: String,
    /// The first revision wanted.
    pub from: u64,
    /// Whether events carry the entry as it was before. It costs a read for each event.
    pub prev: bool,
    /// Whether batches without events are wanted whenever the store's revision moves on outside of the prefix (at
    /// least after [`Store::request_progress`]).
    pub progress: bool,
}

/// The stream that a watch gives. It ends only with an error.
pub type BatchStream = BoxStream<'static, Result<WatchBatch, StoreError>>;

/// Takes batches on the engine's own thread, see [`Store::attach`]. It must be quick; `false` ends the watch.
pub type Sink = Box<dyn FnMut(&WatchBatch) -> bool + Send>;

/// A store with etcd's semantics.
///
/// * Every write gets the next value of one global revision. A revision is never given twice, crashes included.
/// * A write that was acknowledged is durable.
/// * Reads without a revision are linearizable.
/// * A watch delivers every change from its first revision on, in order, once, and without a gap.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The entry at a key, at present or at a past revision, and the revision that was read at.
    async fn get(&self, key: &str, at: Option<u64>) -> Result<(Option<KeyValue>, u64), StoreError>;

    /// The entries of a range.
    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StoreError>;

    /// Writes an entry and gives its modification revision. With a time to live the entry is deleted when that has
    /// passed (not earlier, and within seconds); a later write without one makes it permanent.
    async fn put(&self, key: &str, value: Bytes, expect: Expect, ttl: Option<Duration>) -> Result<u64, StoreError>;

    /// Deletes an entry and gives it as it was, with the deletion's revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none, whatever was expected.
    async fn delete(&self, key: &str, expect: Expect) -> Result<(KeyValue, u64), StoreError>;

    /// Every change under a prefix from a revision on.
    ///
    /// # Errors
    /// [`StoreError::Compacted`], here or from the stream, if that revision's history has been discarded. A revision in
    /// the future is waited for.
    async fn watch(&self, watch: StoreWatch) -> Result<BatchStream, StoreError>;

    /// As [`Store::watch`], but `sink` is called on the engine's own thread, for each commit before its writers are
    /// acknowledged. `Ok(false)` (and `sink` unused): this engine cannot, use [`Store::watch`].
    fn attach(&self, watch: StoreWatch, sink: Sink) -> Result<bool, StoreError> {
        let _ = (watch, sink);
        Ok(false)
    }

    /// The store's present revision, linearizably: no write that was acknowledged before the call has a higher one.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// The present revision if knowing it takes no I/O, else `None`.
    fn revision_now(&self) -> Option<u64> {
        None
    }

    /// Discards what was superseded at or before `revision`. Reads at `revision` itself remain possible.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] if that has been done already, [`StoreError::FutureRevision`].
    async fn compact(&self, revision: u64) -> Result<(), StoreError>;

    /// The revision up to which history has been discarded; 0 if none has, or if the engine does not know.
    async fn compacted_revision(&self) -> Result<u64, StoreError>;

    /// Makes every watch that asked for progress report the revision it has reached soon.
    async fn request_progress(&self) -> Result<(), StoreError>;

    /// Whether the entry that was written at `mod_revision` would be stored in another form if it were written again as it
    /// is, as when it was encrypted with a key that is no longer the one to write with. Engines store what they are given.
    async fn is_stale(&self, key: &str, mod_revision: u64) -> Result<bool, StoreError> {
        let _ = (key, mod_revision);
        Ok(false)
    }

    /// The key as it is in etcd, whatever the engine: what an entry's encryption is bound to, so that entries can move
    /// from one engine to another as they are.
    fn etcd_key(&self, key: &str) -> String {
        crate::tenant::etcd_key("/registry/", key)
    }

    /// Whether the store can take writes.
    async fn health(&self) -> Result<(), StoreError>;
}

/// The key after every key that begins with `prefix`: the prefix with its last character raised by one. Empty (no end)
/// if there is none.
#[must_use]
pub fn prefix_end(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Keys are text, so the end has to be text; the surrogate gap is skipped by from_u32's refusal.
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            end.push(next);
            return end;
        }
    }
    end
}

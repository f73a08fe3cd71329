//! What can go wrong in a store.

use crate::KeyValue;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The entry is not what [`crate::Expect`] said. Nothing was written.
    #[error("the entry has changed (it is now at revision {})", current.as_ref().map_or(0, |kv| kv.mod_revision))]
    Conflict {
        /// The entry as it is; `None` if there is none.
        current: Option<KeyValue>,
    },
    /// There is no such entry to delete.
    #[error("no such entry")]
    NotFound,
    /// The history asked for has been discarded. The API answers 410 Expired.
    #[error("the revision asked for has been compacted (the oldest one kept is {compact_revision})")]
    Compacted {
        /// The revision up to which history has been discarded.
        compact_revision: u64,
    },
    /// The revision asked for has not happened yet. The API answers "Too large resource version".
    #[error("the revision asked for is in the future (the store is at {current})")]
    FutureRevision {
        /// The store's revision.
        current: u64,
    },
    /// The value is larger than the engine accepts.
    #[error("the value has {size} bytes, more than the {limit} that are accepted")]
    TooLarge {
        /// The value's size in bytes.
        size: usize,
        /// The largest size accepted, in bytes.
        limit: usize,
    },
    /// The store cannot be reached, or refuses writes after an I/O error. Whether a write that ended with this error
    /// took place is unknown until the store has been read again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored does not match its checksum, or cannot be what this engine wrote. It was not served.
    #[error("stored data is corrupt: {0}")]
    Corrupt(String),
    /// What is stored could not be turned into what was written, or the other way round: the layer that encrypts failed.
    #[error("{0}")]
    Transform(String),
    /// Another process has the directory open.
    #[error("{0}")]
    Locked(String),
    /// The directory or the server is of a kind that this version cannot use.
    #[error("{0}")]
    Unsupported(String),
}

impl StoreError {
    /// Whether asking again later may succeed without anything else having to change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

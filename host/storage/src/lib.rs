//! Where the control plane's state lives and how it is read.
//!
//! * [`Store`] has etcd's semantics: one global revision, compare-and-swap on an entry's modification revision, ranges
//!   at a past revision, watches from a revision, compaction, time to live.
//! * [`embedded::EmbeddedStore`] is the engine in the process.
//! * [`Tenant`] is the logical control plane that a key belongs to. [`Tenant::scope`] narrows a store to it.
//! * [`archive`] is a store's contents in a file.
//! * [`cache`] keeps the present state in memory, with every object's wire bytes encoded once, and serves all reads
//!   and watches.

#![forbid(unsafe_code)]

pub mod archive;
pub mod cache;
mod compactor;
pub mod embedded;
mod error;
mod store;
mod tenant;

pub use compactor::spawn_compactor;
pub use error::StoreError;
pub use store::{
    BatchStream, Event, Expect, KeyValue, RangeRequest, RangeResponse, Sink, Store, StoreWatch, WatchBatch, prefix_end,
};
pub use tenant::{Tenant, etcd_key};

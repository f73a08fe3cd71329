//! What every store must do. Each function takes an empty store and panics where the store does something else.
//!
//! Revisions are compared with each other and never with numbers: where a store begins to count is its own affair.

mod compaction;
mod reads;
mod scale;
mod through_cache;
mod watches;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use portcullis_storage::{BatchStream, Event, Expect, Store, StoreError, StoreWatch, WatchBatch};

pub use self::compaction::{compaction, leases_are_shared, time_to_live};
pub use self::reads::{ranges, reads_of_the_past, revisions_are_shared, tenants};
pub use self::scale::{concurrent_counters, large_ranges, large_values};
pub use self::through_cache::{
    cache_and_unreadable_objects, cache_is_consistent, cache_loads_under_load, cache_watches_by_field,
};
pub use self::watches::{
    dropped_watches, progress_outside_the_prefix, slow_watcher, watches_from_the_past, watches_live,
    watches_of_the_future,
};
pub use self::writes::{deletes, writes_compare_and_swap};

/// How long anything that has to happen may take.
const WITHIN: Duration = Duration::from_secs(15);

/// A watch of a prefix with previous entries.
fn watch_of(prefix: &str, from: u64) -> StoreWatch {
    StoreWatch { prefix: prefix.to_owned(), from, prev: true, progress: false }
}

/// Puts without conditions.
async fn put(store: &Arc<dyn Store>, key: &str, value: &str) -> u64 {
    store.put(key, value.to_owned().into(), Expect::Any, None).await.expect("a put")
}

/// The next batch, which has to come.
async fn next(stream: &mut BatchStream) -> Result<WatchBatch, StoreError> {
    tokio::time::timeout(WITHIN, stream.next()).await.expect("a batch in time").expect("a stream that goes on")
}

/// The next `count` events; batches must be in order and hold nothing beyond what they say.
async fn events(stream: &mut BatchStream, count: usize) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    while events.len() < count {
        let batch = next(stream).await.expect("a batch");
        let newest = batch.events.iter().map(Event::revision).max().unwrap_or(0);
        assert!(batch.revision >= newest, "the batch says {} and has {newest}", batch.revision);
        assert!(batch.events.iter().all(|event| events.last().is_none_or(|last| last.revision() <= event.revision())));
        events.extend(batch.events);
    }
    assert_eq!(events.len(), count, "{events:?}");
    events
}

/// An event as a line: `+` for made, `=` for changed, `-` for deleted, key, value and the value before.
fn line(event: &Event) -> String {
    let text = |kv: &portcullis_storage::KeyValue| String::from_utf8_lossy(&kv.value).into_owned();
    let before = |prev: &Option<portcullis_storage::KeyValue>| prev.as_ref().map(text).unwrap_or_default();
    match event {
        Event::Put { kv, prev } => {
            let sign = if kv.create_revision == kv.mod_revision { '+' } else { '=' };
            format!("{sign}{} {}<{}", kv.key, text(kv), before(prev))
        }
        Event::Delete { key, prev, .. } => format!("-{key} <{}", before(prev)),
    }
}

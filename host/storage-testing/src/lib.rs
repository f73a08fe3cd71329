//! One suite for every implementation of the [`Store`](portcullis_storage::Store) trait.
//!
//! [`suite`] has a function for each thing that the trait promises; [`conformance!`] makes a test of each of them over an
//! opener. [`etcd`] starts real etcd servers, of all versions that are installed.

#![forbid(unsafe_code)]

pub mod etcd;
pub mod proxy;
pub mod suite;

use std::sync::Arc;

use portcullis_storage::Store;

/// A store under test, with what must live as long as it does.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn Store>,
    _keep: Box<dyn std::any::Any + Send>,
}

impl Fixture {
    /// A store, and what it needs to stay.
    pub fn new(store: Arc<dyn Store>, keep: impl std::any::Any + Send) -> Self {
        Self { store, _keep: Box::new(keep) }
    }
}

/// Makes a test of every function of the suite. The argument is an async function without arguments that gives an empty
/// store as an `Option<Fixture>`; `None` (it has said why) skips the test.
#[macro_export]
macro_rules! conformance {
    ($open:path) => {
        $crate::conformance!($open: writes_compare_and_swap, deletes, reads_of_the_past, ranges, revisions_are_shared,
            concurrent_counters, watches_from_the_past, watches_live, watches_of_the_future, slow_watcher,
            compaction, time_to_live, leases_are_shared, large_values, large_ranges, progress_outside_the_prefix,
            tenants, cache_is_consistent, cache_loads_under_load, cache_and_unreadable_objects, cache_watches_by_field,
            dropped_watches);
    };
    ($open:path: $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(fixture) = $open().await {
                    $crate::suite::$name(std::sync::Arc::clone(&fixture.store)).await;
                }
            }
        )*
    };
}

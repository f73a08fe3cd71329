//! Disks that fail: nothing is acknowledged that may not be there, and nothing more is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::super::EmbeddedStore;
use super::super::log::{Disk, Log};
use super::{names, open, put};
use crate::{Expect, Store, StoreError};

/// When the disk fails.
#[derive(Default)]
struct Faults {
    /// How many more bytes there is room for.
    room: AtomicI64,
    sync: AtomicBool,
}

struct Failing {
    disk: Box<dyn Disk>,
    faults: Arc<Faults>,
}

impl Disk for Failing {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let room = self.faults.room.fetch_sub(bytes.len() as i64, Ordering::SeqCst);
        if room >= bytes.len() as i64 {
            return self.disk.append(bytes);
        }
        self.disk.append(&bytes[..usize::try_from(room).unwrap_or(0)])?;
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
    }

    fn sync(&mut self) -> std::io::Result<()> {
        if self.faults.sync.load(Ordering::SeqCst) { Err(std::io::Error::other("I/O error")) } else { self.disk.sync() }
    }
}

fn failing(directory: &std::path::Path) -> (Arc<dyn Store>, Arc<Faults>) {
    let faults = Arc::new(Faults { room: AtomicI64::new(i64::MAX), ..Faults::default() });
    let (log, state) = Log::open(directory, u64::MAX).unwrap();
    let log = log.with_disk(|disk| Box::new(Failing { disk, faults: Arc::clone(&faults) }));
    (EmbeddedStore::over(log, state, None).unwrap(), faults)
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
}

/// What is asked of the store once its disk has failed in one way or another.
async fn refuses_writes(store: &Arc<dyn Store>) {
    unavailable(put(store, "later").await);
    unavailable(store.delete("/registry/a", Expect::Any).await);
    unavailable(store.compact(2).await);
    unavailable(store.health().await);
    assert_eq!(names(store).await, ["a", "b"], "what was acknowledged is served, and nothing else");
    assert_eq!(store.revision().await.unwrap(), 3);
}

#[tokio::test]
async fn a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    for room in 0..150 {
        let place = directory.path().join(room.to_string());
        let (store, faults) = failing(&place);
        put(&store, "a").await.unwrap();
        put(&store, "b").await.unwrap();
        faults.room.store(room, Ordering::SeqCst);
        unavailable(put(&store, "c").await);
        faults.room.store(i64::MAX, Ordering::SeqCst);
        refuses_writes(&store).await;
        drop(store);
        let store = open(&place).await.unwrap();
        assert_eq!(names(&store).await, ["a", "b"], "room for {room}");
        assert_eq!(put(&store, "c").await.unwrap(), 4);
    }
}

#[tokio::test]
async fn a_sync_that_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (store, faults) = failing(directory.path());
    put(&store, "a").await.unwrap();
    put(&store, "b").await.unwrap();
    faults.sync.store(true, Ordering::SeqCst);
    // Also those that are refused because of a write of the same group are not told so: it may never have been.
    let (first, second, third) = tokio::join!(put(&store, "c"), put(&store, "c"), put(&store, "c"));
    for result in [first, second, third] {
        unavailable(result);
    }
    faults.sync.store(false, Ordering::SeqCst);
    refuses_writes(&store).await;
    drop(store);
    // Whether the write is there is not known, but it is whole.
    let store = open(directory.path()).await.unwrap();
    let found = names(&store).await;
    assert!(found == ["a", "b"] || found == ["a", "b", "c"], "{found:?}");
}

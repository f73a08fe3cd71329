//! Disks that fail: nothing is acknowledged that may not be there, and nothing more is written.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::super::log::{Disk, Folder, Log, Real};
use super::super::{EmbeddedOptions, EmbeddedStore};
use super::{names, open, put};
use crate::{Expect, Store, StoreError};

/// When the disk fails.
struct Faults {
    /// How many more bytes there is room for in the log.
    room: AtomicI64,
    sync: AtomicBool,
    /// The same of a file that was made since.
    snapshot_room: AtomicI64,
    snapshot_sync: AtomicBool,
    /// What the folder refuses.
    create: AtomicBool,
    open: AtomicBool,
    rename: AtomicBool,
    remove: AtomicBool,
    names: AtomicBool,
}

impl Faults {
    fn none() -> Arc<Self> {
        let (room, no) = (|| AtomicI64::new(i64::MAX), AtomicBool::default);
        let (create, open, rename, remove, names) = (no(), no(), no(), no(), no());
        let (sync, snapshot_sync) = (no(), no());
        let faults =
            Self { room: room(), sync, snapshot_room: room(), snapshot_sync, create, open, rename, remove, names };
        Arc::new(faults)
    }
}

fn refused(fault: &AtomicBool) -> std::io::Result<()> {
    if fault.load(Ordering::SeqCst) { Err(std::io::Error::other("I/O error")) } else { Ok(()) }
}

struct FailingFile {
    inner: Box<dyn Disk>,
    faults: Arc<Faults>,
    snapshot: bool,
}

impl Disk for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let room = if self.snapshot { &self.faults.snapshot_room } else { &self.faults.room };
        let room = room.fetch_sub(bytes.len() as i64, Ordering::SeqCst);
        if room >= bytes.len() as i64 {
            return self.inner.append(bytes);
        }
        self.inner.append(&bytes[..usize::try_from(room).unwrap_or(0)])?;
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
    }

    fn sync(&mut self) -> std::io::Result<()> {
        refused(if self.snapshot { &self.faults.snapshot_sync } else { &self.faults.sync })?;
        self.inner.sync()
    }
}

struct FailingFolder(Arc<Faults>);

impl Folder for FailingFolder {
    fn create(&self, path: &Path) -> std::io::Result<Box<dyn Disk>> {
        refused(&self.0.create)?;
        let (inner, faults) = (Real.create(path)?, Arc::clone(&self.0));
        Ok(Box::new(FailingFile { inner, faults, snapshot: true }))
    }

    fn open(&self, path: &Path) -> std::io::Result<Box<dyn Disk>> {
        refused(&self.0.open)?;
        let (inner, faults) = (Real.open(path)?, Arc::clone(&self.0));
        Ok(Box::new(FailingFile { inner, faults, snapshot: false }))
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        refused(&self.0.rename)?;
        Real.rename(from, to)
    }

    fn remove(&self, path: &Path) -> std::io::Result<()> {
        refused(&self.0.remove)?;
        Real.remove(path)
    }

    fn sync(&self, directory: &Path) -> std::io::Result<()> {
        refused(&self.0.names)?;
        Real.sync(directory)
    }
}

fn failing_from(directory: &Path, rotate_at: u64) -> (Arc<dyn Store>, Arc<Faults>) {
    let faults = Faults::none();
    let (log, state) = Log::open(directory, rotate_at).unwrap();
    let log = log.with_folder(Box::new(FailingFolder(Arc::clone(&faults))));
    (EmbeddedStore::over(log, state, &EmbeddedOptions::default()).unwrap(), faults)
}

fn failing(directory: &Path) -> (Arc<dyn Store>, Arc<Faults>) {
    failing_from(directory, u64::MAX)
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

/// What fails while a snapshot takes the place of the log, and whether the store then still takes writes.
#[tokio::test]
async fn a_snapshot_that_fails() {
    type Break = fn(&Faults);
    let set = Ordering::SeqCst;
    let cases: [(&str, bool, Break); 9] = [
        ("no room for it", true, |faults| faults.snapshot_room.store(100, Ordering::SeqCst)),
        ("no room for its end", true, |faults| faults.snapshot_room.store(1_250, Ordering::SeqCst)),
        ("it cannot be made durable", true, |faults| faults.snapshot_sync.store(true, Ordering::SeqCst)),
        ("it cannot be made", true, |faults| faults.create.store(true, Ordering::SeqCst)),
        ("it gets no name", false, |faults| faults.rename.store(true, Ordering::SeqCst)),
        ("its name cannot be made durable", false, |faults| faults.names.store(true, Ordering::SeqCst)),
        ("it cannot be opened", false, |faults| faults.open.store(true, Ordering::SeqCst)),
        ("the old log stays", true, |faults| faults.remove.store(true, Ordering::SeqCst)),
        ("nothing", true, |_| {}),
    ];
    for (what, goes_on, break_it) in cases {
        let directory = tempfile::tempdir().unwrap();
        let (store, faults) = failing_from(directory.path(), 10_000);
        for _ in 0..40 {
            store.put("/registry/a", vec![b'x'; 1000].into(), Expect::Any, None).await.unwrap();
        }
        let last = put(&store, "b").await.unwrap();
        break_it(&faults);
        store.compact(last).await.unwrap();
        for fault in
            [&faults.create, &faults.open, &faults.rename, &faults.remove, &faults.names, &faults.snapshot_sync]
        {
            fault.store(false, set);
        }
        faults.snapshot_room.store(i64::MAX, set);
        assert_eq!(names(&store).await, ["a", "b"], "{what}");
        let mut expected = vec!["a", "b"];
        if goes_on {
            assert_eq!(put(&store, "c").await.unwrap(), last + 1, "{what}");
            store.health().await.unwrap();
            // The next one succeeds.
            store.compact(last + 1).await.unwrap();
            assert_ne!(directory.path().join("wal-0000000001").exists(), what != "the old log stays", "{what}");
            expected.push("c");
        } else {
            unavailable(put(&store, "c").await);
            unavailable(store.health().await);
        }
        drop(store);
        let store = open(directory.path()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(names(&store).await, expected, "{what}");
        assert_eq!(put(&store, "d").await.unwrap(), last + expected.len() as u64 - 1, "{what}");
    }
}

/// The seal that says that all before it was acknowledged: what it follows is safe without it.
#[tokio::test]
async fn a_seal_that_fails() {
    for room in 0..24 {
        let directory = tempfile::tempdir().unwrap();
        let (store, faults) = failing(directory.path());
        put(&store, "a").await.unwrap();
        put(&store, "b").await.unwrap();
        faults.room.store(room, Ordering::SeqCst);
        // It is written at the end.
        drop(store);
        let store = open(directory.path()).await.unwrap();
        assert_eq!(names(&store).await, ["a", "b"], "room for {room}");
        assert_eq!(put(&store, "c").await.unwrap(), 4);
    }
}

#[tokio::test]
async fn a_compaction_that_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (store, faults) = failing(directory.path());
    put(&store, "a").await.unwrap();
    put(&store, "b").await.unwrap();
    faults.room.store(10, Ordering::SeqCst);
    unavailable(store.compact(2).await);
    assert_eq!(store.compacted_revision().await.unwrap(), 0, "nothing is discarded that the disk still has");
    refuses_writes(&store).await;
    drop(store);
    let store = open(directory.path()).await.unwrap();
    assert_eq!((names(&store).await.len(), store.compacted_revision().await.unwrap()), (2, 0));
}

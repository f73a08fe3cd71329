//! Tests of what only this engine promises: its file, what it makes of damage to it, and of a disk that fails.

mod damage;
mod disks;
mod upgrade;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{EmbeddedOptions, EmbeddedStore};
use crate::{Expect, RangeRequest, Store, StoreError};

async fn open(directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
    EmbeddedStore::open(directory, EmbeddedOptions::default()).await
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("wal-0000000001")
}

async fn put(store: &Arc<dyn Store>, name: &str) -> Result<u64, StoreError> {
    store.put(&format!("/registry/{name}"), vec![b'x'; 100].into(), Expect::Absent, None).await
}

/// Three writes, each a commit, and a clean end.
async fn with_three(directory: &Path) {
    let store = open(directory).await.unwrap();
    for name in ["a", "b", "c"] {
        put(&store, name).await.unwrap();
    }
}

async fn names(store: &Arc<dyn Store>) -> Vec<String> {
    let range = store.range(RangeRequest::prefix("/registry/")).await.unwrap();
    range.kvs.iter().map(|kv| kv.key.trim_start_matches("/registry/").to_owned()).collect()
}

#[tokio::test]
async fn comes_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    with_three(directory.path()).await;
    let store = open(directory.path()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 4);
    store.compact(3).await.unwrap();
    store.delete("/registry/a", Expect::ModRevision(2)).await.unwrap();
    drop(store);
    let store = open(directory.path()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 5);
    assert_eq!(store.compacted_revision().await.unwrap(), 3);
    assert_eq!(names(&store).await, ["b", "c"]);
}

#[tokio::test]
async fn an_empty_store_is_at_revision_one() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        assert_eq!(open(directory.path()).await.unwrap().revision().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(directory.path()).await.unwrap();
    assert!(matches!(open(directory.path()).await, Err(StoreError::Locked(_))));
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { rotate_at: 100_000, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open(directory.path(), options.clone()).await.unwrap();
    put(&store, "kept").await.unwrap();
    let mut last = 0;
    for _ in 0..3 {
        for _ in 0..300 {
            last = store.put("/registry/a", vec![b'x'; 1000].into(), Expect::Any, None).await.unwrap();
        }
        let (_, gone) = store.delete("/registry/a", Expect::Any).await.unwrap();
        assert_eq!(gone, last + 1);
        store.compact(gone).await.unwrap();
        last = gone;
    }
    let before = store.get("/registry/kept", None).await.unwrap();
    drop(store);
    let segments: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("wal-"))
        .collect();
    assert_eq!(segments, ["wal-0000000004"]);
    // What a crash in the middle of the next one leaves does no harm.
    std::fs::write(directory.path().join("segment.partial"), "half").unwrap();
    std::fs::write(directory.path().join("wal-0000000003"), "older").unwrap();
    let store = EmbeddedStore::open(directory.path(), options).await.unwrap();
    assert!(!directory.path().join("wal-0000000003").exists());
    // The newest revision was that of a deletion of which nothing is left.
    assert_eq!(store.revision().await.unwrap(), last);
    assert_eq!(store.compacted_revision().await.unwrap(), last);
    assert_eq!(store.get("/registry/kept", None).await.unwrap(), before);
    assert_eq!(put(&store, "next").await.unwrap(), last + 1);
    drop(store);
    assert_eq!(open(directory.path()).await.unwrap().revision().await.unwrap(), last + 1);
}

#[tokio::test]
async fn history_is_bounded_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { history_bytes: 100_000, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open(directory.path(), options.clone()).await.unwrap();
    let mut last = 0;
    for step in 0..500 {
        let key = format!("/registry/{}", step % 10);
        last = store.put(&key, vec![b'x'; 1000].into(), Expect::Any, None).await.unwrap();
        let compacted = store.compacted_revision().await.unwrap();
        let kept = last.saturating_sub(compacted.max(11));
        assert!(kept <= 101, "{kept} replaced values of 1,000 bytes are kept at {last}");
        assert!(compacted == 0 || kept >= 49, "only {kept} are kept at {last}");
    }
    // New entries replace nothing, however many there are.
    let before = store.compacted_revision().await.unwrap();
    for step in 0..300 {
        store.put(&format!("/registry/new-{step}"), vec![b'x'; 1000].into(), Expect::Absent, None).await.unwrap();
    }
    assert_eq!(store.compacted_revision().await.unwrap(), before);
    assert!(store.get("/registry/1", Some(last - 40)).await.unwrap().0.is_some());
    drop(store);
    let store = EmbeddedStore::open(directory.path(), options).await.unwrap();
    assert_eq!(store.compacted_revision().await.unwrap(), before);
    assert_eq!(names(&store).await.len(), 310);
}

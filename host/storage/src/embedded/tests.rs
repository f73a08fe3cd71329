//! Tests of what only this engine promises: its file, and what it makes of damage to it.

use std::path::Path;
use std::sync::Arc;

use super::{EmbeddedOptions, EmbeddedStore};
use crate::{Expect, RangeRequest, Store, StoreError};

async fn open(directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
    EmbeddedStore::open(directory, EmbeddedOptions { compact_every: None }).await
}

fn log_file(directory: &Path) -> std::path::PathBuf {
    directory.join("log-0000000001")
}

async fn with_three(directory: &Path) {
    let store = open(directory).await.unwrap();
    for name in ["a", "b", "c"] {
        store.put(&format!("/registry/{name}"), vec![b'x'; 100].into(), Expect::Absent, None).await.unwrap();
    }
}

#[tokio::test]
async fn comes_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    with_three(directory.path()).await;
    let store = open(directory.path()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 3);
    store.compact(2).await.unwrap();
    store.delete("/registry/a", Expect::ModRevision(1)).await.unwrap();
    drop(store);
    let store = open(directory.path()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 4);
    assert_eq!(store.compacted_revision().await.unwrap(), 2);
    let range = store.range(RangeRequest::prefix("/registry/")).await.unwrap();
    assert_eq!(range.kvs.iter().map(|kv| &*kv.key).collect::<Vec<_>>(), ["/registry/b", "/registry/c"]);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(directory.path()).await.unwrap();
    assert!(matches!(open(directory.path()).await, Err(StoreError::Locked(_))));
}

#[tokio::test]
async fn a_torn_end_is_cut_off_at_every_length() {
    let directory = tempfile::tempdir().unwrap();
    with_three(directory.path()).await;
    let whole = std::fs::read(log_file(directory.path())).unwrap();
    let record = whole.len() / 3;
    for cut in 1..record {
        std::fs::write(log_file(directory.path()), &whole[..whole.len() - cut]).unwrap();
        let store = open(directory.path()).await.unwrap();
        assert_eq!(store.revision().await.unwrap(), 2, "cut by {cut}");
        // The revision of the write that was never acknowledged is free again, and the log goes on whole.
        assert_eq!(store.put("/registry/d", "y".into(), Expect::Absent, None).await.unwrap(), 3);
        drop(store);
        assert_eq!(open(directory.path()).await.unwrap().revision().await.unwrap(), 3);
    }
}

#[tokio::test]
async fn damage_is_reported_and_never_served() {
    let directory = tempfile::tempdir().unwrap();
    with_three(directory.path()).await;
    let whole = std::fs::read(log_file(directory.path())).unwrap();
    for at in (0..whole.len() * 2 / 3).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        std::fs::write(log_file(directory.path()), &damaged).unwrap();
        let result = open(directory.path()).await.map(|_| ());
        assert!(matches!(result, Err(StoreError::Corrupt(_))), "byte {at}: {result:?}");
    }
}

#[tokio::test]
async fn another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("FORMAT"), "something-else 7\n").unwrap();
    assert!(matches!(open(directory.path()).await, Err(StoreError::Unsupported(_))));
}

use std::path::PathBuf;

use super::*;
use crate::embedded::{EmbeddedOptions, EmbeddedStore};
use crate::{Expect, Store, StoreWatch};
use std::time::Duration;

async fn filled(directory: &Path) -> Arc<dyn Store> {
    let store = EmbeddedStore::open(directory, EmbeddedOptions::default()).await.unwrap();
    for at in 0..50u64 {
        store.put(&format!("/registry/a/{:02}", at % 40), format!("{at}").into(), Expect::Any, None).await.unwrap();
    }
    store.delete("/registry/a/39", Expect::Any).await.unwrap();
    store.put("/registry/events/a", "e".into(), Expect::Any, Some(Duration::from_secs(600))).await.unwrap();
    store
}

fn newest(directory: &Path) -> PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("wal-"));
    files.sort();
    files.pop().unwrap()
}

#[tokio::test]
async fn reading_beside_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let contents = read(folder.path()).unwrap();
    assert_eq!(contents.revision, store.revision().await.unwrap());
    assert_eq!(contents.entries.len(), 40);
    let entry = &contents.entries[3];
    let (kv, _) = store.get(&entry.key, None).await.unwrap();
    let kv = kv.unwrap();
    assert_eq!(
        (entry.mod_revision, entry.create_revision, &entry.value),
        (kv.mod_revision, kv.create_revision, &kv.value)
    );
    assert!(contents.entries.last().unwrap().expires_at > 0);
    // What is being written while it is read.
    let path = newest(folder.path());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[..10]].concat()).unwrap();
    let again = read(folder.path()).unwrap();
    assert_eq!((again.entries, again.unfinished), (contents.entries, 10));
    assert!(matches!(compact(folder.path()), Err(StoreError::Locked(_))));
    assert!(matches!(read(&folder.path().join("none")), Err(StoreError::Unsupported(_) | StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_restored_store_is_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let before = filled(&old).await.revision().await.unwrap();
    let contents = read(&old).unwrap();
    let restored = restore(&new, before + 1000, contents.entries.clone().into_iter().map(Ok)).unwrap();
    assert_eq!(restored, 40);
    assert!(
        matches!(restore(&new, before, std::iter::empty()), Err(StoreError::Unsupported(_))),
        "restored over another"
    );
    let store = EmbeddedStore::open(&new, EmbeddedOptions::default()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), before + 1000);
    let (kv, _) = store.get("/registry/a/03", None).await.unwrap();
    assert_eq!(kv.unwrap().mod_revision, contents.entries[3].mod_revision);
    for from in [1, before, before + 1000] {
        let watch = StoreWatch { prefix: "/registry/".into(), from, prev: false, progress: false };
        assert!(matches!(store.watch(watch).await.err(), Some(StoreError::Compacted { .. })), "a watch from {from}");
    }
    let next = store.put("/registry/a/03", "x".into(), Expect::Any, None).await.unwrap();
    assert_eq!(next, before + 1001);
    drop(store);
    let again = read(&new).unwrap();
    assert_eq!((again.revision, again.entries.len()), (next, 40));
    assert!(again.entries.last().unwrap().expires_at > 0, "a time to live is lost");
}

#[tokio::test]
async fn compaction_takes_what_is_superseded() {
    let folder = tempfile::tempdir().unwrap();
    let revision = filled(folder.path()).await.revision().await.unwrap();
    let before = read(folder.path()).unwrap();
    let (at, larger, smaller) = compact(folder.path()).unwrap();
    assert_eq!(at, revision);
    assert!(smaller < larger, "{smaller} {larger}");
    let after = read(folder.path()).unwrap();
    assert_eq!((after.revision, after.compacted, after.entries), (revision, revision, before.entries));
    compact(folder.path()).unwrap();
    assert_eq!(read(folder.path()).unwrap().revision, revision);
}

#[tokio::test]
async fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()).await);
    let path = newest(folder.path());
    let sound = std::fs::read(&path).unwrap();
    // The last 24 bytes are the seal, which says nothing but that all before it was acknowledged.
    for at in (0..sound.len() - 24).step_by(7) {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(read(folder.path()), Err(StoreError::Corrupt(_))), "byte {at}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "checking changes the file");
    }
}

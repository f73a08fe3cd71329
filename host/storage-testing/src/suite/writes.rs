//! Writes and their conditions.

use std::sync::Arc;

use portcullis_storage::{Expect, Store, StoreError};

use super::put;

/// Every expectation against an entry that is there and one that is not.
pub async fn writes_compare_and_swap(store: Arc<dyn Store>) {
    let store = &store;
    let first = put(store, "/registry/a", "1").await;
    let check = async |key: &'static str, expect: Expect, done: bool| {
        let before = store.get(key, None).await.unwrap().0;
        let result = store.put(key, "new".into(), expect, None).await;
        let (after, now) = store.get(key, None).await.unwrap();
        match result {
            Ok(revision) => {
                assert!(done, "{key} {expect:?} was written");
                let after = after.unwrap();
                assert_eq!((after.mod_revision, after.value.as_ref(), now), (revision, b"new".as_ref(), revision));
                let made = before.as_ref().map_or(revision, |kv| kv.create_revision);
                assert_eq!(after.create_revision, made, "{key} {expect:?}");
            }
            Err(StoreError::Conflict { current }) => {
                assert!(!done, "{key} {expect:?} was refused");
                assert_eq!(current, before, "{key} {expect:?}: the entry as it is comes with the refusal");
                assert_eq!(after, before, "{key} {expect:?}: a refused write changes nothing");
            }
            Err(other) => panic!("{key} {expect:?}: {other}"),
        }
    };
    check("/registry/a", Expect::Absent, false).await;
    check("/registry/a", Expect::ModRevision(0), false).await;
    check("/registry/a", Expect::ModRevision(first + 1), false).await;
    check("/registry/a", Expect::ModRevision(first), true).await;
    check("/registry/a", Expect::ModRevision(first), false).await;
    check("/registry/a", Expect::Any, true).await;
    check("/registry/b", Expect::ModRevision(first), false).await;
    check("/registry/b", Expect::Absent, true).await;
    check("/registry/c", Expect::ModRevision(0), true).await;
    check("/registry/d", Expect::Any, true).await;
    // An empty value is a value, and a key may have any text in it.
    store.put("/registry/e", bytes::Bytes::new(), Expect::Absent, None).await.unwrap();
    assert!(store.get("/registry/e", None).await.unwrap().0.unwrap().value.is_empty());
    put(store, "/registry/f/ä:%~\u{10ffff}", "odd").await;
    assert_eq!(store.get("/registry/f/ä:%~\u{10ffff}", None).await.unwrap().0.unwrap().value, "odd");
}

/// Deletions, refused and done, and what comes after them.
pub async fn deletes(store: Arc<dyn Store>) {
    let store = &store;
    for expect in [Expect::Any, Expect::Absent, Expect::ModRevision(1), Expect::ModRevision(0)] {
        let result = store.delete("/registry/none", expect).await;
        assert!(matches!(result, Err(StoreError::NotFound)), "{expect:?}: {result:?}");
    }
    let first = put(store, "/registry/a", "1").await;
    let entry = store.get("/registry/a", None).await.unwrap().0;
    for expect in [Expect::Absent, Expect::ModRevision(0), Expect::ModRevision(first + 1)] {
        match store.delete("/registry/a", expect).await {
            Err(StoreError::Conflict { current }) => assert_eq!(current, entry, "{expect:?}"),
            other => panic!("{expect:?}: {other:?}"),
        }
    }
    let (previous, revision) = store.delete("/registry/a", Expect::ModRevision(first)).await.unwrap();
    assert_eq!(Some(previous), entry);
    assert!(revision > first);
    assert_eq!(store.get("/registry/a", None).await.unwrap(), (None, revision));
    let again = store.put("/registry/a", "2".into(), Expect::Absent, None).await.unwrap();
    let made = store.get("/registry/a", None).await.unwrap().0.unwrap();
    assert_eq!((made.create_revision, made.mod_revision), (again, again), "an entry made anew has a new beginning");
    store.delete("/registry/a", Expect::Any).await.unwrap();
    assert!(matches!(store.delete("/registry/a", Expect::Any).await, Err(StoreError::NotFound)));
}

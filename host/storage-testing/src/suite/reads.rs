//! Reads, at present and in the past.

use std::sync::Arc;

use portcullis_storage::{Expect, RangeRequest, Store, StoreError, Tenant};

use super::{events, line, put, watch_of};

/// Single entries at past revisions, and at ones that have not come.
pub async fn reads_of_the_past(store: Arc<dyn Store>) {
    let store = &store;
    let before = store.revision().await.unwrap();
    let one = put(store, "/registry/a", "1").await;
    let two = put(store, "/registry/a", "2").await;
    let (_, gone) = store.delete("/registry/a", Expect::Any).await.unwrap();
    let check = async |at: u64, value: Option<&'static str>| {
        let (kv, read_at) = store.get("/registry/a", Some(at)).await.unwrap();
        assert_eq!(read_at, at);
        assert_eq!(kv.as_ref().map(|kv| kv.value.as_ref()), value.map(str::as_bytes), "at {at}");
        if let Some(kv) = kv {
            assert_eq!((kv.create_revision, kv.mod_revision), (one, at));
        }
    };
    check(before, None).await;
    check(one, Some("1")).await;
    check(two, Some("2")).await;
    check(gone, None).await;
    match store.get("/registry/a", Some(gone + 100)).await {
        Err(StoreError::FutureRevision { current }) => assert_eq!(current, gone),
        other => panic!("{other:?}"),
    }
    let range = RangeRequest { at: Some(gone + 100), ..RangeRequest::prefix("/registry/") };
    assert!(matches!(store.range(range).await, Err(StoreError::FutureRevision { .. })));
}

/// Bounds, limits, counts, pages at one revision.
pub async fn ranges(store: Arc<dyn Store>) {
    let store = &store;
    for name in ["b/1", "a/1", "a/2", "a/3", "ab/1", "b/2"] {
        put(store, &format!("/registry/{name}"), name).await;
    }
    let seen = store.revision().await.unwrap();
    let check = async |request: RangeRequest, names: &[&str], more: bool, remaining: u64| {
        let response = store.range(request.clone()).await.unwrap();
        let found: Vec<_> = response.kvs.iter().map(|kv| kv.key.trim_start_matches("/registry/")).collect();
        assert_eq!((found.as_slice(), response.more, response.remaining), (names, more, remaining), "{request:?}");
        assert_eq!(response.revision, seen);
    };
    let between = |start: &str, end: &str| RangeRequest {
        start: format!("/registry/{start}"),
        end: format!("/registry/{end}"),
        ..RangeRequest::default()
    };
    check(RangeRequest::prefix("/registry/a/"), &["a/1", "a/2", "a/3"], false, 0).await;
    check(RangeRequest::prefix("/registry/a"), &["a/1", "a/2", "a/3", "ab/1"], false, 0).await;
    check(RangeRequest::prefix("/registry/none/"), &[], false, 0).await;
    check(RangeRequest::prefix(""), &["a/1", "a/2", "a/3", "ab/1", "b/1", "b/2"], false, 0).await;
    check(RangeRequest { limit: 2, ..RangeRequest::prefix("/registry/a") }, &["a/1", "a/2"], true, 2).await;
    check(RangeRequest { limit: 4, ..RangeRequest::prefix("/registry/a") }, &["a/1", "a/2", "a/3", "ab/1"], false, 0)
        .await;
    check(RangeRequest { count_only: true, ..RangeRequest::prefix("/registry/") }, &[], false, 6).await;
    check(between("a/2", "b/1"), &["a/2", "a/3", "ab/1"], false, 0).await;
    check(between("a/2\0", "b/1\0"), &["a/3", "ab/1", "b/1"], false, 0).await;
    check(between("b", "a"), &[], false, 0).await;
    check(RangeRequest { start: "/registry/b/".into(), ..RangeRequest::default() }, &["b/1", "b/2"], false, 0).await;
    // Pages of one revision, whatever is written in between.
    let first = store.range(RangeRequest { limit: 2, ..RangeRequest::prefix("/registry/a") }).await.unwrap();
    store.delete("/registry/a/3", Expect::Any).await.unwrap();
    put(store, "/registry/a/4", "late").await;
    let next = format!("{}\0", first.kvs[1].key);
    let rest = RangeRequest { start: next, at: Some(first.revision), ..RangeRequest::prefix("/registry/a") };
    check(rest, &["a/3", "ab/1"], false, 0).await;
}

/// There is one revision for all keys, every write moves it on by one, and reads move nothing.
pub async fn revisions_are_shared(store: Arc<dyn Store>) {
    let store = &store;
    let mut last = store.revision().await.unwrap();
    for at in 0..10 {
        let revision = put(store, &format!("/registry/{at}"), "x").await;
        assert_eq!(revision, last + 1);
        assert_eq!(store.revision().await.unwrap(), revision);
        assert_eq!(store.get("/registry/none", None).await.unwrap(), (None, revision));
        assert_eq!(store.range(RangeRequest::prefix("/registry/none")).await.unwrap().revision, revision);
        last = revision;
    }
    assert!(store.put("/registry/0", "y".into(), Expect::Absent, None).await.is_err());
    assert!(store.delete("/registry/none", Expect::Any).await.is_err());
    assert_eq!(store.revision().await.unwrap(), last, "refused writes move nothing");
    store.health().await.unwrap();
}

/// Tenants have the same keys and do not see each other.
pub async fn tenants(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    let default = Tenant::default().scope(Arc::clone(&store));
    let one = Tenant::new("one").unwrap().scope(Arc::clone(&store));
    let two = Tenant::new("two").unwrap().scope(Arc::clone(&store));
    for (at, (tenant, name)) in [(&default, "default"), (&one, "one"), (&two, "two")].into_iter().enumerate() {
        tenant.put("/registry/a", name.into(), Expect::Absent, None).await.unwrap();
        put(tenant, &format!("/registry/only-{at}"), name).await;
    }
    for (tenant, name, only) in [(&default, "default", 0), (&one, "one", 1), (&two, "two", 2)] {
        let range = tenant.range(RangeRequest::prefix("/registry/")).await.unwrap();
        let keys: Vec<_> = range.kvs.iter().map(|kv| kv.key.to_string()).collect();
        assert_eq!(keys, ["/registry/a".to_owned(), format!("/registry/only-{only}")]);
        assert!(range.kvs.iter().all(|kv| kv.value == name));
        let mut watch = tenant.watch(watch_of("/registry/", from)).await.unwrap();
        let lines: Vec<_> = events(&mut watch, 2).await.iter().map(line).collect();
        assert_eq!(lines, [format!("+/registry/a {name}<"), format!("+/registry/only-{only} {name}<")]);
    }
    one.delete("/registry/a", Expect::Any).await.unwrap();
    assert!(two.get("/registry/a", None).await.unwrap().0.is_some());
    match two.put("/registry/a", "x".into(), Expect::Absent, None).await {
        Err(StoreError::Conflict { current }) => assert_eq!(&*current.unwrap().key, "/registry/a"),
        other => panic!("{other:?}"),
    }
}

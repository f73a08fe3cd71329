//! The watch cache over the store: what it promises has to hold over every engine.

use std::sync::Arc;
use std::time::Duration;

use portcullis_storage::cache::{
    CacheHub, EventKind, HubOptions, JsonCodec, SelectableField, WatchItem, WatchRequest, WatchStart,
};
use portcullis_storage::{Expect, Store, StoreError};

use super::WITHIN;

fn object(name: &str, step: u64) -> bytes::Bytes {
    format!(r#"{{"kind":"T","apiVersion":"v1","metadata":{{"name":"{name}"}},"step":{step}}}"#).into()
}

async fn write(store: &Arc<dyn Store>, name: &str, step: u64) -> u64 {
    store.put(&format!("/registry/things/{name}"), object(name, step), Expect::Any, None).await.expect("a put")
}

/// A consistent read sees every write that was acknowledged before it, also one elsewhere.
pub async fn cache_is_consistent(store: Arc<dyn Store>) {
    let hub = CacheHub::start(Arc::clone(&store), HubOptions::default()).await.unwrap();
    let cache = hub.resource("/registry/things/", Arc::new(JsonCodec::new(&[])));
    for step in 0..50 {
        let revision = write(&store, "a", step).await;
        let found = cache.get("/registry/things/a", None).await.unwrap().unwrap();
        assert_eq!(found.revision, revision);
        let elsewhere = store.put("/registry/others/b", object("b", step), Expect::Any, None).await.unwrap();
        let snapshot = cache.snapshot(None).await.unwrap();
        assert!(snapshot.revision >= elsewhere);
        let past = cache.snapshot_at(revision).await.unwrap();
        assert_eq!(past.objects.get("/registry/things/a").unwrap().revision, revision);
    }
    store.delete("/registry/things/a", Expect::Any).await.unwrap();
    assert!(cache.get("/registry/things/a", None).await.unwrap().is_none());
    // A write that the caches hear nothing of by themselves: another tenant's, or another program's.
    let other = portcullis_storage::Tenant::new("other").unwrap().scope(Arc::clone(&store));
    let elsewhere = other.put("/registry/others/b", object("b", 0), Expect::Any, None).await.unwrap();
    assert!(hub.wait_consistent().await.unwrap() >= elsewhere);
}

/// A cache that is made while others write: it never goes back, its watchers see every change once.
pub async fn cache_loads_under_load(store: Arc<dyn Store>) {
    const WRITERS: u64 = 4;
    const STEPS: u64 = 60;
    let hub = CacheHub::start(Arc::clone(&store), HubOptions::default()).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut last = 0;
            for step in 0..STEPS {
                last = write(&store, &format!("w{writer}"), step).await;
            }
            last
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let cache = hub.resource("/registry/things/", Arc::new(JsonCodec::new(&[])));
    let request =
        WatchRequest { prefix: "/registry/things/".into(), start: WatchStart::Initial, filter: None, index: None };
    let mut watcher = cache.watch(request).await.unwrap();
    let watched = tokio::spawn(async move {
        let mut known = std::collections::BTreeMap::new();
        let mut synced = 0;
        while known.len() < WRITERS as usize || known.values().any(|step| *step != STEPS - 1) {
            match tokio::time::timeout(WITHIN, watcher.next()).await.expect("events in time").expect("an item") {
                WatchItem::Synced(revision) => synced = revision,
                WatchItem::Lagged => panic!("lagged"),
                WatchItem::Event(event) => {
                    let value = event.object.value();
                    let (name, step) = (event.object.name.to_string(), value["step"].as_u64().unwrap());
                    if synced > 0 {
                        assert!(event.revision > synced, "an event at {} after the state at {synced}", event.revision);
                    }
                    match known.insert(name.clone(), step) {
                        Some(before) => assert_eq!((before + 1, event.kind), (step, EventKind::Modified), "{name}"),
                        None => assert_eq!(event.kind, EventKind::Added, "{name}"),
                    }
                }
            }
        }
    });
    let mut last = 0;
    for writer in writers {
        last = last.max(writer.await.unwrap());
    }
    watched.await.unwrap();
    let snapshot = cache.snapshot(None).await.unwrap();
    assert!(snapshot.revision >= last);
    assert!(snapshot.objects.values().all(|object| object.value()["step"] == STEPS - 1));
}

/// A version that cannot be read is neither served nor taken for a deletion, and the one before it is not served either.
pub async fn cache_and_unreadable_objects(store: Arc<dyn Store>) {
    let hub = CacheHub::start(Arc::clone(&store), HubOptions::default()).await.unwrap();
    let cache = hub.resource("/registry/things/", Arc::new(JsonCodec::new(&[])));
    let watch = |start| WatchRequest { prefix: "/registry/things/".into(), start, filter: None, index: None };
    write(&store, "a", 0).await;
    write(&store, "b", 0).await;
    let mut watcher = cache.watch(watch(WatchStart::Now)).await.unwrap();
    store.put("/registry/things/a", "no object".into(), Expect::Any, None).await.unwrap();
    let corrupt = |error: Option<StoreError>| assert!(matches!(error, Some(StoreError::Corrupt(_))), "{error:?}");
    corrupt(cache.get("/registry/things/a", None).await.err());
    assert!(cache.get("/registry/things/b", None).await.unwrap().is_some());
    let snapshot = cache.snapshot(None).await.unwrap();
    corrupt(snapshot.complete("/registry/things/").err());
    corrupt(snapshot.complete("/registry/things/a").err());
    assert!(snapshot.complete("/registry/things/b").is_ok());
    corrupt(cache.watch(watch(WatchStart::Initial)).await.err());
    // A watcher is neither told that it was deleted nor left with the old version: it has to ask again.
    let item = tokio::time::timeout(WITHIN, watcher.next()).await.unwrap();
    assert!(matches!(item, Some(WatchItem::Lagged)), "{item:?}");
    // A cache that is made now finds it as well.
    let again = CacheHub::start(Arc::clone(&store), HubOptions::default()).await.unwrap();
    corrupt(
        again.resource("/registry/things/", Arc::new(JsonCodec::new(&[]))).get("/registry/things/a", None).await.err(),
    );
    // It can be put right, by a new version or by its deletion.
    let mut watcher = cache.watch(watch(WatchStart::Now)).await.unwrap();
    let revision = write(&store, "a", 1).await;
    assert_eq!(cache.get("/registry/things/a", None).await.unwrap().unwrap().revision, revision);
    match tokio::time::timeout(WITHIN, watcher.next()).await.unwrap() {
        Some(WatchItem::Event(event)) => assert_eq!((event.kind, event.revision), (EventKind::Added, revision)),
        other => panic!("{other:?}"),
    }
    store.put("/registry/things/a", "no object".into(), Expect::Any, None).await.unwrap();
    store.delete("/registry/things/a", Expect::Any).await.unwrap();
    assert!(cache.snapshot(None).await.unwrap().complete("/registry/things/").is_ok());
    assert!(cache.get("/registry/things/a", None).await.unwrap().is_none());
}

/// Watches of one value of a field: they see objects come and go, nothing of other values, and how far the store is.
pub async fn cache_watches_by_field(store: Arc<dyn Store>) {
    let hub = CacheHub::start(Arc::clone(&store), HubOptions::default()).await.unwrap();
    let field =
        SelectableField { name: "on".into(), path: vec!["on".to_owned()], fallback: Vec::new(), absent: "".into() };
    let cache = hub.resource("/registry/things/", Arc::new(JsonCodec::new(&[field])));
    let of = |value: &'static str| WatchRequest {
        prefix: "/registry/things/".into(),
        start: WatchStart::Now,
        filter: Some(Arc::new(move |object| object.field("on") == Some(value))),
        index: Some(("on".into(), value.into())),
    };
    let put = async |name: &str, on: &str| {
        let object = format!(r#"{{"kind":"T","apiVersion":"v1","metadata":{{"name":"{name}"}},"on":"{on}"}}"#);
        store.put(&format!("/registry/things/{name}"), object.into(), Expect::Any, None).await.unwrap()
    };
    let (mut first, mut second) = (cache.watch(of("one")).await.unwrap(), cache.watch(of("two")).await.unwrap());
    put("a", "one").await;
    put("b", "two").await;
    put("a", "one").await;
    put("a", "two").await;
    store.delete("/registry/things/b", Expect::Any).await.unwrap();
    put("c", "three").await;
    let check = async |watcher: &mut portcullis_storage::cache::Watcher, expected: &[(EventKind, &str)]| {
        for (kind, name) in expected {
            match tokio::time::timeout(WITHIN, watcher.next()).await.unwrap() {
                Some(WatchItem::Event(event)) => assert_eq!((event.kind, &*event.object.name), (*kind, *name)),
                other => panic!("{other:?}"),
            }
        }
        let now = hub.wait_consistent().await.unwrap();
        assert!(watcher.try_next().is_none());
        assert!(watcher.bookmark().unwrap() >= now, "a bookmark says how far the store is");
    };
    check(&mut first, &[(EventKind::Added, "a"), (EventKind::Modified, "a"), (EventKind::Deleted, "a")]).await;
    check(&mut second, &[(EventKind::Added, "b"), (EventKind::Added, "a"), (EventKind::Deleted, "b")]).await;
}

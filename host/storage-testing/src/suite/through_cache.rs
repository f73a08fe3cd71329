//! The watch cache over the store: what it promises has to hold over every engine.

use std::sync::Arc;
use std::time::Duration;

use portcullis_storage::cache::{CacheHub, EventKind, HubOptions, JsonCodec, WatchItem, WatchRequest, WatchStart};
use portcullis_storage::{Expect, Store};

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

//! The end of history, and of entries with a time to live.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_storage::{Event, Expect, RangeRequest, Store, StoreError};

use super::{WITHIN, events, line, next, put, watch_of};

/// What can be read and watched before, at and after the compacted revision.
pub async fn compaction(store: Arc<dyn Store>) {
    let store = &store;
    assert_eq!(store.compacted_revision().await.unwrap(), 0);
    let one = put(store, "/registry/a", "1").await;
    let two = put(store, "/registry/a", "2").await;
    put(store, "/registry/b", "3").await;
    let (_, gone) = store.delete("/registry/b", Expect::Any).await.unwrap();
    let five = put(store, "/registry/a", "5").await;
    match store.compact(five + 100).await {
        Err(StoreError::FutureRevision { current }) => assert_eq!(current, five),
        other => panic!("{other:?}"),
    }
    store.compact(two).await.unwrap();
    assert_eq!(store.compacted_revision().await.unwrap(), two);
    let compacted = |result: Result<(), StoreError>, at: u64| match result {
        Err(StoreError::Compacted { compact_revision }) => assert_eq!(compact_revision, at),
        other => panic!("{other:?}"),
    };
    compacted(store.compact(two).await, two);
    compacted(store.compact(one).await, two);
    compacted(store.get("/registry/a", Some(one)).await.map(drop), two);
    compacted(store.range(RangeRequest { at: Some(one), ..RangeRequest::prefix("/registry/") }).await.map(drop), two);
    assert_eq!(store.get("/registry/a", Some(two)).await.unwrap().0.unwrap().value, "2");
    let watched = async |from: u64| match store.watch(watch_of("/registry/", from)).await {
        Ok(mut watch) => next(&mut watch).await.map(drop),
        Err(error) => Err(error),
    };
    compacted(watched(one).await, two);
    compacted(watched(two).await, two);
    let mut watch = store.watch(watch_of("/registry/", two + 1)).await.unwrap();
    let lines: Vec<_> = events(&mut watch, 3).await.iter().map(line).collect();
    assert_eq!(lines, ["+/registry/b 3<", "-/registry/b <3", "=/registry/a 5<2"]);
    // At a deletion: it is gone from the state, and cannot be watched any more, not even at its own revision.
    store.compact(gone).await.unwrap();
    compacted(watched(gone).await, gone);
    assert_eq!(store.get("/registry/b", Some(gone)).await.unwrap().0, None);
    assert_eq!(store.get("/registry/a", Some(gone)).await.unwrap().0.unwrap().value, "2");
    assert_eq!(store.get("/registry/a", None).await.unwrap().0.unwrap().value, "5");
    // A watch that is up to date is not disturbed.
    store.compact(five).await.unwrap();
    put(store, "/registry/a", "6").await;
    assert_eq!(line(&events(&mut watch, 1).await[0]), "=/registry/a 6<5");
}

/// Entries end when their time has passed, not before, and a later write decides anew.
pub async fn time_to_live(store: Arc<dyn Store>) {
    let ttl = Some(Duration::from_secs(3));
    let from = store.revision().await.unwrap() + 1;
    let began = Instant::now();
    store.put("/registry/short", "x".into(), Expect::Absent, ttl).await.unwrap();
    store.put("/registry/kept", "x".into(), Expect::Absent, ttl).await.unwrap();
    put(&store, "/registry/kept", "for good").await;
    store.put("/registry/long", "x".into(), Expect::Absent, ttl).await.unwrap();
    store.put("/registry/long", "y".into(), Expect::Any, Some(Duration::from_secs(3600))).await.unwrap();
    let mut watch = store.watch(watch_of("/registry/", from)).await.unwrap();
    let seen = events(&mut watch, 6).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "ended after {:?}", began.elapsed());
    assert_eq!(line(&seen[5]), "-/registry/short <x");
    assert!(seen[5].revision() > seen[4].revision());
    assert_eq!(store.get("/registry/short", None).await.unwrap().0, None);
    assert!(store.get("/registry/kept", None).await.unwrap().0.is_some());
    assert!(store.get("/registry/long", None).await.unwrap().0.is_some());
}

/// Many entries with the same time to live, as events have it: all end, each is reported.
pub async fn leases_are_shared(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    let writers = (0..8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for at in 0..25 {
                let key = format!("/registry/events/{writer}-{at}");
                store.put(&key, "x".into(), Expect::Absent, Some(Duration::from_secs(3))).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut watch = store.watch(watch_of("/registry/events/", from)).await.unwrap();
    let mut gone = std::collections::BTreeSet::new();
    let ended = tokio::time::timeout(WITHIN, async {
        while gone.len() < 200 {
            for event in next(&mut watch).await.unwrap().events {
                if let Event::Delete { key, prev, .. } = event {
                    assert!(prev.is_some());
                    assert!(gone.insert(key), "ended twice");
                }
            }
        }
    });
    ended.await.expect("all end");
    assert!(store.range(RangeRequest::prefix("/registry/events/")).await.unwrap().kvs.is_empty());
}

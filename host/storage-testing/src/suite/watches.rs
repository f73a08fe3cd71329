//! Watches: complete, in order, once.

use std::sync::Arc;

use futures::StreamExt as _;
use portcullis_storage::{Event, Expect, Store, StoreWatch};

use super::{WITHIN, events, line, next, put, watch_of};

/// What has happened before the watch began.
pub async fn watches_from_the_past(store: Arc<dyn Store>) {
    let store = &store;
    let first = put(store, "/registry/a/1", "1").await;
    put(store, "/registry/a/1", "2").await;
    put(store, "/registry/b/1", "elsewhere").await;
    let third = put(store, "/registry/a/2", "3").await;
    store.delete("/registry/a/1", Expect::Any).await.unwrap();
    put(store, "/registry/a/1", "4").await;
    let all =
        ["+/registry/a/1 1<", "=/registry/a/1 2<1", "+/registry/a/2 3<", "-/registry/a/1 <2", "+/registry/a/1 4<"];
    let check = async |from: u64, expected: &[&str]| {
        let mut watch = store.watch(watch_of("/registry/a/", from)).await.unwrap();
        let lines: Vec<_> = events(&mut watch, expected.len()).await.iter().map(line).collect();
        assert_eq!(lines, expected, "from {from}");
    };
    check(first, &all).await;
    check(first + 1, &all[1..]).await;
    check(third, &all[2..]).await;
    check(third + 1, &all[3..]).await;
    // Without previous entries.
    let watch = StoreWatch { prev: false, ..watch_of("/registry/a/", first) };
    let lines: Vec<_> = events(&mut store.watch(watch).await.unwrap(), 5).await.iter().map(line).collect();
    assert_eq!(lines[1], "=/registry/a/1 2<");
    // Every revision once and in order.
    let mut watch = store.watch(watch_of("/registry/", first)).await.unwrap();
    let revisions: Vec<_> = events(&mut watch, 6).await.iter().map(Event::revision).collect();
    assert_eq!(revisions, (first..first + 6).collect::<Vec<_>>());
}

/// What happens while the watch is there, while several write.
pub async fn watches_live(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    let mut watches = Vec::new();
    for writer in 0..4 {
        watches.push(store.watch(watch_of(&format!("/registry/{writer}/"), from)).await.unwrap());
    }
    let mut whole = store.watch(watch_of("/registry/", from)).await.unwrap();
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for at in 0..50 {
                put(&store, &format!("/registry/{writer}/{}", at % 7), &at.to_string()).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for watch in &mut watches {
        let values: Vec<_> =
            events(watch, 50).await.iter().map(|event| line(event).split(' ').nth(1).unwrap().to_owned()).collect();
        let expected: Vec<_> =
            (0..50).map(|at| format!("{at}<{}", if at < 7 { String::new() } else { (at - 7).to_string() })).collect();
        assert_eq!(values, expected);
    }
    let revisions: Vec<_> = events(&mut whole, 200).await.iter().map(Event::revision).collect();
    assert_eq!(revisions, (from..from + 200).collect::<Vec<_>>(), "none missing, none twice");
}

/// A watch from a revision that has not come waits for it.
pub async fn watches_of_the_future(store: Arc<dyn Store>) {
    let store = &store;
    let now = store.revision().await.unwrap();
    let mut watch = store.watch(watch_of("/registry/", now + 3)).await.unwrap();
    for at in 1..=4 {
        put(store, &format!("/registry/{at}"), "x").await;
    }
    let lines: Vec<_> = events(&mut watch, 2).await.iter().map(line).collect();
    assert_eq!(lines, ["+/registry/3 x<", "+/registry/4 x<"]);
}

/// A watcher that takes nothing for a while misses nothing, and holds nobody up.
pub async fn slow_watcher(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    let mut watch = store.watch(watch_of("/registry/", from)).await.unwrap();
    let value = "v".repeat(20_000);
    for at in 0..400 {
        put(&store, &format!("/registry/{}", at % 5), &value).await;
    }
    let revisions: Vec<_> = events(&mut watch, 400).await.iter().map(Event::revision).collect();
    assert_eq!(revisions, (from..from + 400).collect::<Vec<_>>());
}

/// A watch that wants progress reaches revisions of writes elsewhere once asked, and never names one too early.
pub async fn progress_outside_the_prefix(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    let watch = StoreWatch { progress: true, ..watch_of("/registry/a/", from) };
    let mut watch = store.watch(watch).await.unwrap();
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            for at in 0..300 {
                let folder = if at % 3 == 0 { "a" } else { "b" };
                let revision = put(&store, &format!("/registry/{folder}/{at}"), "x").await;
                if folder == "a" {
                    mine.push(revision);
                }
            }
            mine
        })
    };
    let mut seen = Vec::new();
    let mut reached = 0;
    let mut last = None;
    let done = tokio::time::timeout(WITHIN, async {
        let mut asked = tokio::time::interval(std::time::Duration::from_millis(20));
        let mut writer = writer;
        loop {
            tokio::select! {
                written = &mut writer, if last.is_none() => last = Some((written.unwrap(), store.revision().await.unwrap())),
                _ = asked.tick() => store.request_progress().await.unwrap(),
                batch = next(&mut watch) => {
                    let batch = batch.unwrap();
                    for event in &batch.events {
                        assert!(event.revision() > reached, "an event at {} after {reached}", event.revision());
                        seen.push(event.revision());
                    }
                    assert!(batch.revision >= reached, "progress went back from {reached} to {}", batch.revision);
                    reached = batch.revision;
                }
            }
            if let Some((mine, revision)) = &last
                && reached >= *revision
            {
                return mine.clone();
            }
        }
    });
    let mine = done.await.expect("the watch reaches the store's revision");
    assert_eq!(seen, mine, "every event before the revision that covers it");
}

/// Watches that nobody reads any more leave the store as it was.
pub async fn dropped_watches(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    for at in 0..100 {
        let mut watch = store.watch(watch_of("/registry/", from)).await.unwrap();
        if at % 2 == 0 {
            put(&store, "/registry/a", "x").await;
            assert!(watch.next().await.is_some());
        }
    }
    let mut watch = store.watch(watch_of("/registry/", from)).await.unwrap();
    assert_eq!(events(&mut watch, 50).await.len(), 50);
}

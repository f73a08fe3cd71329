//! What happens while members of etcd die, hang, or cannot be reached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use portcullis_storage::cache::{CacheHub, HubOptions, JsonCodec, WatchItem, WatchRequest, WatchStart};
use portcullis_storage::{Event, Expect, Store, StoreError, StoreWatch};
use portcullis_storage_etcd::{EtcdOptions, EtcdStore};
use portcullis_storage_testing::etcd::{Etcd, find};
use portcullis_storage_testing::proxy::Proxy;

fn options(etcd: &Etcd) -> EtcdOptions {
    let mut options = EtcdOptions::new(etcd.urls());
    if let Some(tls) = &etcd.tls {
        options.ca_file = Some(tls.ca.clone());
        options.cert_file = Some(tls.cert.clone());
        options.key_file = Some(tls.key.clone());
    }
    options
}

fn watch_all(from: u64) -> StoreWatch {
    StoreWatch { prefix: "/registry/".into(), from, prev: true, progress: false }
}

/// Writes until told to stop; gives the revisions that were acknowledged.
fn writer(store: &Arc<dyn Store>, stop: tokio::sync::watch::Receiver<bool>) -> tokio::task::JoinHandle<Vec<u64>> {
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        while !*stop.borrow() {
            match store.put("/registry/a", "x".into(), Expect::Any, None).await {
                Ok(revision) => acknowledged.push(revision),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        acknowledged
    })
}

/// The revisions of a watch up to `last`.
async fn revisions_until(watch: &mut portcullis_storage::BatchStream, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|seen| *seen < last) {
        let batch = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("events in time");
        seen.extend(batch.unwrap().unwrap().events.iter().map(Event::revision));
    }
    seen
}

/// Makes faults under load, and checks that every acknowledged write is there and was watched, once and in order.
async fn under_load(store: Arc<dyn Store>, mut faults: impl AsyncFnMut()) {
    let from = store.revision().await.unwrap() + 1;
    let mut watch = store.watch(watch_all(from)).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writer = writer(&store, stopped);
    faults().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.send_replace(true);
    let acknowledged = writer.await.unwrap();
    assert!(acknowledged.len() > 20, "only {} writes were taken", acknowledged.len());
    assert!(acknowledged.is_sorted_by(|a, b| a < b), "a revision was given twice");
    let last = store.put("/registry/last", "x".into(), Expect::Any, None).await.unwrap();
    let seen = revisions_until(&mut watch, last).await;
    assert_eq!(seen, (from..=last).collect::<Vec<_>>(), "nothing missing, nothing twice");
}

async fn restarts(version: &str) {
    let Some(binary) = find(version) else { return };
    let mut etcd = Etcd::start(&binary, 1, false);
    let store = EtcdStore::open(options(&etcd)).await.unwrap();
    under_load(store, async || {
        for pause in [0, 300, 1500] {
            tokio::time::sleep(Duration::from_millis(300)).await;
            etcd.kill(0);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            etcd.restart(0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_3_4() {
    restarts("3.4").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_3_5() {
    restarts("3.5.16").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_with_tls_take_over_from_each_other() {
    let Some(binary) = find("") else { return };
    let mut etcd = Etcd::start(&binary, 3, true);
    let refused = EtcdStore::open(EtcdOptions {
        cert_file: None,
        key_file: None,
        open_within: Duration::from_secs(1),
        ..options(&etcd)
    });
    assert!(matches!(refused.await, Err(StoreError::Unavailable(_))), "etcd asks for a client's certificate");
    let store = EtcdStore::open(options(&etcd)).await.unwrap();
    under_load(store, async || {
        for member in 0..3 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            etcd.kill(member);
            tokio::time::sleep(Duration::from_secs(2)).await;
            etcd.restart(member);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        etcd.pause(1, true);
        tokio::time::sleep(Duration::from_secs(3)).await;
        etcd.pause(1, false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_etcd_everything_fails_soon_and_recovers() {
    let Some(binary) = find("") else { return };
    let mut etcd = Etcd::start(&binary, 1, false);
    let store = EtcdStore::open(options(&etcd)).await.unwrap();
    store.put("/registry/a", "x".into(), Expect::Absent, None).await.unwrap();
    etcd.kill(0);
    let began = Instant::now();
    let (put, get, health) = tokio::join!(
        store.put("/registry/b", "x".into(), Expect::Absent, None),
        store.get("/registry/a", None),
        store.health(),
    );
    for error in [put.unwrap_err(), get.unwrap_err(), health.unwrap_err()] {
        assert!(error.is_transient(), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    etcd.restart(0);
    assert!(store.get("/registry/a", None).await.unwrap().0.is_some());
    store.health().await.unwrap();
    store.put("/registry/b", "x".into(), Expect::Absent, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_missed_history_starts_over() {
    let Some(binary) = find("") else { return };
    let etcd = Etcd::start(&binary, 1, false);
    let proxy = Proxy::to(&etcd.urls()[0]).await;
    let direct = EtcdStore::open(options(&etcd)).await.unwrap();
    let behind = EtcdStore::open(EtcdOptions::new(vec![proxy.url.clone()])).await.unwrap();
    let object =
        |step: u64| format!(r#"{{"kind":"T","apiVersion":"v1","metadata":{{"name":"a"}},"step":{step}}}"#).into();
    direct.put("/registry/things/a", object(0), Expect::Any, None).await.unwrap();
    direct.put("/registry/things/b", object(0), Expect::Any, None).await.unwrap();
    let hub = CacheHub::start(behind, HubOptions::default()).await.unwrap();
    let cache = hub.resource("/registry/things/", Arc::new(JsonCodec::new(&[])));
    assert_eq!(cache.snapshot(None).await.unwrap().objects.len(), 2);
    let request =
        WatchRequest { prefix: "/registry/things/".into(), start: WatchStart::Now, filter: None, index: None };
    let mut watcher = cache.watch(request).await.unwrap();
    proxy.set_open(false);
    direct.delete("/registry/things/b", Expect::Any).await.unwrap();
    let last = direct.put("/registry/things/a", object(1), Expect::Any, None).await.unwrap();
    direct.compact(last).await.unwrap();
    let cut_off = cache.get("/registry/things/a", None).await;
    assert!(cut_off.is_err(), "a consistent read is not answered from a cache that may be old");
    proxy.set_open(true);
    let lagged = tokio::time::timeout(Duration::from_secs(10), watcher.next()).await.unwrap();
    assert!(matches!(lagged, Some(WatchItem::Lagged)), "{lagged:?}");
    let snapshot = cache.snapshot(None).await.unwrap();
    assert!(snapshot.revision >= last);
    assert_eq!(snapshot.objects.len(), 1);
    assert_eq!(snapshot.objects.get("/registry/things/a").unwrap().value()["step"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_take_turns_at_compaction() {
    const EVERY: Duration = Duration::from_millis(400);
    let Some(binary) = find("") else { return };
    let etcd = Etcd::start(&binary, 1, false);
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(EtcdStore::open(EtcdOptions { compact_every: Some(EVERY), ..options(&etcd) }).await.unwrap());
    }
    let began = Instant::now();
    let mut compacted = std::collections::BTreeSet::new();
    let mut written = Vec::new();
    while began.elapsed() < EVERY * 12 {
        let now = Instant::now();
        written.push((now, stores[0].put("/registry/a", "x".into(), Expect::Any, None).await.unwrap()));
        let at = stores[1].compacted_revision().await.unwrap();
        if compacted.insert(at) && at > 0 {
            let newest = written.iter().rev().find(|(_, revision)| *revision <= at);
            let age = newest.map(|(when, _)| when.elapsed());
            assert!(age.is_none_or(|age| age >= EVERY * 3 / 4), "history of {age:?} was discarded");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(compacted.len() >= 4, "{compacted:?}");
    assert!(compacted.len() <= 14, "they compact more often than one would: {compacted:?}");
}

#[tokio::test]
async fn options_that_cannot_be_used() {
    let check = async |options: EtcdOptions, expected: &str| match EtcdStore::open(options).await.map(drop) {
        Err(StoreError::Unsupported(message)) => assert!(message.contains(expected), "{message}"),
        other => panic!("{expected}: {other:?}"),
    };
    let of = |url: &str| EtcdOptions::new(vec![url.to_owned()]);
    check(EtcdOptions::new(Vec::new()), "--etcd-servers is needed").await;
    check(of("127.0.0.1:2379"), "neither a http:// nor a https:// URL").await;
    check(of("https://127.0.0.1:1"), "--etcd-cafile").await;
    check(EtcdOptions { ca_file: Some("/none".into()), ..of("https://127.0.0.1:1") }, "--etcd-cafile /none").await;
}

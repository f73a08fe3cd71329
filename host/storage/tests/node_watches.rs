//! A kubelet's watch costs nothing for the pods of other nodes: it is neither woken by their events nor asked about them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};

use portcullis_storage::cache::{
    CacheHub, CachedObject, EventKind, HubOptions, JsonCodec, ResourceCache, SelectableField, WatchItem, WatchRequest,
    WatchStart,
};
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage::{Expect, Store};

const PODS: &str = "/registry/pods/";
const NODES: usize = 100;

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}

async fn pod(store: &Arc<dyn Store>, name: &str, node: usize, step: usize) -> u64 {
    let value = format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}"}},"spec":{{"nodeName":"node-{node}"}},"step":{step}}}"#
    );
    store.put(&format!("{PODS}{name}"), value.into(), Expect::Any, None).await.unwrap()
}

async fn cache(store: &Arc<dyn Store>) -> (CacheHub, Arc<ResourceCache>) {
    let hub = CacheHub::start(Arc::clone(store), HubOptions::default()).await.unwrap();
    let path = vec!["spec".to_owned(), "nodeName".to_owned()];
    let field = SelectableField { name: "spec.nodeName".into(), path, fallback: Vec::new(), absent: "".into() };
    let cache = hub.resource(PODS, Arc::new(JsonCodec::new(&[field])));
    (hub, cache)
}

#[tokio::test]
async fn the_pods_of_other_nodes_cost_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path(), EmbeddedOptions::default()).await.unwrap();
    let (_hub, cache) = cache(&store).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let mut watchers = Vec::new();
    for node in 0..NODES {
        let (asked, wanted) = (Arc::clone(&asked), format!("node-{node}"));
        let filter = move |object: &CachedObject| {
            asked.fetch_add(1, Ordering::SeqCst);
            object.field("spec.nodeName") == Some(&wanted)
        };
        let index = Some(("spec.nodeName".to_owned(), format!("node-{node}")));
        let request =
            WatchRequest { prefix: PODS.into(), start: WatchStart::Now, filter: Some(Arc::new(filter)), index };
        watchers.push(cache.watch(request).await.unwrap());
    }
    let wakes: Vec<Arc<Wakes>> = (0..NODES).map(|_| Arc::default()).collect();
    {
        let mut waiting: Vec<_> = watchers.iter_mut().map(|watcher| Box::pin(watcher.next())).collect();
        for (future, wakes) in waiting.iter_mut().zip(&wakes) {
            let waker = Arc::clone(wakes).into();
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        // Only pods of node 0 come, change, and go.
        for step in 0..300 {
            pod(&store, &format!("pod-{}", step % 30), 0, step).await;
        }
        for step in 0..30 {
            store.delete(&format!("{PODS}pod-{step}"), Expect::Any).await.unwrap();
        }
        assert!(count(&wakes[0].0) > 0, "the node's own watch is woken");
        for (node, wakes) in wakes.iter().enumerate().skip(1) {
            assert_eq!(count(&wakes.0), 0, "the watch of node {node} was woken for another's pods");
        }
        assert_eq!(count(&asked), 0, "nobody has looked yet");
    }
    // The own node's watch has everything, and its filter is asked of its own events alone.
    let mut seen = 0;
    while watchers[0].try_next().is_some() {
        seen += 1;
    }
    assert_eq!(seen, 330);
    for watcher in &mut watchers[1..] {
        assert!(watcher.try_next().is_none());
    }
    // Of each event the object before and after.
    assert!(count(&asked) <= 2 * 330, "filters were asked {} times", count(&asked));

    // A pod that moves concerns both nodes, and nobody else.
    pod(&store, "moves", 1, 0).await;
    let moved = pod(&store, "moves", 2, 1).await;
    let kinds = |watcher: &mut portcullis_storage::cache::Watcher| {
        let mut kinds = Vec::new();
        while let Some(WatchItem::Event(event)) = watcher.try_next() {
            kinds.push((
                event.kind,
                event.object.field("spec.nodeName").unwrap_or_default().to_owned(),
                event.revision,
            ));
        }
        kinds
    };
    assert_eq!(
        kinds(&mut watchers[1]),
        [(EventKind::Added, "node-1".to_owned(), moved - 1), (EventKind::Deleted, "node-1".to_owned(), moved)]
    );
    assert_eq!(kinds(&mut watchers[2]), [(EventKind::Added, "node-2".to_owned(), moved)]);
    assert_eq!(kinds(&mut watchers[3]), []);
}

/// A watch that begins in the past has the past events of its node, and an event that came in while it was being made.
#[tokio::test]
async fn a_watch_from_the_past_has_its_own_past() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path(), EmbeddedOptions::default()).await.unwrap();
    let (_hub, cache) = cache(&store).await;
    cache.snapshot(None).await.unwrap();
    let from = store.revision().await.unwrap();
    for step in 0..40 {
        pod(&store, &format!("pod-{step}"), step % 4, step).await;
    }
    let index = Some(("spec.nodeName".to_owned(), "node-3".to_owned()));
    let start = WatchStart::Revision(from + 20);
    let request = WatchRequest { prefix: PODS.into(), start, filter: None, index };
    let mut watcher = cache.watch(request).await.unwrap();
    let mut revisions = Vec::new();
    while let Some(WatchItem::Event(event)) = watcher.try_next() {
        revisions.push(event.revision - from);
    }
    assert_eq!(revisions, [24, 28, 32, 36, 40]);
    let waker = std::task::Waker::noop();
    assert!(matches!(pin!(watcher.next()).poll(&mut Context::from_waker(waker)), Poll::Pending));
}

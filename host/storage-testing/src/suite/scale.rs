//! Many writers, large values, large answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_storage::{Expect, RangeRequest, Store, StoreError};

use super::{events, watch_of};

/// Writers that count with compare-and-swap lose no step, and no revision is given twice.
pub async fn concurrent_counters(store: Arc<dyn Store>) {
    let writers = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            while revisions.len() < 25 {
                let current = store.get("/registry/counter", None).await.unwrap().0;
                let count: u64 =
                    current.as_ref().map_or(0, |kv| std::str::from_utf8(&kv.value).unwrap().parse().unwrap());
                let expect = Expect::ModRevision(current.map_or(0, |kv| kv.mod_revision));
                match store.put("/registry/counter", (count + 1).to_string().into(), expect, None).await {
                    Ok(revision) => revisions.push(revision),
                    Err(StoreError::Conflict { current }) => assert!(current.is_some()),
                    Err(other) => panic!("{other}"),
                }
            }
            revisions
        })
    });
    let mut all = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        for revision in writer.await.unwrap() {
            assert!(all.insert(revision), "revision {revision} was given twice");
        }
    }
    assert_eq!(store.get("/registry/counter", None).await.unwrap().0.unwrap().value, "200");
}

/// A megabyte goes in and comes back; what is too large is refused, whole, with its size.
pub async fn large_values(store: Arc<dyn Store>) {
    let value = Bytes::from(vec![b'x'; 1_000_000]);
    store.put("/registry/large", value.clone(), Expect::Absent, None).await.unwrap();
    assert_eq!(store.get("/registry/large", None).await.unwrap().0.unwrap().value, value);
    for size in [1_572_865, 3_000_000, 20_000_000] {
        match store.put("/registry/too-large", vec![b'x'; size].into(), Expect::Any, None).await {
            Err(StoreError::TooLarge { size: said, limit }) => assert!(said == size && limit < size),
            other => panic!("{size}: {other:?}"),
        }
    }
    assert_eq!(store.get("/registry/too-large", None).await.unwrap().0, None);
    store.put("/registry/large", "small".into(), Expect::Any, None).await.unwrap();
}

/// Answers of tens of megabytes, at once, in pages, and as a watch from the beginning.
pub async fn large_ranges(store: Arc<dyn Store>) {
    let from = store.revision().await.unwrap() + 1;
    let value = Bytes::from(vec![b'x'; 100_000]);
    for at in 0..200 {
        store.put(&format!("/registry/{at:03}"), value.clone(), Expect::Absent, None).await.unwrap();
    }
    let whole = store.range(RangeRequest::prefix("/registry/")).await.unwrap();
    assert_eq!((whole.kvs.len(), whole.more), (200, false));
    assert!(whole.kvs.iter().all(|kv| kv.value == value));
    let mut request = RangeRequest { limit: 64, ..RangeRequest::prefix("/registry/") };
    let mut keys = Vec::new();
    loop {
        let page = store.range(request.clone()).await.unwrap();
        keys.extend(page.kvs.iter().map(|kv| Arc::clone(&kv.key)));
        assert_eq!(page.remaining, 200 - keys.len() as u64);
        if !page.more {
            break;
        }
        request.at = Some(page.revision);
        request.start = format!("{}\0", keys[keys.len() - 1]);
    }
    assert_eq!(keys, whole.kvs.iter().map(|kv| Arc::clone(&kv.key)).collect::<Vec<_>>());
    let mut watch = store.watch(watch_of("/registry/", from)).await.unwrap();
    assert_eq!(events(&mut watch, 200).await.len(), 200);
}

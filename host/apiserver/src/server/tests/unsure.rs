//! A store that is behind and that does not always say what it did, as etcd is while members of it fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use portcullis_storage::{BatchStream, Expect, KeyValue, RangeRequest, RangeResponse, StoreWatch};

use super::*;

/// See the module.
struct Unsure {
    inner: Arc<dyn Store>,
    /// The next write takes place, and is answered with an error.
    silent: AtomicBool,
    /// Whether the caches hear of writes.
    open: tokio::sync::watch::Sender<bool>,
}

impl Unsure {
    fn said<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if self.silent.swap(false, Ordering::SeqCst) {
            assert!(result.is_ok(), "the write itself takes place");
            return Err(StoreError::Unavailable("the answer was lost".into()));
        }
        result
    }
}

#[async_trait]
impl Store for Unsure {
    async fn get(&self, key: &str, at: Option<u64>) -> Result<(Option<KeyValue>, u64), StoreError> {
        self.inner.get(key, at).await
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StoreError> {
        self.inner.range(request).await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, ttl: Option<Duration>) -> Result<u64, StoreError> {
        let result = self.inner.put(key, value, expect, ttl).await;
        if key.starts_with("/registry/configmaps/default/") { self.said(result) } else { result }
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<(KeyValue, u64), StoreError> {
        let result = self.inner.delete(key, expect).await;
        if key.starts_with("/registry/configmaps/default/") { self.said(result) } else { result }
    }

    async fn watch(&self, watch: StoreWatch) -> Result<BatchStream, StoreError> {
        let open = self.open.subscribe();
        let gated = self.inner.watch(watch).await?.then(move |batch| {
            let mut open = open.clone();
            async move {
                // It is opened again, or the test is over.
                let _ = open.wait_for(|open| *open).await;
                batch
            }
        });
        Ok(gated.boxed())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.inner.revision().await
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.inner.compact(revision).await
    }

    async fn compacted_revision(&self) -> Result<u64, StoreError> {
        self.inner.compacted_revision().await
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.inner.request_progress().await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.inner.health().await
    }
}

const PATH: &str = "/api/v1/namespaces/default/configmaps";

async fn unsure() -> (Fixture, Arc<Unsure>) {
    let made: Arc<OnceLock<Arc<Unsure>>> = Arc::default();
    let slot = Arc::clone(&made);
    let fixture = over(Duration::from_secs(60), move |inner| {
        let store = Unsure { inner, silent: AtomicBool::new(false), open: tokio::sync::watch::Sender::new(true) };
        let store = Arc::new(store);
        let _ = slot.set(Arc::clone(&store));
        store
    })
    .await;
    fixture.server.start(&CancellationToken::new()).await.unwrap();
    let store = Arc::clone(made.get().unwrap());
    (fixture, store)
}

async fn made(fixture: &Fixture, name: &str) -> Value {
    let object = json!({"metadata": {"name": name}, "data": {"a": "1"}});
    let (code, made) = fixture.admin("POST", PATH, object).await;
    assert_eq!(code, 201, "{made}");
    // So that the caches have it: what follows is tried with what they have first.
    assert_eq!(fixture.admin("GET", &format!("{PATH}/{name}"), Value::Null).await.0, 200);
    made
}

#[tokio::test]
async fn a_write_without_an_answer_is_not_made_again() {
    let (fixture, store) = unsure().await;
    let check = async |what: &str, method: &str, path: &str, body: Value| {
        store.silent.store(true, Ordering::SeqCst);
        let kind = if method == "PATCH" { "application/json-patch+json" } else { "application/json" };
        let headers = [("content-type", kind)];
        let (code, bytes) = fixture.raw(method, path, &headers, Body::from(body.to_string())).await;
        let status: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((code, &status["reason"]), (504, &json!("ServerTimeout")), "{what}: {status}");
        assert!(!store.silent.load(Ordering::SeqCst), "{what}: it was written");
    };
    let create = json!({"metadata": {"name": "created"}});
    check("a create", "POST", PATH, create).await;
    let mut replaced = made(&fixture, "replaced").await;
    replaced["data"]["a"] = "2".into();
    check("a replacement", "PUT", &format!("{PATH}/replaced"), replaced).await;
    made(&fixture, "patched").await;
    let patch = json!([{"op": "copy", "from": "/data/a", "path": "/data/b"}, {"op": "remove", "path": "/data/a"}]);
    // Made again it would be refused: there is nothing to copy any more.
    check("a patch", "PATCH", &format!("{PATH}/patched"), patch).await;
    made(&fixture, "deleted").await;
    check("a deletion", "DELETE", &format!("{PATH}/deleted"), json!({"kind": "DeleteOptions", "apiVersion": "v1"}))
        .await;
}

#[tokio::test]
async fn that_nothing_changes_is_not_believed_of_an_old_version() {
    let (fixture, store) = unsure().await;
    made(&fixture, "a").await;
    let path = format!("{PATH}/a");
    store.open.send_replace(false);
    // Another server's write, of which the caches have not heard.
    let key = "/registry/configmaps/default/a";
    let (entry, _) = store.inner.get(key, None).await.unwrap();
    let entry = entry.unwrap();
    let mut object: Value = serde_json::from_slice(&entry.value).unwrap();
    object["data"]["a"] = "2".into();
    let expect = Expect::ModRevision(entry.mod_revision);
    let bytes = portcullis_machinery::codec::encode(&object);
    let newer = store.inner.put(key, bytes, expect, None).await.unwrap();
    let patch = Body::from(r#"{"data":{"a":"1"}}"#);
    let headers = [("content-type", "application/merge-patch+json")];
    let (answer, ()) = tokio::join!(fixture.raw("PATCH", &path, &headers, patch), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        store.open.send_replace(true);
    });
    let (code, patched) = (answer.0, serde_json::from_slice::<Value>(&answer.1).unwrap());
    assert_eq!((code, &patched["data"]["a"]), (200, &json!("1")), "{patched}");
    let version: u64 = patched["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(version > newer, "the patch to 1 was taken for no change, though it had become 2 meanwhile");
}

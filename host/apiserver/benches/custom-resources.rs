//! What lists of custom resources cost: `cargo bench -p portcullis-apiserver --bench custom-resources`.
//!
//! 10,000 instances of a definition that serves 50 versions, stored in the first: a list in the stored version, the first
//! list in another one, for which every object's form is made, and the lists after it; and the form alone. Least times
//! over some rounds, since the question is what the work costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use portcullis_apiserver::admission::NoAdmission;
use portcullis_apiserver::authn::{Authenticated, Authenticators, ConnectionInfo, PeerCertificates};
use portcullis_apiserver::authz::Authorizer;
use portcullis_apiserver::pki::Pki;
use portcullis_apiserver::server::Parts;
use portcullis_apiserver::tokens::TokenIssuer;
use portcullis_apiserver::{ApiServer, ServerConfig, UserInfo};
use portcullis_machinery::definition::{Registry, RuntimeConfig};
use portcullis_machinery::{Status, Value};
use portcullis_storage::cache::{CacheHub, HubOptions};
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage::{Expect, Tenant};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const OBJECTS: usize = 10_000;
const VERSIONS: usize = 50;

/// Whoever asks is an administrator.
struct Everybody;

#[async_trait]
impl Authenticators for Everybody {
    async fn authenticate(&self, _: &Value) -> Result<Option<Authenticated>, Status> {
        let groups = vec!["system:masters".to_owned()];
        let user = UserInfo { username: "bench".to_owned(), groups, ..UserInfo::default() };
        Ok(Some(Authenticated { user, remember: true }))
    }

    fn generation(&self) -> u64 {
        1
    }
}

fn definition() -> Value {
    let version = |n: usize| {
        json!({"name": format!("v{n}"), "served": true, "storage": n == 1, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {
                "size": {"type": "integer", "default": 1}, "image": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}},
                format!("only{n}"): {"type": "string"},
            }}},
        }}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.bench.test"},
        "spec": {"group": "bench.test", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
            "versions": (1..=VERSIONS).map(version).collect::<Vec<_>>()}})
}

async fn ask(server: &Arc<ApiServer>, method: &str, path: &str, body: &Value) -> (u16, usize) {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.body(body).expect("a good request");
    let response = server.handle(request, ConnectionInfo::in_process(Arc::new(PeerCertificates::default()))).await;
    let code = response.status().as_u16();
    (code, response.into_body().collect().await.map(|body| body.to_bytes().len()).unwrap_or_default())
}

async fn list(server: &Arc<ApiServer>, version: usize) -> (f64, usize) {
    let start = Instant::now();
    let path = format!("/apis/bench.test/v{version}/things?resourceVersion=0");
    let (code, bytes) = ask(server, "GET", &path, &Value::Null).await;
    assert_eq!(code, 200, "a list in v{version}");
    (start.elapsed().as_secs_f64() * 1e3, bytes)
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = ServerConfig { data_dir: dir.path().to_owned(), ..ServerConfig::default() };
    let pki = Arc::new(Pki::open(&config).expect("certificates"));
    let store = EmbeddedStore::open(&dir.path().join("store"), EmbeddedOptions::default()).await.expect("a store");
    let hub = Arc::new(CacheHub::start(store.clone(), HubOptions::default()).await.expect("caches"));
    let server = ApiServer::new(Parts {
        tenant: Tenant::default(),
        tokens: Arc::new(TokenIssuer::new(&config, &pki).expect("keys")),
        authorizer: Arc::new(Authorizer::new(config.authorization_mode.clone())),
        config,
        store: store.clone(),
        hub,
        registry: Arc::new(Registry::builtin(&RuntimeConfig::default())),
        authenticators: Arc::new(Everybody),
        admission: Arc::new(NoAdmission),
        pki,
    });
    server.start(&CancellationToken::new()).await.expect("a server");
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(ask(&server, "POST", crds, &definition()).await.0, 201, "the definition");
    while ask(&server, "GET", "/apis/bench.test/v1/things", &Value::Null).await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let puts = (0..OBJECTS).map(|n| {
        let value = json!({"kind": "Thing", "apiVersion": "bench.test/v1",
            "metadata": {"name": format!("t{n}"), "namespace": "default", "uid": format!("u{n}"), "labels": {"n": "x"}},
            "spec": {"size": n, "image": "registry.example/app:1", "tags": ["a", "b"], "only1": "x"}});
        let (store, key) = (store.clone(), format!("/registry/bench.test/things/default/t{n}"));
        async move { store.put(&key, portcullis_machinery::codec::encode(&value), Expect::Any, None).await }
    });
    for put in futures::future::join_all(puts).await {
        put.expect("a write");
    }
    let row = |what: &str, millis: f64, bytes: usize| println!("{what:<52} {millis:>9.2} ms  {:>6} KiB", bytes >> 10);
    let mut stored = f64::MAX;
    let mut bytes = 0;
    for _ in 0..10 {
        let (millis, size) = list(&server, 1).await;
        (stored, bytes) = (stored.min(millis), size);
    }
    row("10,000 objects in the stored version", stored, bytes);
    let (mut first, mut again) = (f64::MAX, f64::MAX);
    for version in 2..=VERSIONS {
        let (millis, size) = list(&server, version).await;
        (first, bytes) = (first.min(millis), size);
        again = again.min(list(&server, version).await.0);
    }
    row("in another version, for the first time", first, bytes);
    row("in another version, again", again, bytes);
}

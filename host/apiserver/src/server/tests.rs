//! The whole way of a request, with native authenticators in place of the components.

mod admission;
mod conversion;
mod protobuf;
mod unsure;

use super::*;
use std::collections::BTreeMap;

use async_trait::async_trait;
use http_body_util::BodyExt;
use portcullis_machinery::definition::RuntimeConfig;
use portcullis_storage::cache::HubOptions;
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use serde_json::json;

use crate::admission::NoAdmission;
use crate::authn::{Authenticated, PeerCertificates};
use crate::pki::Component;

/// What the first-party authenticators do, without their checks of the cluster.
struct Native(portcullis_policy::KeySets);

#[async_trait]
impl Authenticators for Native {
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status> {
        let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let token = text("/authorization/token");
        if let Some(claims) = crate::tokens::claims_of(token) {
            let (message, signature) = token.rsplit_once('.').unwrap_or_default();
            use base64::Engine;
            let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            let good = self.0.verify("service-account", "", "ES256", message.as_bytes(), &signature);
            if good != Ok(true) {
                return Err(Status::unauthorized());
            }
            let claim = |path: &str| claims.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let namespace = claim("/kubernetes.io/namespace");
            let user = UserInfo {
                username: claim("/sub"),
                uid: claim("/kubernetes.io/serviceaccount/uid"),
                groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")],
                extra: vec![(
                    "authentication.kubernetes.io/credential-id".into(),
                    vec![format!("JTI={}", claim("/jti"))],
                )],
            };
            return Ok(Some(Authenticated { user, remember: false }));
        }
        match token {
            "" => {}
            "panic" => panic!("a test's panic"),
            "slow" => std::future::pending().await,
            _ => return Ok(None),
        }
        let name = text("/tls/peerCertificates/0/subject/commonName");
        if name.is_empty() {
            return Ok(None);
        }
        let groups = document.pointer("/tls/peerCertificates/0/subject/organization").and_then(Value::as_array);
        let fingerprint = text("/tls/peerCertificates/0/fingerprint");
        let user = UserInfo {
            username: name.into(),
            groups: groups.into_iter().flatten().filter_map(|group| group.as_str().map(str::to_owned)).collect(),
            extra: vec![(
                "authentication.kubernetes.io/credential-id".into(),
                vec![format!("X509SHA256={fingerprint}")],
            )],
            ..UserInfo::default()
        };
        Ok(Some(Authenticated { user, remember: true }))
    }

    fn generation(&self) -> u64 {
        1
    }
}

/// A server in a directory of its own.
pub struct Fixture {
    /// The server.
    pub server: Arc<ApiServer>,
    /// The administrator's certificate.
    pub admin: Arc<PeerCertificates>,
    _dir: tempfile::TempDir,
}

/// A server that serves.
pub async fn fixture() -> Fixture {
    let fixture = with_timeout(std::time::Duration::from_secs(60)).await;
    fixture.server.start(&CancellationToken::new()).await.unwrap();
    fixture
}

/// A server without its bootstrap policy.
pub async fn unstarted() -> Fixture {
    with_timeout(std::time::Duration::from_millis(300)).await
}

async fn with_timeout(request_timeout: std::time::Duration) -> Fixture {
    over(request_timeout, |store| store).await
}

/// A server over what `wrap` makes of the store.
async fn over(request_timeout: std::time::Duration, wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        data_dir: dir.path().to_owned(),
        request_timeout,
        node_restriction: true,
        ..ServerConfig::default()
    };
    let pki = Arc::new(Pki::open(&config).unwrap());
    let tokens = Arc::new(TokenIssuer::new(&config, &pki).unwrap());
    let store = EmbeddedStore::open(&dir.path().join("store"), EmbeddedOptions::default()).await.unwrap();
    let store = wrap(store);
    let hub = Arc::new(CacheHub::start(store.clone(), HubOptions::default()).await.unwrap());
    let runtime = RuntimeConfig { all: false, switches: BTreeMap::new() };
    let server = ApiServer::new(Parts {
        tenant: Tenant::default(),
        store,
        hub,
        registry: Arc::new(Registry::builtin(&runtime)),
        authenticators: Arc::new(Native(tokens.key_sets().unwrap())),
        authorizer: Arc::new(Authorizer::new(config.authorization_mode.clone())),
        admission: Arc::new(NoAdmission),
        pki: pki.clone(),
        tokens,
        config,
    });
    let admin = pki.verify_client(pki.identity(Component::Admin).chain.clone());
    Fixture { server, admin, _dir: dir }
}

impl Fixture {
    /// Sends a request; the answer's code and body.
    pub async fn send(
        &self,
        peer: &Arc<PeerCertificates>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let (code, bytes) = self.bytes(peer, method, path, &all, body).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::String(text)))
    }

    async fn bytes(
        &self,
        peer: &Arc<PeerCertificates>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> (u16, bytes::Bytes) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.server.handle(request.body(body).unwrap(), ConnectionInfo::in_process(peer.clone())).await;
        let code = response.status().as_u16();
        assert!(response.headers().contains_key("audit-id"));
        (code, response.into_body().collect().await.unwrap().to_bytes())
    }

    /// A request of the administrator's with a body of any kind.
    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> (u16, bytes::Bytes) {
        self.bytes(&self.admin, method, path, headers, body).await
    }

    /// A request of the administrator's.
    pub async fn admin(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(&self.admin, method, path, &[], body).await
    }

    async fn anonymous(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        self.send(&Arc::new(PeerCertificates::default()), method, path, headers, Value::Null).await
    }
}

#[tokio::test]
async fn probes_refusals_and_reviews() {
    let fixture = fixture().await;
    assert_eq!(fixture.anonymous("GET", "/livez", &[]).await, (200, json!("ok")));
    assert_eq!(fixture.anonymous("GET", "/version", &[]).await.1["minor"], "36");
    let (code, status) = fixture.anonymous("GET", "/api/v1/pods", &[]).await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
    );
    assert_eq!(fixture.anonymous("GET", "/api/v1/pods", &[("authorization", "Bearer nope")]).await.0, 401);
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "system:kube-scheduler", "resourceAttributes": {"verb": "list", "resource": "nodes"}}});
    let (code, answer) = fixture.admin("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await;
    assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(true)), "{answer}");
    assert_eq!(
        answer["status"]["reason"],
        "RBAC: allowed by ClusterRoleBinding \"system:kube-scheduler\" of ClusterRole \"system:kube-scheduler\" to User \
         \"system:kube-scheduler\""
    );
    let (code, answer) = fixture
        .admin("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json!({"spec": {"user": "x"}}))
        .await;
    assert_eq!(code, 422, "{answer}");
}

#[tokio::test]
async fn a_token_is_issued_recognised_and_reviewed() {
    let fixture = fixture().await;
    let made = fixture.admin("POST", "/api/v1/namespaces", json!({"metadata": {"name": "ns"}})).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let made =
        fixture.admin("POST", "/api/v1/namespaces/ns/serviceaccounts", json!({"metadata": {"name": "sa"}})).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let path = "/api/v1/namespaces/ns/serviceaccounts/sa/token";
    let (code, request) = fixture.admin("POST", path, json!({"spec": {}})).await;
    assert_eq!(code, 201, "{request}");
    let token = request["status"]["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let (code, status) = fixture.anonymous("GET", "/api/v1/namespaces/ns/pods", &[("authorization", &bearer)]).await;
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains("system:serviceaccount:ns:sa"), "{status}");
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let (_, review) = fixture.admin("POST", reviews, json!({"spec": {"token": token}})).await;
    assert_eq!(review["status"]["authenticated"], true, "{review}");
    assert_eq!(review["status"]["audiences"], json!(["https://kubernetes.default.svc"]));
    let (_, review) = fixture.admin("POST", reviews, json!({"spec": {"token": token, "audiences": ["other"]}})).await;
    assert_eq!(
        review["status"]["error"],
        "[invalid bearer token, token audiences [\"https://kubernetes.default.svc\"] is invalid for the target audiences \
         [\"other\"]]"
    );
    assert_eq!(fixture.admin("POST", reviews, json!({"spec": {}})).await.0, 400);
    let (code, status) = fixture.admin("POST", path, json!({"spec": {"expirationSeconds": 10}})).await;
    assert_eq!(code, 422, "{status}");
}

#[tokio::test]
async fn authorization_follows_what_is_written() {
    let fixture = fixture().await;
    let (code, _) = fixture.admin("POST", "/api/v1/namespaces", json!({"metadata": {"name": "ns"}})).await;
    assert_eq!(code, 201);
    let jo = [("impersonate-user", "jo")];
    let list = "/api/v1/namespaces/ns/configmaps";
    assert_eq!(fixture.send(&fixture.admin, "GET", list, &jo, Value::Null).await.0, 403);
    let binding = json!({"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "jo",
        "apiGroup": "rbac.authorization.k8s.io"}], "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole", "name": "view"}});
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings";
    let (code, answer) = fixture.admin("POST", path, binding).await;
    assert_eq!(code, 201, "{answer}");
    let mut code = 0;
    for _ in 0..100 {
        code = fixture.send(&fixture.admin, "GET", list, &jo, Value::Null).await.0;
        if code == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(code, 200);
}

#[tokio::test]
async fn a_panic_or_a_stall_ends_one_request() {
    let fixture = unstarted().await;
    let (code, status) = fixture.anonymous("GET", "/livez", &[("authorization", "Bearer panic")]).await;
    assert_eq!((code, &status["reason"]), (500, &json!("InternalError")), "{status}");
    let (code, status) = fixture.anonymous("GET", "/livez", &[("authorization", "Bearer slow")]).await;
    assert_eq!((code, &status["reason"]), (504, &json!("Timeout")), "{status}");
    assert_eq!(fixture.admin("GET", "/livez", Value::Null).await, (200, json!("ok")));
    let (code, text) = fixture.admin("GET", "/metrics", Value::Null).await;
    let text = text.as_str().unwrap_or_default();
    assert!(code == 200 && text.contains("apiserver_request_total{code=\"500\""), "{text}");
}

//! Who asks, and whether they may.
//!
//! A client certificate of the cluster's CA, or else a bearer token that the API server's TokenReview knows, is who asks.
//! Whether they may is for a SubjectAccessReview on a subresource of the node: the kubelet decides nothing itself. Answers
//! are remembered for a while, as monitoring asks the same many times a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use parking_lot::Mutex;
use portcullis_client::resource::Resource;
use portcullis_client::{Client, ObjectExt as _};
use portcullis_machinery::Value;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::routes::text;
use super::{ServerConfig, ServerError, certificate};

const TOKEN_REVIEWS: Resource = Resource::fixed("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false);
const ACCESS_REVIEWS: Resource =
    Resource::fixed("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false);

/// How long an answer about a token counts.
const TOKEN_TTL: Duration = Duration::from_secs(120);
const ALLOWED_TTL: Duration = Duration::from_secs(300);
const DENIED_TTL: Duration = Duration::from_secs(30);
/// The most answers of one sort that are remembered.
const MAX_REMEMBERED: usize = 4096;

/// The certificates that a connection's client has shown (and proven the key of).
pub(super) struct Peer {
    chain: Vec<CertificateDer<'static>>,
}

impl Peer {
    pub(super) fn new(chain: Option<&[CertificateDer<'_>]>) -> Self {
        Self { chain: chain.unwrap_or_default().iter().map(|certificate| certificate.clone().into_owned()).collect() }
    }
}

/// A user in the form of reviews (`user` or `username`, `uid`, `groups`, `extra`).
#[derive(Clone, Debug, Default, PartialEq)]
struct User {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: Value,
}

/// Answers that are remembered, each until its time.
struct Remembered<T>(Mutex<HashMap<Vec<u8>, (Instant, T)>>);

impl<T: Clone> Remembered<T> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: &[u8]) -> Option<T> {
        let known = self.0.lock();
        known.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, answer)| answer.clone())
    }

    fn put(&self, key: Vec<u8>, ttl: Duration, answer: T) {
        let now = Instant::now();
        let mut known = self.0.lock();
        if known.len() >= MAX_REMEMBERED {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key, (now + ttl, answer));
    }
}

/// What every request passes first.
pub(super) struct Gate {
    client: Client,
    node_name: String,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    tokens: Remembered<Option<User>>,
    decisions: Remembered<bool>,
}

impl Gate {
    pub(super) fn new(client: Client, config: &ServerConfig) -> Result<Self, ServerError> {
        Ok(Self {
            client,
            node_name: config.node_name.clone(),
            verifier: certificate::verifier(config.client_ca.as_deref())?,
            tokens: Remembered::new(),
            decisions: Remembered::new(),
        })
    }

    /// Lets a request pass, or says what it is refused with.
    pub(super) async fn pass(&self, peer: &Peer, request: &Parts) -> Result<(), Response<Body>> {
        let user = match self.by_certificate(peer) {
            Some(user) => Some(user),
            None => self.by_token(request).await,
        };
        let user = user.ok_or_else(|| text(StatusCode::UNAUTHORIZED, "Unauthorized"))?;
        let verb = verb(&request.method);
        let subresources = subresources(request.uri.path());
        for subresource in &subresources {
            match self.may(&user, verb, subresource).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(why) => {
                    tracing::warn!(user = user.name, verb, subresource, why, "a request cannot be authorized");
                    let message = format!(
                        "Authorization error (user={}, verb={verb}, resource=nodes, subresource={subresource})",
                        user.name
                    );
                    return Err(text(StatusCode::INTERNAL_SERVER_ERROR, message));
                }
            }
        }
        let message = format!(
            "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{}])\n",
            user.name,
            subresources.join(" ")
        );
        Err(text(StatusCode::FORBIDDEN, message))
    }

    fn by_certificate(&self, peer: &Peer) -> Option<User> {
        let (leaf, rest) = peer.chain.split_first()?;
        self.verifier.as_ref()?.verify_client_cert(leaf, rest, UnixTime::now()).ok()?;
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let subject = parsed.subject();
        let name = subject.iter_common_name().filter_map(|name| name.as_str().ok()).last()?.to_owned();
        let organizations = subject.iter_organization().filter_map(|name| Some(name.as_str().ok()?.to_owned()));
        let groups = organizations.chain(["system:authenticated".to_owned()]).collect();
        (!name.is_empty()).then_some(User { name, groups, ..User::default() })
    }

    async fn by_token(&self, request: &Parts) -> Option<User> {
        let given = request.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = given.split_once(' ')?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return None;
        }
        // What is kept does not tell what the token is.
        let key = Sha256::digest(token).to_vec();
        if let Some(known) = self.tokens.get(&key) {
            return known;
        }
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        });
        let answer = match self.client.create(&TOKEN_REVIEWS, "", &review).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "a token cannot be checked");
                return None;
            }
        };
        let found = answer.at(&["status", "user"]).filter(|_| answer.bool_at(&["status", "authenticated"]));
        let user = found.map(|user| User {
            name: user.str_at(&["username"]).to_owned(),
            uid: user.str_at(&["uid"]).to_owned(),
            groups: user.list_at(&["groups"]).iter().filter_map(|group| Some(group.as_str()?.to_owned())).collect(),
            extra: user.get("extra").cloned().unwrap_or_default(),
        });
        self.tokens.put(key, TOKEN_TTL, user.clone());
        user
    }

    async fn may(&self, user: &User, verb: &str, subresource: &str) -> Result<bool, String> {
        let mut spec = json!({
            "user": user.name, "groups": user.groups,
            "resourceAttributes": {
                "verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": self.node_name,
            },
        });
        if !user.uid.is_empty() {
            spec["uid"] = user.uid.clone().into();
        }
        if !user.extra.is_null() {
            spec["extra"] = user.extra.clone();
        }
        let key = spec.to_string().into_bytes();
        if let Some(known) = self.decisions.get(&key) {
            return Ok(known);
        }
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
        let answer = self.client.create(&ACCESS_REVIEWS, "", &review).await.map_err(|error| error.to_string())?;
        let allowed = answer.bool_at(&["status", "allowed"]);
        self.decisions.put(key, if allowed { ALLOWED_TTL } else { DENIED_TTL }, allowed);
        Ok(allowed)
    }
}

/// The API's verb for a method.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

/// The subresources of the node that a path belongs to; the right on one of them is enough.
fn subresources(path: &str) -> Vec<&'static str> {
    let below = |top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let narrow = [
        ("/pods", "pods"),
        ("/runningpods", "pods"),
        ("/healthz", "healthz"),
        ("/configz", "configz"),
        ("/statusz", "statusz"),
        ("/flagz", "flagz"),
    ];
    let own = [("/stats", "stats"), ("/metrics", "metrics"), ("/logs", "log"), ("/checkpoint", "checkpoint")];
    if let Some((_, subresource)) = own.iter().find(|(top, _)| below(top)) {
        return vec![subresource];
    }
    // Paths of these were nodes/proxy alone once, and whoever has that may still use them.
    let narrow = narrow.iter().find(|(top, _)| below(top)).map(|(_, subresource)| *subresource);
    narrow.into_iter().chain(["proxy"]).collect()
}

#[cfg(test)]
mod tests;

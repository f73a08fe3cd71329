//! Step 1: who is calling? The host gathers the credentials and verifies what needs a key; the authenticator components
//! decide.

pub mod impersonation;
pub mod static_tokens;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::HeaderMap;
use parking_lot::Mutex;
use portcullis_machinery::{Status, Value};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::context::{RequestInfo, UserInfo};

/// For how long an answer about a certificate is taken for granted on its connection: as long as the reference keeps
/// answers about tokens.
const REMEMBER_FOR: Duration = Duration::from_secs(10);

/// The name of callers without credentials.
pub const ANONYMOUS: &str = "system:anonymous";
/// The name of whoever holds the recovery certificate.
pub const RECOVERY: &str = "system:portcullis:recovery";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// What the authenticator components found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is. The host adds the group `system:authenticated` itself.
    pub user: UserInfo,
    /// Whether the same credential may be taken for the same user without asking again until
    /// [`Authenticators::generation`] changes: true only if every component that was asked is pure and read nothing of
    /// the document but `tls` and `authorization`.
    pub remember: bool,
}

/// The chain of authenticator components.
#[async_trait]
pub trait Authenticators: Send + Sync + 'static {
    /// Asks the components in order about the document described in `wit/worlds.wit` (interface `authenticator`).
    /// `None` if all had no opinion. `authorization.audiences` is there if the caller wants the token checked for other
    /// audiences than the server's own (TokenReview); a component that knows which of them the token is for names them in
    /// the extra [`AUDIENCES_EXTRA`], which the host takes out.
    ///
    /// # Errors
    /// 401 if a component rejected the credential, 500 or 503 if one could not be asked.
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status>;

    /// A number that changes whenever the chain or the configuration of one of its members does.
    fn generation(&self) -> u64;

    /// Whether a component of the chain reads the request's headers, so that they are worth gathering.
    fn reads_headers(&self) -> bool {
        false
    }
}

/// The extra key in which a token authenticator names those of the wanted audiences that the token is for.
pub const AUDIENCES_EXTRA: &str = "portcullis.dev/audiences";

#[derive(Debug)]
struct Memo {
    generation: u64,
    until: Instant,
    user: UserInfo,
}

/// The certificates that a client showed, and whether they lead to a client CA.
#[derive(Debug, Default)]
pub struct PeerCertificates {
    /// Leaf first; empty if the client showed none.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whether the chain was verified against the client CAs.
    pub verified: bool,
    /// Whether the leaf is the cluster's own recovery certificate.
    pub recovery: bool,
    document: OnceLock<Value>,
    memo: Mutex<Option<Memo>>,
}

impl PeerCertificates {
    /// A chain and what its verification found.
    pub fn new(chain: Vec<CertificateDer<'static>>, verified: bool) -> Self {
        Self { chain, verified, ..Self::default() }
    }

    /// The chain as authenticators see it.
    fn document(&self) -> &Value {
        self.document.get_or_init(|| Value::Array(self.chain.iter().filter_map(|der| describe(der)).collect()))
    }

    /// Whether the leaf's time is now; a connection may outlive it.
    fn is_current(&self) -> bool {
        let now = jiff::Timestamp::now().as_millisecond();
        let leaf = |field: &str| self.document().pointer(&format!("/0/{field}")).and_then(Value::as_i64);
        leaf("notBefore").is_some_and(|at| at <= now) && leaf("notAfter").is_some_and(|at| now <= at)
    }
}

/// One certificate in the form of `wit/worlds.wit`.
fn describe(der: &[u8]) -> Option<Value> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let texts = |name: &x509_parser::prelude::X509Name<'_>, what: &str| -> Vec<String> {
        let attributes: Vec<_> = match what {
            "CN" => name.iter_common_name().collect(),
            _ => name.iter_organization().collect(),
        };
        attributes.into_iter().filter_map(|attribute| attribute.as_str().ok()).map(str::to_owned).collect()
    };
    // The last CN counts, as in the reference's parser.
    let common_name = |name| texts(name, "CN").pop().unwrap_or_default();
    let (mut dns, mut uris) = (Vec::new(), Vec::new());
    if let Ok(Some(extension)) = parsed.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => dns.push(*name),
                GeneralName::URI(uri) => uris.push(*uri),
                _ => {}
            }
        }
    }
    Some(json!({
        "subject": {"commonName": common_name(parsed.subject()), "organization": texts(parsed.subject(), "O")},
        "issuer": {"commonName": common_name(parsed.issuer())},
        "serialNumber": hex::encode(parsed.raw_serial()),
        "notBefore": parsed.validity().not_before.timestamp() * 1000,
        "notAfter": parsed.validity().not_after.timestamp() * 1000,
        "dnsNames": dns,
        "uris": uris,
        "fingerprint": hex::encode(Sha256::digest(der)),
    }))
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The other end's address.
    pub remote: SocketAddr,
    /// Its certificates, shared by all requests of the connection.
    pub peer: Arc<PeerCertificates>,
    /// Whether it is a function call within the server's process.
    pub in_process: bool,
}

impl ConnectionInfo {
    /// A connection from `remote`, with what it showed.
    pub fn new(remote: SocketAddr, peer: Arc<PeerCertificates>) -> Self {
        Self { remote, peer, in_process: false }
    }

    /// A caller within the process, with the certificates of its component ([`crate::pki::Pki::verify_client`]).
    pub fn in_process(peer: Arc<PeerCertificates>) -> Self {
        Self::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), peer)
    }
}

/// No authenticators: everyone is anonymous. For tests.
#[derive(Debug, Default)]
pub struct NoAuthenticators;

#[async_trait]
impl Authenticators for NoAuthenticators {
    async fn authenticate(&self, _document: &Value) -> Result<Option<Authenticated>, Status> {
        Ok(None)
    }

    fn generation(&self) -> u64 {
        0
    }
}

/// The scheme and the credential of the Authorization header, or the token of a websocket's subprotocol
/// (`base64url.bearer.authorization.k8s.io.<token>`), which browsers use since they cannot set the header.
fn authorization(headers: &HeaderMap) -> Option<(String, String)> {
    if let Some(value) = headers.get(http::header::AUTHORIZATION) {
        let value = value.to_str().ok()?.trim();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        return Some((scheme.to_owned(), token.trim_start().to_owned()));
    }
    use base64::Engine;
    let protocols = headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    protocols.flat_map(|value| value.split(',')).find_map(|protocol| {
        let encoded = protocol.trim().strip_prefix("base64url.bearer.authorization.k8s.io.")?;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).ok()?;
        Some(("Bearer".to_owned(), String::from_utf8(token).ok()?))
    })
}

/// The headers as authenticators see them: lists of texts by name in lower case. The Authorization header has a place of
/// its own in the document, and what is no text is left out.
fn headers_of(headers: &HeaderMap) -> Value {
    let mut all = serde_json::Map::new();
    for (name, value) in headers {
        if name != http::header::AUTHORIZATION
            && let Ok(text) = value.to_str()
            && let Value::Array(values) = all.entry(name.as_str()).or_insert_with(|| json!([]))
        {
            values.push(text.into());
        }
    }
    Value::Object(all)
}

/// Adds the group of those who are known.
pub fn with_authenticated_group(mut user: UserInfo) -> UserInfo {
    let known = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
    if user.username != ANONYMOUS && !user.groups.iter().any(known) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}

/// Says who is calling.
///
/// # Errors
/// 401 if a credential was rejected, or given and recognised by nobody, or if there is none and anonymous access is off;
/// 500 or 503 if a component failed.
pub async fn authenticate(
    authenticators: &dyn Authenticators,
    anonymous: bool,
    headers: &HeaderMap,
    info: &RequestInfo,
    method: &str,
    connection: &ConnectionInfo,
) -> Result<UserInfo, Status> {
    let peer = &connection.peer;
    let authorization = authorization(headers);
    let certified = peer.verified && peer.is_current();
    if certified && peer.recovery {
        let groups = vec!["system:masters".to_owned(), AUTHENTICATED.to_owned()];
        return Ok(UserInfo { username: RECOVERY.to_owned(), groups, ..UserInfo::default() });
    }
    let generation = authenticators.generation();
    if authorization.is_none()
        && certified
        && let Some(memo) = &*peer.memo.lock()
        && memo.generation == generation
        && Instant::now() < memo.until
    {
        return Ok(memo.user.clone());
    }
    let mut document = json!({
        "request": {"method": method, "path": info.path, "sourceIP": connection.remote.ip().to_string()},
    });
    if authenticators.reads_headers() {
        document["request"]["headers"] = headers_of(headers);
    }
    if certified {
        document["tls"] = json!({"peerCertificates": peer.document()});
    }
    if let Some((scheme, token)) = &authorization {
        document["authorization"] = json!({"scheme": scheme, "token": token});
    }
    let found = if certified || authorization.is_some() || authenticators.generation() != 0 {
        authenticators.authenticate(&document).await?
    } else {
        None
    };
    if let Some(found) = found {
        let mut user = found.user;
        user.extra.retain(|(key, _)| key != AUDIENCES_EXTRA);
        let user = with_authenticated_group(user);
        if found.remember && authorization.is_none() && certified {
            *peer.memo.lock() = Some(Memo { generation, until: Instant::now() + REMEMBER_FOR, user: user.clone() });
        }
        return Ok(user);
    }
    let bearer = |(scheme, token): &(String, String)| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    let unknown_certificate = !peer.chain.is_empty() && !certified;
    if unknown_certificate || authorization.as_ref().is_some_and(bearer) || !anonymous {
        return Err(Status::unauthorized());
    }
    Ok(UserInfo { username: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..UserInfo::default() })
}

#[cfg(test)]
mod tests;

//! ServiceAccount tokens: issuing (TokenRequest), the keys that check them, and their publication.

mod keys;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};
use portcullis_policy::KeySets;
use ring::rand::SystemRandom;
use serde_json::json;

use crate::context::Context;
use crate::pki::Pki;
use crate::server::ApiServer;
use crate::server_config::ServerConfig;
use keys::{PublicKey, Signer};

pub use keys::KeyError;

/// The name of the key set of ServiceAccount tokens.
pub const KEY_SET: &str = "service-account";
/// The lifetime that the projected token of a pod asks for; it marks tokens that may be extended.
const EXTENDABLE: i64 = 3607;
/// What such a token's lifetime is extended to: a year.
const EXTENDED: i64 = 365 * 24 * 3600;

/// Signs ServiceAccount tokens, and holds the keys that check them.
pub struct TokenIssuer {
    issuer: String,
    signer: Signer,
    keys: Vec<PublicKey>,
    random: SystemRandom,
}

impl TokenIssuer {
    /// An issuer with the PKI's signing key, and the further keys that tokens may be signed with.
    ///
    /// # Errors
    /// If a key is of a kind that is not supported.
    pub fn new(config: &ServerConfig, pki: &Pki) -> Result<Self, KeyError> {
        let signer = Signer::from_pem(pki.service_account_key_pem())?;
        let mut keys = vec![signer.public()?];
        for (path, pem) in pki.service_account_public_pems() {
            let found = PublicKey::all_from_pem(pem).map_err(|why| KeyError(format!("{}: {why}", path.display())))?;
            for key in found {
                if keys.iter().all(|known| known.id != key.id) {
                    keys.push(key);
                }
            }
        }
        let issuer = config.service_account_issuers.first().cloned().unwrap_or_default();
        Ok(Self { issuer, signer, keys, random: SystemRandom::new() })
    }

    /// The key set that checks them, for components: its name is [`KEY_SET`].
    ///
    /// # Errors
    /// If a key cannot be used.
    pub fn key_sets(&self) -> Result<KeySets, KeyError> {
        let key = |key: &PublicKey| portcullis_policy::PublicKey::from_spki_der(Some(&key.id), &key.spki);
        let keys = self.keys.iter().map(key).collect::<Result<_, _>>().map_err(|error| KeyError(error.to_string()))?;
        let sets = KeySets::default();
        sets.replace(KEY_SET, keys);
        Ok(sets)
    }

    /// Signs claims as a JWT (RFC 7519).
    ///
    /// # Errors
    /// 500 if the key cannot sign.
    pub fn sign(&self, claims: &Value) -> Result<String, Status> {
        let header = json!({"alg": self.signer.algorithm(), "kid": self.keys.first().map(|key| &key.id)});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.signer.sign(message.as_bytes(), &self.random).map_err(Status::internal)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The key set (RFC 7517).
    pub fn jwks(&self) -> Value {
        json!({"keys": self.keys.iter().map(PublicKey::jwk).collect::<Vec<_>>()})
    }

    /// The discovery document (OpenID Connect Discovery 1.0, section 3), as far as ServiceAccount tokens need it.
    pub fn openid_configuration(&self, config: &ServerConfig) -> Value {
        let jwks_uri = config
            .service_account_jwks_uri
            .clone()
            .unwrap_or_else(|| format!("{}/openid/v1/jwks", crate::pki::server_url(config)));
        let mut algorithms: Vec<&str> = self.keys.iter().map(PublicKey::algorithm).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        json!({
            "issuer": self.issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        })
    }
}

/// The claims of a token without checking its signature: for a token that an authenticator accepted already.
pub fn claims_of(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn invalid(name: &str, field: &str, value: &str, detail: &str) -> Status {
    let cause = Cause::field(FieldErrorType::Invalid, field, value, detail);
    Status::invalid("authentication.k8s.io", "TokenRequest", name, vec![cause])
}

fn reference(object: &Value) -> Value {
    json!({"name": object::name(object), "uid": object::uid(object)})
}

/// The object that a token is bound to, as claims; empty if it is bound to none.
async fn bound_to(
    server: &ApiServer,
    namespace: &str,
    account: &str,
    bound: Option<&Value>,
) -> Result<serde_json::Map<String, Value>, Status> {
    let mut claims = serde_json::Map::new();
    let Some(bound) = bound.filter(|bound| !bound.is_null()) else { return Ok(claims) };
    let text = |key: &str| object::str_at(bound, &[key]).unwrap_or_default();
    let (kind, api_version, name) = (text("kind"), text("apiVersion"), text("name"));
    let (plural, scope) = match (api_version, kind) {
        ("v1", "Pod") => ("pods", namespace),
        ("v1", "Secret") => ("secrets", namespace),
        ("v1", "Node") => ("nodes", ""),
        _ => {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let message = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(Status::bad_request(message));
        }
    };
    let found = server.read("", "v1", plural, scope, name).await?;
    let found = found.ok_or_else(|| Status::not_found("", plural, name))?;
    let wanted_uid = text("uid");
    if !wanted_uid.is_empty() && wanted_uid != object::uid(&found) {
        let why = format!(
            "the UID in the bound object reference ({wanted_uid}) does not match the UID in record. The object might have \
             been deleted and then recreated"
        );
        return Err(Status::conflict("", plural, name, &why));
    }
    if kind == "Pod" {
        if object::str_at(&found, &["spec", "serviceAccountName"]).unwrap_or_default() != account {
            let message = format!(
                "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
            );
            return Err(Status::bad_request(message));
        }
        let node = object::str_at(&found, &["spec", "nodeName"]).unwrap_or_default();
        if !node.is_empty() {
            let known = server.read("", "v1", "nodes", "", node).await?;
            claims.insert("node".to_owned(), known.map_or_else(|| json!({"name": node}), |node| reference(&node)));
        }
    }
    claims.insert(kind.to_lowercase(), reference(&found));
    Ok(claims)
}

/// `POST …/serviceaccounts/{name}/token`: takes and returns a TokenRequest. `account` is the stored ServiceAccount.
///
/// # Errors
/// 400, 404, 409 or 422 as the reference answers.
pub async fn create_token(
    server: &ApiServer,
    cx: &Context,
    account: &Value,
    mut request: Value,
) -> Result<Value, Status> {
    let (namespace, name) = (object::namespace(account).to_owned(), object::name(account).to_owned());
    let given = object::namespace(&request);
    if !given.is_empty() && given != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let given = object::name(&request);
    if !given.is_empty() && given != name {
        let detail = "must match the service account name if specified";
        return Err(invalid(&name, "metadata.name", &format!("{given:?}"), detail));
    }
    if request.get("spec").is_none_or(Value::is_null) {
        object::set_at(&mut request, &["spec"], json!({}));
    }
    if object::list_at(&request, &["spec", "audiences"]).is_empty() {
        object::set_at(&mut request, &["spec", "audiences"], json!(server.config.audiences()));
    }
    let mut seconds = object::i64_at(&request, &["spec", "expirationSeconds"]).unwrap_or(3600);
    let bad = |detail: &str| invalid("", "spec.expirationSeconds", &seconds.to_string(), detail);
    if seconds < 600 {
        return Err(bad("may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        return Err(bad("may not specify a duration larger than 2^32 seconds"));
    }
    let bound = request.pointer("/spec/boundObjectRef").cloned();
    let mut kubernetes = bound_to(server, &namespace, &name, bound.as_ref()).await?;
    let longest = server.config.service_account_max_token_expiration.map(|bound: Duration| bound.as_secs());
    if let Some(longest) = longest.and_then(|longest| i64::try_from(longest).ok()) {
        if seconds > longest {
            cx.warn(format!("requested expiration of {seconds} seconds shortened to {longest} seconds"));
            seconds = longest;
        }
    }
    let audiences: Vec<String> = object::list_at(&request, &["spec", "audiences"])
        .iter()
        .filter_map(|audience| audience.as_str().map(str::to_owned))
        .collect();
    let ours = audiences.iter().all(|audience| server.config.audiences().contains(audience));
    let now = jiff::Timestamp::now();
    let issued = now.as_second();
    let mut lifetime = seconds;
    if server.config.service_account_extend_token_expiration
        && seconds == EXTENDABLE
        && kubernetes.contains_key("pod")
        && ours
    {
        // Old clients read their token once; it stays good for a year and is marked, as in the reference.
        kubernetes.insert("warnafter".to_owned(), json!(issued + seconds));
        lifetime = EXTENDED;
    }
    kubernetes.insert("namespace".to_owned(), json!(namespace));
    kubernetes.insert("serviceaccount".to_owned(), reference(account));
    let token = server.tokens.sign(&json!({
        "iss": server.tokens.issuer,
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "aud": audiences,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime,
        "jti": uuid::Uuid::new_v4().to_string(),
        "kubernetes.io": kubernetes,
    }))?;
    object::set_at(&mut request, &["kind"], "TokenRequest");
    object::set_at(&mut request, &["apiVersion"], "authentication.k8s.io/v1");
    object::set_at(&mut request, &["metadata", "name"], name);
    object::set_at(&mut request, &["metadata", "namespace"], namespace);
    object::set_at(&mut request, &["metadata", "uid"], uuid::Uuid::new_v4().to_string());
    object::set_at(&mut request, &["metadata", "creationTimestamp"], object::now_rfc3339());
    object::set_at(&mut request, &["spec", "expirationSeconds"], seconds);
    object::set_at(&mut request, &["spec", "boundObjectRef"], bound.unwrap_or(Value::Null));
    let expires = jiff::Timestamp::from_second(issued + seconds).unwrap_or(now);
    let status = json!({"token": token, "expirationTimestamp": object::rfc3339(expires)});
    object::set_at(&mut request, &["status"], status);
    Ok(request)
}

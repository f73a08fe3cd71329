//! ServiceAccount tokens for pods, renewed before they end.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;
use serde_json::json;

use crate::source::ObjectSource;

/// No token is used longer than this, however long it lives.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// Renewals of tokens that were made together are spread over this many seconds.
const JITTER: f64 = 10.0;
const DEFAULT_LIFE: i64 = 3600;

/// The `TokenRequest` for a projected token: bound to the pod, so that it ends with it.
pub(super) fn request(pod: &Value, audience: &str, expiration_seconds: Option<i64>) -> Value {
    let audiences: Vec<&str> = Some(audience).into_iter().filter(|audience| !audience.is_empty()).collect();
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": expiration_seconds.unwrap_or(DEFAULT_LIFE),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name(), "uid": pod.uid()},
        },
    })
}

struct Known {
    token: String,
    issued: Timestamp,
    expires: Timestamp,
}

impl Known {
    fn read(answer: &Value) -> Result<Self, String> {
        let token = answer.str_at(&["status", "token"]).to_owned();
        let expires = answer.str_at(&["status", "expirationTimestamp"]).parse::<Timestamp>();
        let expires = expires.map_err(|error| format!("the answer's expirationTimestamp: {error}"))?;
        if token.is_empty() {
            return Err("the answer has no token".to_owned());
        }
        let life = answer.int_at(&["spec", "expirationSeconds"]).unwrap_or(DEFAULT_LIFE);
        Ok(Self { token, issued: expires - SignedDuration::from_secs(life), expires })
    }

    /// Whether four fifths of the token's life are over, or the time that any token is used for.
    fn is_due(&self, now: Timestamp, jitter: SignedDuration) -> bool {
        let life = self.expires.duration_since(self.issued);
        now > self.expires - life / 5 - jitter || now > self.issued + MAX_AGE - jitter
    }
}

/// The tokens in use, by the pod and what was asked for.
#[derive(Default)]
pub(super) struct TokenCache {
    known: Mutex<HashMap<(String, String), Arc<Known>>>,
}

impl TokenCache {
    /// A token that is good for a while: the one in use, or a new one if that is due.
    pub(super) async fn token(
        &self,
        source: &dyn ObjectSource,
        namespace: &str,
        service_account: &str,
        pod_uid: &str,
        request: &Value,
    ) -> Result<String, String> {
        self.token_at(source, namespace, service_account, pod_uid, request, Timestamp::now()).await
    }

    async fn token_at(
        &self,
        source: &dyn ObjectSource,
        namespace: &str,
        service_account: &str,
        pod_uid: &str,
        request: &Value,
        now: Timestamp,
    ) -> Result<String, String> {
        let key = (pod_uid.to_owned(), format!("{namespace}/{service_account} {}", request["spec"]));
        let known = self.known.lock().get(&key).cloned();
        let jitter = SignedDuration::from_millis((rand::random::<f64>() * JITTER * 1000.0) as i64);
        if let Some(known) = &known
            && !known.is_due(now, jitter)
        {
            return Ok(known.token.clone());
        }
        let fresh = source.token(namespace, service_account, request).await;
        match fresh.and_then(|answer| Known::read(&answer)) {
            Ok(fresh) => {
                let token = fresh.token.clone();
                self.known.lock().insert(key, Arc::new(fresh));
                Ok(token)
            }
            Err(error) => match known {
                Some(known) if known.expires > now => {
                    tracing::warn!(namespace, service_account, %error, "a token is not renewed yet");
                    Ok(known.token.clone())
                }
                Some(_) => Err(format!("token {namespace}/{service_account} expired and refresh failed: {error}")),
                None => Err(error),
            },
        }
    }

    /// Forgets a pod's tokens.
    pub(super) fn forget(&self, pod_uid: &str) {
        self.known.lock().retain(|(uid, _), _| uid != pod_uid);
    }
}

#[cfg(test)]
mod tests;

//! ServiceAccount tokens: issuing, the public keys, and the TokenRequest subresource.

use portcullis_machinery::{Status, Value};

use crate::context::Context;
use crate::server::ApiServer;

/// Why a signature could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no such key set.
    #[error("there is no key set {0:?}")]
    UnknownKeySet(String),
    /// The algorithm is not supported or does not fit the keys.
    #[error("the algorithm {0:?} is not supported")]
    UnsupportedAlgorithm(String),
}

/// Signs ServiceAccount tokens, and holds the keys that check them.
#[derive(Debug)]
pub struct TokenIssuer {}

impl TokenIssuer {
    /// Whether `signature` over `message` is good under a key of the key set (`service-account` is the only one).
    /// An empty `key_id` tries every key that fits the algorithm (`ES256`, `RS256`, `ES384`, `RS384`, `RS512`).
    ///
    /// # Errors
    /// If the set or the algorithm is not known.
    pub fn verify(
        &self,
        _key_set: &str,
        _key_id: &str,
        _algorithm: &str,
        _message: &[u8],
        _signature: &[u8],
    ) -> Result<bool, SignatureError> {
        Ok(false)
    }
}

/// `POST …/serviceaccounts/{name}/token`: takes and returns a TokenRequest. `account` is the stored ServiceAccount.
///
/// # Errors
/// 400, 409 or 422 as the reference answers.
pub async fn create_token(
    _server: &ApiServer,
    _cx: &Context,
    _account: &Value,
    _request: Value,
) -> Result<Value, Status> {
    Err(Status::unavailable("tokens are not served yet"))
}

//! Key sets: public keys by name, for signature checks on a policy's behalf.

use crate::VerifyError;
use std::{collections::HashMap, sync::Arc};

/// The key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a usable public key: {0}")]
pub struct KeyError(pub String);

/// A public key.
#[derive(Clone, Debug)]
pub struct PublicKey {}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280): RSA, P-256, P-384 or Ed25519. `id` is what a token's `kid` names;
    /// `None` stands for what Kubernetes gives ServiceAccount keys, the base64url of the SHA-256 of the DER form.
    pub fn from_spki_der(id: Option<&str>, der: &[u8]) -> Result<PublicKey, KeyError> {
        todo!()
    }
    /// The same in PEM (`PUBLIC KEY`).
    pub fn from_spki_pem(id: Option<&str>, pem: &str) -> Result<PublicKey, KeyError> {
        todo!()
    }
    /// The key's id.
    pub fn id(&self) -> &str {
        todo!()
    }
}

/// Public keys by the name of their set. Readers never wait for a writer.
#[derive(Default)]
pub struct KeySets(arc_swap::ArcSwap<HashMap<String, Arc<Vec<PublicKey>>>>);

impl KeySets {
    /// Adds a key set or replaces the one of that name.
    pub fn replace(&self, name: &str, keys: Vec<PublicKey>) {
        todo!()
    }
    /// Takes a key set away.
    pub fn remove(&self, name: &str) {
        todo!()
    }
    /// Whether `signature` over `message` is good under a key of the set. `algorithm` is a JOSE name (RFC 7518, RFC
    /// 8037): ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA. With an empty `key_id` every key that
    /// fits the algorithm is tried.
    pub fn verify(
        &self,
        set: &str,
        key_id: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        todo!()
    }
}

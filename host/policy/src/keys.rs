//! Key sets: public keys by name, for signature checks on a policy's behalf.

use crate::VerifyError;
use arc_swap::ArcSwap;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use std::{collections::HashMap, sync::Arc};

/// The key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a usable public key: {0}")]
pub struct KeyError(pub String);

/// What a key is, by which algorithms are matched to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A public key.
#[derive(Clone, Debug)]
pub struct PublicKey {
    id: String,
    kind: Kind,
    /// The key as `ring` wants it: the content of the SubjectPublicKeyInfo's bit string.
    bits: Vec<u8>,
}

// Object identifiers, as DER content: RFC 3279, RFC 5480, RFC 8410.
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;

/// Takes one DER element with this tag off the front: its content and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn parse_spki(der: &[u8]) -> Option<(Option<Kind>, &[u8])> {
    let (spki, []) = element(der, SEQUENCE)? else { return None };
    let (algorithm, rest) = element(spki, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OBJECT_ID)?;
    let (bits, []) = element(rest, BIT_STRING)? else { return None };
    let kind = match oid {
        OID_RSA => Some(Kind::Rsa),
        OID_ED25519 => Some(Kind::Ed25519),
        OID_EC => match element(parameters, OBJECT_ID)?.0 {
            OID_P256 => Some(Kind::P256),
            OID_P384 => Some(Kind::P384),
            _ => None,
        },
        _ => None,
    };
    // The first octet of a bit string counts the unused bits at its end; a key is whole octets.
    let (0, bits) = bits.split_first().map(|(unused, bits)| (*unused, bits))? else { return None };
    Some((kind, bits))
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280): RSA, P-256, P-384 or Ed25519. `id` is what a token's `kid` names;
    /// `None` stands for what Kubernetes gives ServiceAccount keys, the base64url of the SHA-256 of the DER form.
    pub fn from_spki_der(id: Option<&str>, der: &[u8]) -> Result<PublicKey, KeyError> {
        let (kind, bits) = parse_spki(der).ok_or_else(|| KeyError("not a SubjectPublicKeyInfo in DER".to_owned()))?;
        let kind = kind.ok_or_else(|| KeyError("only RSA, P-256, P-384 and Ed25519 keys are supported".to_owned()))?;
        let id = id.map_or_else(|| base64url(ring::digest::digest(&ring::digest::SHA256, der).as_ref()), str::to_owned);
        Ok(PublicKey { id, kind, bits: bits.to_vec() })
    }

    /// The same in PEM (`PUBLIC KEY`).
    pub fn from_spki_pem(id: Option<&str>, pem: &str) -> Result<PublicKey, KeyError> {
        let block = pem::parse(pem).map_err(|error| KeyError(error.to_string()))?;
        if block.tag() != "PUBLIC KEY" {
            return Err(KeyError(format!("a PEM block PUBLIC KEY is wanted, and this is {}", block.tag())));
        }
        PublicKey::from_spki_der(id, block.contents())
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Base64 for URLs without padding (RFC 4648, section 5).
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

/// The kind of key and ring's verifier for a JOSE algorithm (RFC 7518, section 3.1; RFC 8037).
fn algorithm(name: &str) -> Option<(Kind, &'static dyn VerificationAlgorithm)> {
    Some(match name {
        "ES256" => (Kind::P256, &signature::ECDSA_P256_SHA256_FIXED),
        "ES384" => (Kind::P384, &signature::ECDSA_P384_SHA384_FIXED),
        "RS256" => (Kind::Rsa, &signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => (Kind::Rsa, &signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => (Kind::Rsa, &signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => (Kind::Rsa, &signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => (Kind::Rsa, &signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => (Kind::Rsa, &signature::RSA_PSS_2048_8192_SHA512),
        "EdDSA" => (Kind::Ed25519, &signature::ED25519),
        _ => return None,
    })
}

/// Public keys by the name of their set. Readers never wait for a writer.
#[derive(Default)]
pub struct KeySets(ArcSwap<HashMap<String, Arc<Vec<PublicKey>>>>);

impl KeySets {
    /// Adds a key set or replaces the one of that name.
    pub fn replace(&self, name: &str, keys: Vec<PublicKey>) {
        let keys = Arc::new(keys);
        self.0.rcu(|sets| {
            let mut sets = HashMap::clone(sets);
            sets.insert(name.to_owned(), Arc::clone(&keys));
            sets
        });
    }

    /// Takes a key set away.
    pub fn remove(&self, name: &str) {
        self.0.rcu(|sets| {
            let mut sets = HashMap::clone(sets);
            sets.remove(name);
            sets
        });
    }

    /// Whether `signature` over `message` is good under a key of the set. `algorithm` is a JOSE name (RFC 7518, RFC
    /// 8037): ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA. With an empty `key_id` every key that
    /// fits the algorithm is tried.
    pub fn verify(
        &self,
        set: &str,
        key_id: &str,
        algorithm_name: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        let sets = self.0.load();
        let keys = sets.get(set).ok_or_else(|| VerifyError::UnknownKeySet(set.to_owned()))?;
        let unsupported = || VerifyError::UnsupportedAlgorithm(algorithm_name.to_owned());
        let (kind, verifier) = algorithm(algorithm_name).ok_or_else(unsupported)?;
        // The algorithm is a claim of whoever made the token: it selects among keys, and never changes what a key is.
        let mut fitting = keys.iter().filter(|key| key.kind == kind).peekable();
        if fitting.peek().is_none() && !keys.is_empty() {
            return Err(unsupported());
        }
        Ok(fitting
            .filter(|key| key_id.is_empty() || key.id == key_id)
            .any(|key| UnparsedPublicKey::new(verifier, &key.bits).verify(message, signature).is_ok()))
    }
}

#[cfg(test)]
mod tests;

//! What the provider stores: kube-apiserver's `EncryptedObject`.
//!
//! With a seed, each value has a key of its own: HKDF-Expand (SHA-256) of the seed with 32 random bytes, which stand before
//! the value. Two writes then never share a key, and a nonce can be random without limit. Values of a plain AES-GCM key,
//! as kube-apiserver wrote them before 1.29, are read.

use std::collections::BTreeMap;

use prost::Message;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};

use crate::cipher::{self, CipherError, Gcm};

/// The types of [`Envelope::source`].
const KEY: i32 = 0;
pub(super) const SEED: i32 = 1;
/// The sizes of a seed, at least, and of what a value's key is derived with.
const SEED_SIZE: usize = 32;
const INFO: usize = 32;
/// How large the plugin's parts may be.
const MAX_SOURCE: usize = 1024;
const MAX_KEY_ID: usize = 1024;
const MAX_ANNOTATIONS: usize = 32 << 10;

/// See the module.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Envelope {
    /// The value, encrypted.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
    /// The name of the plugin's key.
    #[prost(string, tag = "2")]
    pub key_id: String,
    /// The key or the seed, encrypted by the plugin.
    #[prost(bytes = "vec", tag = "3")]
    pub source: Vec<u8>,
    /// What the plugin wants to be told when it decrypts.
    #[prost(btree_map = "string, bytes", tag = "4")]
    pub annotations: BTreeMap<String, Vec<u8>>,
    /// Which of the two it is.
    #[prost(int32, tag = "5")]
    pub source_type: i32,
}

/// The name of the plugin's key has to be there, and short.
pub(super) fn check_key_id(key_id: &str) -> Result<(), String> {
    match key_id.len() {
        0 => Err("keyID is empty".to_owned()),
        length if length > MAX_KEY_ID => {
            Err(format!("keyID is {length} bytes, which exceeds the max size of {MAX_KEY_ID}"))
        }
        _ => Ok(()),
    }
}

/// Whether a name is a domain of at least two labels, as keys of annotations have to be.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

impl Envelope {
    pub(super) fn check_all_but_data(&self) -> Result<(), String> {
        if !matches!(self.source_type, KEY | SEED) {
            return Err(format!("unknown encryptedDEKSourceType: {}", self.source_type));
        }
        let source = match self.source.len() {
            0 => Err("encrypted DEK source is empty".to_owned()),
            length if length > MAX_SOURCE => {
                Err(format!("encrypted DEK source is {length} bytes, which exceeds the max size of {MAX_SOURCE}"))
            }
            _ => Ok(()),
        };
        source.map_err(|why| format!("failed to validate encrypted DEK source: {why}"))?;
        check_key_id(&self.key_id).map_err(|why| format!("failed to validate key id: {why}"))?;
        let mut errors: Vec<String> = Vec::new();
        for key in self.annotations.keys().filter(|key| !is_domain(key)) {
            errors.push(format!(
                "annotations: Invalid value: {key:?}: should be a domain with at least two segments separated by dots"
            ));
        }
        let size: usize = self.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > MAX_ANNOTATIONS {
            errors
                .push(format!("total size of annotations is {size}, which exceeds the max size of {MAX_ANNOTATIONS}"));
        }
        crate::aggregate(errors).map_or(Ok(()), |why| Err(format!("failed to validate annotations: {why}")))
    }

    pub(super) fn decode(data: &[u8]) -> Result<Self, String> {
        let envelope = <Self as Message>::decode(data).map_err(|error| format!("proto: {error}"))?;
        if envelope.data.is_empty() {
            return Err("encrypted data is empty".to_owned());
        }
        envelope.check_all_but_data()?;
        Ok(envelope)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        // A vector grows as needed.
        let _ = <Self as Message>::encode(self, out);
    }

    /// What the key depends on, without ambiguity.
    pub(crate) fn cache_key(&self) -> Vec<u8> {
        // Not a clone of the whole: the value may be large.
        let without_data = Self {
            data: Vec::new(),
            key_id: self.key_id.clone(),
            source: self.source.clone(),
            annotations: self.annotations.clone(),
            source_type: self.source_type,
        };
        without_data.encode_to_vec()
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// What values are encrypted with.
pub(crate) enum Key {
    Plain(Box<Gcm>),
    Seed(Vec<u8>),
}

impl Key {
    /// A key that the plugin has decrypted.
    pub(super) fn new(source_type: i32, bytes: Vec<u8>) -> Result<Self, String> {
        match source_type {
            SEED if bytes.len() < SEED_SIZE => {
                Err(format!("invalid seed length {} used for key generation", bytes.len()))
            }
            SEED => Ok(Self::Seed(bytes)),
            _ => Gcm::new(&bytes).map(|key| Self::Plain(Box::new(key))).map_err(|error| error.to_string()),
        }
    }

    pub(super) fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut out = Vec::new();
        match self {
            Self::Plain(key) => key.seal(&mut out, plain, bound_to)?,
            Self::Seed(seed) => {
                let info = cipher::random::<INFO>()?;
                out.reserve(INFO + plain.len() + 28);
                out.extend_from_slice(&info);
                derived(seed, &info)?.seal(&mut out, plain, bound_to)?;
            }
        }
        Ok(out)
    }

    pub(super) fn open(&self, data: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, CipherError> {
        match self {
            Self::Plain(key) => key.open(data, bound_to),
            Self::Seed(seed) => {
                let (info, sealed) = data.split_at_checked(INFO).ok_or(CipherError::Short)?;
                derived(seed, info)?.open(sealed, bound_to)
            }
        }
    }
}

/// The key of one value.
fn derived(seed: &[u8], info: &[u8]) -> Result<Gcm, CipherError> {
    let mut key = [0; 32];
    let seed = Prk::new_less_safe(HKDF_SHA256, seed);
    let expanded = seed.expand(&[info], Length).and_then(|expanded| expanded.fill(&mut key));
    expanded.map_err(|_| CipherError::Random)?;
    Gcm::new(&key)
}

#[cfg(test)]
mod tests;

//! The configuration of encryption at rest: `EncryptionConfiguration` of `apiserver.config.k8s.io/v1`.
//!
//! [`parse`] reads a file, strictly; [`validate`] holds it to the reference's rules and says what is wrong in its words.

mod parse;
mod validate;

use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

pub(crate) use validate::split_resource;

/// Why a configuration cannot be used; the texts are those of the reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is no configuration.
    #[error("error while parsing file: {0}")]
    File(String),
    /// What it says cannot be done.
    #[error("error while building transformers: {0}")]
    Providers(String),
}

/// A key of a provider: its name, and the secret in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyConfig {
    pub name: String,
    pub secret: String,
}

/// The provider `kms`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KmsConfig {
    pub api_version: String,
    pub name: String,
    pub cache_size: Option<i64>,
    pub endpoint: String,
    /// In nanoseconds; it may be anything before it has been looked at.
    pub timeout: i64,
}

impl KmsConfig {
    /// The timeout, which is positive in a valid configuration.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_nanos(self.timeout.unsigned_abs())
    }

    /// The path of the socket.
    pub(crate) fn socket(&self) -> String {
        let (_, path) = validate::split_url(&self.endpoint).unwrap_or_default();
        // A name in the abstract namespace.
        path.strip_prefix("/@").map_or_else(|| path.to_owned(), |name| format!("@{name}"))
    }
}

/// An element of `providers`, in which exactly one should be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProviderConfig {
    pub aesgcm: Option<Vec<KeyConfig>>,
    pub aescbc: Option<Vec<KeyConfig>>,
    pub secretbox: Option<Vec<KeyConfig>>,
    pub identity: bool,
    pub kms: Option<KmsConfig>,
}

/// An element of `resources`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceConfig {
    pub resources: Vec<String>,
    pub providers: Vec<ProviderConfig>,
}

/// Reads a file. Also gives the hash of its bytes, by which a change is known.
pub(crate) fn load(path: &Path, reload: bool) -> Result<(Vec<ResourceConfig>, String), ConfigError> {
    let shown = path.display();
    let (bytes, hash) = read(path)?;
    let config = parse::parse(&bytes).map_err(|why| {
        ConfigError::File(format!("error decoding encryption provider configuration file \"{shown}\": {why}"))
    })?;
    let errors = validate::validate(&config, reload);
    match crate::aggregate(errors) {
        Some(why) => Err(ConfigError::File(why)),
        None => Ok((config, hash)),
    }
}

/// A file's bytes and their hash.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, String), ConfigError> {
    let shown = path.display();
    let failed = |why: String| ConfigError::File(format!("error while loading file: {why}"));
    let bytes = std::fs::read(path).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        failed(format!("error reading encryption provider configuration file \"{shown}\": open {shown}: {why}"))
    })?;
    if bytes.is_empty() {
        return Err(failed(format!("encryption provider configuration file \"{shown}\" is empty")));
    }
    let hash = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    Ok((bytes, hash))
}

#[cfg(test)]
mod tests;

//! The providers of a resource: the first one writes, all of them read, each what begins with its prefix.
//!
//! A value that a later provider, or a later key of one, has read is stale: written anew it would be another one.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::aggregate;
use crate::cipher::{Cbc, Cipher, Gcm};
use crate::config::{KeyConfig, ProviderConfig};
use crate::kms::envelope::Envelope;
use crate::kms::{Kms, Opened};
use crate::secretbox::Secretbox;

/// What every encrypted value begins with.
const ENCRYPTED: &[u8] = b"k8s:enc:";
/// What values of each provider begin with; the name of the key follows, or of the plugin.
const AESGCM: &str = "k8s:enc:aesgcm:v1:";
const AESCBC: &str = "k8s:enc:aescbc:v1:";
const SECRETBOX: &str = "k8s:enc:secretbox:v1:";
const KMS: &str = "k8s:enc:kms:v2:";

/// What a value that was read is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub value: Bytes,
    /// Whether it would be written otherwise now.
    pub stale: bool,
}

/// Why a value was not read.
pub(crate) enum Unread {
    /// In the reference's words.
    Failed(String),
    /// A plugin has to be asked first.
    Asks(Arc<Kms>, Box<Envelope>),
}

/// What plugins were asked for and did not give, with the reasons: they are not asked again for the same piece of work.
#[derive(Default)]
pub(crate) struct Refusals {
    /// Plugins that did not answer at all.
    plugins: HashMap<String, String>,
    keys: HashMap<Vec<u8>, String>,
}

impl Refusals {
    /// Asks a plugin for a key, so that what was to be read can be tried again.
    pub(crate) async fn ask(&mut self, kms: &Kms, envelope: &Envelope) {
        if let Err(error) = kms.fetch(envelope).await {
            if error.unanswered {
                self.plugins.insert(kms.name().to_owned(), error.why);
            } else {
                self.keys.insert(envelope.cache_key(), error.why);
            }
        }
    }

    /// Refuses whatever would have to be asked for.
    pub(crate) fn of(kms: &Kms, why: &str) -> Self {
        Self { plugins: HashMap::from([(kms.name().to_owned(), why.to_owned())]), ..Self::default() }
    }

    fn find(&self, kms: &Kms, envelope: &Envelope) -> Option<&String> {
        self.plugins.get(kms.name()).or_else(|| self.keys.get(&envelope.cache_key()))
    }
}

enum Provider {
    Identity,
    Keys { prefix: &'static str, keys: Vec<(String, Cipher)> },
    Kms { prefix: String, kms: Arc<Kms> },
}

/// The providers of a resource, in their order.
pub(crate) struct Chain(Vec<Arc<Provider>>);

/// Whether a value is encrypted.
pub(crate) fn is_encrypted(value: &[u8]) -> bool {
    value.starts_with(ENCRYPTED)
}

/// Values as they are, unless they are encrypted.
pub(crate) fn identity(value: &Bytes) -> Result<Read, Unread> {
    if is_encrypted(value) {
        return Err(Unread::Failed("identity transformer tried to read encrypted data".to_owned()));
    }
    Ok(Read { value: value.clone(), stale: false })
}

fn keys(
    configs: &[KeyConfig],
    make: impl Fn(&[u8]) -> Result<Cipher, String>,
) -> Result<Vec<(String, Cipher)>, String> {
    let key = |config: &KeyConfig| {
        let secret = STANDARD.decode(&config.secret);
        let secret = secret.map_err(|e| format!("could not obtain secret for named key {}: {e}", config.name))?;
        let cipher = make(&secret);
        let cipher = cipher.map_err(|e| format!("error while creating cipher for named key {}: {e}", config.name))?;
        Ok((format!("{}:", config.name), cipher))
    };
    configs.iter().map(key).collect()
}

impl Chain {
    /// The providers of a configuration that is valid; plugins are added to `plugins`.
    pub(crate) fn new(configs: &[ProviderConfig], plugins: &mut Vec<Arc<Kms>>) -> Result<Self, String> {
        let mut providers = Vec::new();
        for config in configs {
            providers.push(Arc::new(Provider::new(config, plugins)?));
        }
        Ok(Self(providers))
    }

    /// Adds the providers of another entry for the same resource.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(Arc::clone));
    }

    /// The same providers once more.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.iter().map(Arc::clone).collect())
    }

    /// The form in which a value is stored.
    pub(crate) fn write(&self, value: Bytes, bound_to: &[u8]) -> Result<Bytes, String> {
        let mut out = Vec::new();
        match self.0.first().map(Arc::as_ref) {
            None | Some(Provider::Identity) => return Ok(value),
            Some(Provider::Keys { prefix, keys }) => {
                let (name, cipher) = keys.first().ok_or("the provider has no keys")?;
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(name.as_bytes());
                cipher.seal(&mut out, &value, bound_to).map_err(|error| error.to_string())?;
            }
            Some(Provider::Kms { prefix, kms }) => {
                out.extend_from_slice(prefix.as_bytes());
                kms.seal(&mut out, &value, bound_to)?;
            }
        }
        Ok(out.into())
    }

    /// What was written, of the form in which it is stored.
    pub(crate) fn read(&self, value: &Bytes, bound_to: &[u8], refusals: &Refusals) -> Result<Read, Unread> {
        let mut errors = Vec::new();
        for (at, provider) in self.0.iter().enumerate() {
            match provider.read(value, bound_to, refusals) {
                None => {}
                Some(Ok(read)) => return Ok(Read { stale: read.stale || at > 0, ..read }),
                Some(Err(Unread::Failed(why))) => errors.push(why),
                Some(Err(asks)) => return Err(asks),
            }
        }
        Err(Unread::Failed(aggregate(errors).unwrap_or_else(|| "no matching prefix found".to_owned())))
    }
}

impl Provider {
    fn new(config: &ProviderConfig, plugins: &mut Vec<Arc<Kms>>) -> Result<Self, String> {
        let ProviderConfig { aesgcm, aescbc, secretbox, kms, .. } = config;
        if let Some(configs) = aesgcm {
            let keys = keys(configs, |key| Gcm::new(key).map(Cipher::Gcm).map_err(|error| error.to_string()))?;
            return Ok(Self::Keys { prefix: AESGCM, keys });
        }
        if let Some(configs) = aescbc {
            let keys = keys(configs, |key| Cbc::new(key).map(Cipher::Cbc).map_err(|error| error.to_string()))?;
            return Ok(Self::Keys { prefix: AESCBC, keys });
        }
        if let Some(configs) = secretbox {
            let make = |key: &[u8]| {
                let wrong = |_| format!("expected key size 32 for secretbox provider, got {}", key.len());
                key.try_into().map(|key| Cipher::Secretbox(Secretbox::new(key))).map_err(wrong)
            };
            return Ok(Self::Keys { prefix: SECRETBOX, keys: keys(configs, make)? });
        }
        let Some(config) = kms else { return Ok(Self::Identity) };
        if config.api_version == "v1" {
            let why = "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  Set \
                       --feature-gates=KMSv1=true to use the deprecated KMSv1 feature.";
            return Err(why.to_owned());
        }
        let kms = Kms::new(&config.name, &config.socket(), config.timeout());
        plugins.push(Arc::clone(&kms));
        Ok(Self::Kms { prefix: format!("{KMS}{}:", config.name), kms })
    }

    /// `None` if the value is not of this provider.
    fn read(&self, value: &Bytes, bound_to: &[u8], refusals: &Refusals) -> Option<Result<Read, Unread>> {
        match self {
            // What is encrypted is for the others.
            Self::Identity => identity(value).ok().map(Ok),
            Self::Keys { prefix, keys } => {
                let rest = value.strip_prefix(prefix.as_bytes())?;
                Some(with_keys(keys, rest, bound_to).map_err(Unread::Failed))
            }
            Self::Kms { prefix, kms } => {
                let rest = value.strip_prefix(prefix.as_bytes())?;
                Some(match kms.open(rest, bound_to) {
                    Ok(Opened::Plain(value, stale)) => Ok(Read { value: value.into(), stale }),
                    Ok(Opened::Asks(envelope)) => match refusals.find(kms, &envelope) {
                        Some(why) => Err(Unread::Failed(why.clone())),
                        None => Err(Unread::Asks(Arc::clone(kms), envelope)),
                    },
                    Err(why) => Err(Unread::Failed(why)),
                })
            }
        }
    }
}

/// Reads with the keys whose name the value has; the same name may be there more than once.
fn with_keys(keys: &[(String, Cipher)], value: &[u8], bound_to: &[u8]) -> Result<Read, String> {
    let mut errors = Vec::new();
    for (at, (name, cipher)) in keys.iter().enumerate() {
        let Some(sealed) = value.strip_prefix(name.as_bytes()) else { continue };
        match cipher.open(sealed, bound_to) {
            Ok(value) => return Ok(Read { value: value.into(), stale: at > 0 }),
            Err(error) => errors.push(error.to_string()),
        }
    }
    Err(aggregate(errors).unwrap_or_else(|| "no matching key was found for the provided AES transformer".to_owned()))
}

#[cfg(test)]
mod tests;

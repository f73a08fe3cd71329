//! The provider `kms`, version 2: values are encrypted with keys of the server's own, and those with one that a plugin on a
//! unix socket holds.
//!
//! * [`service`] is the plugin's gRPC interface.
//! * [`envelope`] is what is stored: the value, encrypted with a key derived for it alone from a random seed, beside the
//!   seed as the plugin encrypted it.
//! * The seed to write with is made once and used for as long as the plugin says, when asked for its status, that its own
//!   key is still the one. While the plugin fails, the seed is good for three more minutes of writes, and for reads
//!   without end. Seeds that others have written with are decrypted by the plugin once a day at most.

pub(crate) mod envelope;
mod service;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::envelope::{Envelope, Key, SEED};
use self::service::{Service, StatusResponse};
use crate::cipher;

/// How often the plugin is asked for its status while it is well, and while it is not.
const POLL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(10));
/// How long writes go on with a seed that could not be confirmed.
const COASTS: Duration = Duration::from_secs(180);
/// For how long the last answer to the question for its health is given again: where it was good, and where it was not.
const FRESH: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(3));
/// How long a decrypted key is kept after it was last used.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// The versions of the interface; both are the same.
const VERSIONS: [&str; 2] = ["v2", "v2beta1"];

/// What is written with.
struct State {
    key: Arc<Key>,
    envelope: Envelope,
    expires: SystemTime,
}

/// What the plugin said last.
#[derive(Default)]
struct Probe {
    last: Option<(Instant, Result<(), String>)>,
    version: Option<String>,
}

/// A plugin.
pub(crate) struct Kms {
    name: String,
    service: Service,
    state: ArcSwapOption<State>,
    probe: tokio::sync::Mutex<Probe>,
    keys: Mutex<HashMap<Vec<u8>, (Arc<Key>, Instant)>>,
}

/// What became of reading an envelope.
pub(crate) enum Opened {
    /// The value, and whether it would be written otherwise now.
    Plain(Vec<u8>, bool),
    /// The plugin has to be asked for the key first ([`Kms::fetch`]).
    Asks(Box<Envelope>),
}

/// Why a key was not decrypted.
pub(crate) struct FetchError {
    /// Whether the plugin did not answer at all.
    pub unanswered: bool,
    pub why: String,
}

/// What is said of a key's name, which may be anybody's secret.
fn hash_of(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("sha256:{}", hex::encode(Sha256::digest(text))) }
}

fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).map(|at| format!("{at:.0}")).unwrap_or_default()
}

impl Kms {
    /// A plugin at a socket's path; `@…` is one in the abstract namespace.
    pub(crate) fn new(name: &str, socket: &str, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            service: Service::new(socket, timeout),
            state: ArcSwapOption::empty(),
            probe: tokio::sync::Mutex::default(),
            keys: Mutex::default(),
        })
    }

    /// The name in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks for the status from time to time, until the plugin is dropped: a key that is replaced must not be written with
    /// for long.
    pub(crate) fn poll(self: &Arc<Self>, well: bool) -> impl Future<Output = ()> + Send + use<> {
        let kms: Weak<Self> = Arc::downgrade(self);
        async move {
            let mut well = well;
            loop {
                tokio::time::sleep(if well { POLL.0 } else { POLL.1 }).await;
                let Some(kms) = kms.upgrade() else { return };
                let checked = kms.check().await;
                if let Err(why) = &checked {
                    tracing::warn!(name = kms.name, why, "the KMS plugin failed its health check");
                }
                well = checked.is_ok();
            }
        }
    }

    /// Whether the plugin is well; the answer may be some seconds old. Takes a new seed if the plugin's key is another one.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let mut probe = self.probe.lock().await;
        if let Some((at, result)) = &probe.last
            && at.elapsed() < if result.is_ok() { FRESH.0 } else { FRESH.1 }
        {
            return result.clone();
        }
        let result = match self.service.status().await {
            Ok(status) => self.take(&status, &mut probe.version).await,
            Err(why) => {
                let name = &self.name;
                Err(format!(
                    "failed to perform status section of the healthz check for KMS Provider {name}, error: {why}"
                ))
            }
        };
        probe.last = Some((Instant::now(), result.clone()));
        result
    }

    async fn take(&self, status: &StatusResponse, version: &mut Option<String>) -> Result<(), String> {
        let mut errors = Vec::new();
        if status.healthz != "ok" {
            errors.push(format!("got unexpected healthz status: {}", status.healthz));
        }
        if !VERSIONS.contains(&status.version.as_str()) {
            errors.push(format!("expected KMSv2 API version v2, got {}", status.version));
        } else {
            let first = version.get_or_insert_with(|| status.version.clone());
            if *first != status.version {
                errors.push(format!(
                    "KMSv2 API version should not change after the initial status response version {first}, got {}",
                    status.version
                ));
            }
        }
        match envelope::check_key_id(&status.key_id) {
            Err(why) => errors.push(format!("got invalid KMSv2 KeyID hash {:?}: {why}", hash_of(&status.key_id))),
            Ok(()) => errors.extend(self.rotate(&status.key_id).await.err()),
        }
        let aggregate = crate::aggregate(errors);
        aggregate.map_or(Ok(()), |why| Err(format!("kmsv2 Provider {} is not healthy, error: {why}", self.name)))
    }

    /// Confirms the seed for a time, or takes a new one if the plugin's key is another one than the seed's.
    async fn rotate(&self, key_id: &str) -> Result<(), String> {
        let expires = SystemTime::now() + COASTS;
        let state = self.state.load_full();
        if let Some(state) = &state
            && state.envelope.key_id == key_id
        {
            let (key, envelope) = (Arc::clone(&state.key), state.envelope.clone());
            self.state.store(Some(Arc::new(State { key, envelope, expires })));
            return Ok(());
        }
        let uid = Uuid::new_v4().to_string();
        let made = self.generate(&uid).await;
        let (why, encrypted_with) = match made {
            Ok((key, envelope)) if envelope.key_id == key_id => {
                self.remember(&envelope, &key);
                self.state.store(Some(Arc::new(State { key, envelope, expires })));
                return Ok(());
            }
            Ok((_, envelope)) => ("<nil>".to_owned(), envelope.key_id),
            Err(why) => (why, String::new()),
        };
        let old = state.as_ref();
        Err(format!(
            "failed to rotate DEK uid={uid:?}, useSeed=true, errState={}, errGen={why}, statusKeyIDHash={:?}, \
             encryptKeyIDHash={:?}, stateKeyIDHash={:?}, expirationTimestamp={}",
            if old.is_some() { "<nil>" } else { "got unexpected nil transformer" },
            hash_of(key_id),
            hash_of(&encrypted_with),
            hash_of(old.map_or("", |state| &state.envelope.key_id)),
            old.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |state| time(state.expires)),
        ))
    }

    async fn generate(&self, uid: &str) -> Result<(Arc<Key>, Envelope), String> {
        let seed = cipher::random::<32>().map_err(|error| error.to_string())?;
        let response = self.service.encrypt(uid, seed.to_vec()).await;
        let response = response.map_err(|why| format!("failed to encrypt DEK, error: {why}"))?;
        let envelope = Envelope {
            data: Vec::new(),
            key_id: response.key_id,
            source: response.ciphertext,
            annotations: response.annotations,
            source_type: SEED,
        };
        envelope.check_all_but_data()?;
        Ok((Arc::new(Key::Seed(seed.to_vec())), envelope))
    }

    fn remember(&self, envelope: &Envelope, key: &Arc<Key>) {
        let mut keys = self.keys.lock();
        keys.retain(|_, (_, used)| used.elapsed() < KEPT);
        keys.insert(envelope.cache_key(), (Arc::clone(key), Instant::now()));
    }

    /// Appends the envelope of a value to `out`.
    pub(crate) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], bound_to: &[u8]) -> Result<(), String> {
        let state = self.state.load_full().ok_or("got unexpected nil transformer")?;
        let now = SystemTime::now();
        if now > state.expires {
            return Err(format!(
                "encryptedDEKSource with keyID hash {:?} expired at {} (current time is {})",
                hash_of(&state.envelope.key_id),
                time(state.expires),
                time(now)
            ));
        }
        let data = state.key.seal(plain, bound_to).map_err(|error| error.to_string())?;
        Envelope { data, ..state.envelope.clone() }.encode(out);
        Ok(())
    }

    /// Reads an envelope, as far as that can be done without the plugin.
    pub(crate) fn open(&self, data: &[u8], bound_to: &[u8]) -> Result<Opened, String> {
        let envelope = Envelope::decode(data)?;
        let state = self.state.load_full().ok_or("got unexpected nil transformer")?;
        let key = self.keys.lock().get_mut(&envelope.cache_key()).map(|(key, used)| {
            *used = Instant::now();
            Arc::clone(key)
        });
        let Some(key) = key else { return Ok(Opened::Asks(Box::new(envelope))) };
        let plain = key.open(&envelope.data, bound_to).map_err(|error| error.to_string())?;
        let current = &state.envelope;
        let stale = envelope.key_id != current.key_id || envelope.source_type != current.source_type;
        Ok(Opened::Plain(plain, stale))
    }

    /// Has the plugin decrypt an envelope's key, and keeps it for [`Self::open`].
    pub(crate) async fn fetch(&self, envelope: &Envelope) -> Result<(), FetchError> {
        let source = (envelope.source.clone(), envelope.key_id.clone(), envelope.annotations.clone());
        let uid = Uuid::new_v4().to_string();
        let plain = self.service.decrypt(&uid, source).await.map_err(|why| FetchError {
            unanswered: service::is_unanswered(&why),
            why: format!("failed to decrypt DEK, error: {why}"),
        })?;
        let key = Key::new(envelope.source_type, plain).map_err(|why| FetchError { unanswered: false, why })?;
        self.remember(envelope, &Arc::new(key));
        Ok(())
    }
}

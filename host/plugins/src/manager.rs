//! From Plugin objects to serving tables.
//!
//! A change of a Plugin is loaded beside the version that serves: compiled, checked against its stage's world and its
//! grants, configured. Only then is a table with the new version put in place of the old one, in one atomic step. A
//! version that fails to load changes nothing but the plugin's status. What served last is kept on disk, so that a
//! restart with a broken Plugin comes back with the last version that worked (design rule 3).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use portcullis_machinery::{Value, object};
use portcullis_policy::{Digest, LoadError, ModuleSource, Policy, PolicyHost, Runtime, Stage};
use serde_json::json;

use crate::matching::Matcher;
use crate::spec::{PluginSpec, Source, SpecError};
use crate::table::{LivePlugin, StageTable, Tables};

/// Why a Plugin did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The object says something that it cannot.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The module cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The source names something that is not here.
    #[error("{0}")]
    Source(String),
}

impl ApplyError {
    /// Whether the same Plugin may load later, with nothing changed about it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Load(error) if error.is_transient())
    }

    /// The module that was not found, if that is what is wrong.
    pub fn missing(&self) -> Option<Digest> {
        match self {
            Self::Load(LoadError::UnknownDigest(digest)) => Some(*digest),
            _ => None,
        }
    }

    /// A word for a condition's `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::Load(error) => error.reason(),
            Self::Source(_) => "SourceNotFound",
        }
    }
}

/// Why the last try of a plugin failed.
struct Failure {
    reason: &'static str,
    message: String,
    transient: bool,
    missing: Option<Digest>,
}

impl From<&ApplyError> for Failure {
    fn from(error: &ApplyError) -> Self {
        Self {
            reason: error.reason(),
            message: error.to_string(),
            transient: error.is_transient(),
            missing: error.missing(),
        }
    }
}

/// What the manager knows of one plugin.
#[derive(Default)]
pub(crate) struct Entry {
    /// `metadata.generation` of the object that was tried last.
    observed_generation: i64,
    /// That of the object that serves.
    active_generation: i64,
    pub(crate) live: Option<Arc<LivePlugin>>,
    error: Option<Failure>,
}

impl Entry {
    /// Whether the version that was tried last serves.
    pub(crate) fn is_loaded(&self) -> bool {
        self.error.is_none()
    }
}

/// A version that loaded, and the bytes of its module where they came from a file.
struct Loaded {
    live: Arc<LivePlugin>,
    module: Option<Bytes>,
}

/// Brings the content of a module from wherever the cluster keeps it; `None` if it is not there.
pub type Fetch = Box<dyn Fn(Digest) -> BoxFuture<'static, Result<Option<Bytes>, String>> + Send + Sync>;

/// What [`PluginManager::new`] needs.
pub struct ManagerConfig {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Configuration that the host gives to embedded components whose Plugin has none, by the component's name: the
    /// token issuer, for example, which only the server knows.
    pub embedded_config: HashMap<String, Value>,
}

/// Loads plugins and holds the tables that serve.
pub struct PluginManager {
    runtime: Runtime,
    host: Arc<dyn PolicyHost>,
    config: ManagerConfig,
    tables: ArcSwap<Tables>,
    generation: AtomicU64,
    pub(crate) entries: Mutex<BTreeMap<String, Entry>>,
    fetch: OnceLock<Fetch>,
    /// Loads run one after another: an older version that compiles slowly never replaces a newer one.
    loading: tokio::sync::Mutex<()>,
}

impl PluginManager {
    /// A manager with nothing loaded.
    pub fn new(runtime: Runtime, host: Arc<dyn PolicyHost>, config: ManagerConfig) -> Self {
        Self {
            runtime,
            host,
            config,
            tables: ArcSwap::default(),
            generation: AtomicU64::new(0),
            entries: Mutex::default(),
            fetch: OnceLock::new(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    /// Says where modules come from that are not in the data directory. Only the first call counts.
    pub fn fetch_with(&self, fetch: Fetch) {
        let _ = self.fetch.set(fetch);
    }

    /// A number that changes whenever what serves does, so that answers remembered from before can be dropped.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What serves now at a stage.
    pub fn stage(&self, stage: Stage) -> Arc<StageTable> {
        Arc::clone(self.tables.load().stage(stage))
    }

    /// Loads many plugins at once, for the start: they compile side by side and take effect together. Those that fail
    /// are left out, with what is wrong in their status.
    pub async fn apply_all(&self, objects: &[Value]) {
        let _turn = self.loading.lock().await;
        let loads = objects.iter().map(|object| async move { (object, self.load_or_last_good(object).await) });
        for (object, (loaded, failure)) in futures::future::join_all(loads).await {
            self.record(object, loaded, failure);
        }
        self.publish();
    }

    /// Loads the version that a Plugin object describes and puts it into service.
    ///
    /// # Errors
    /// Says why the new version is not in service; the one that served before goes on.
    pub async fn apply(&self, object: &Value) -> Result<(), ApplyError> {
        let _turn = self.loading.lock().await;
        match self.load(object).await {
            Ok(loaded) => {
                self.remember(object, &loaded).await;
                self.record(object, Some(loaded.live), None);
                self.publish();
                Ok(())
            }
            Err(error) => {
                self.record(object, None, Some(Failure::from(&error)));
                Err(error)
            }
        }
    }

    /// The plugins that are worth another try although nothing about them changed: all whose failure may pass, or
    /// those that lack the module of this digest.
    pub fn to_retry(&self, arrived: Option<&Digest>) -> Vec<String> {
        let worth = |failure: &Failure| match arrived {
            Some(digest) => failure.missing.as_ref() == Some(digest),
            None => failure.transient,
        };
        let entries = self.entries.lock();
        let failed = entries.iter().filter(|(_, entry)| entry.error.as_ref().is_some_and(worth));
        failed.map(|(name, _)| name.clone()).collect()
    }

    /// Takes a plugin out of service.
    pub async fn remove(&self, name: &str) {
        let _turn = self.loading.lock().await;
        self.entries.lock().remove(name);
        // Nothing is lost if the file stays: it is read only when a Plugin of that name fails to load.
        let _ = std::fs::remove_file(self.last_good_path(name));
        self.publish();
    }

    fn record(&self, object: &Value, live: Option<Arc<LivePlugin>>, failure: Option<Failure>) {
        let mut entries = self.entries.lock();
        let entry = entries.entry(object::name(object).to_owned()).or_default();
        entry.observed_generation = object::generation(object);
        if live.is_some() {
            entry.live = live;
            // A version from before, brought back at the start, is of a generation that nobody knows any more.
            entry.active_generation = if failure.is_none() { entry.observed_generation } else { 0 };
        }
        entry.error = failure;
    }

    fn publish(&self) {
        let live: Vec<_> = self.entries.lock().values().filter_map(|entry| entry.live.clone()).collect();
        self.tables.store(Arc::new(Tables::new(live)));
        self.generation.fetch_add(1, Ordering::Release);
    }

    async fn load_or_last_good(&self, object: &Value) -> (Option<Arc<LivePlugin>>, Option<Failure>) {
        match self.load(object).await {
            Ok(loaded) => {
                self.remember(object, &loaded).await;
                (Some(loaded.live), None)
            }
            Err(error) => {
                let name = object::name(object);
                tracing::warn!(plugin = name, %error, "a plugin cannot be loaded");
                let last_good = std::fs::read(self.last_good_path(name)).ok();
                let last_good = last_good.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
                // What served under a Plugin that was deleted is no version of this one.
                let last_good = last_good.filter(|kept| object::uid(kept) == object::uid(object));
                let live = match &last_good {
                    Some(object) => self.load(object).await.ok().map(|loaded| loaded.live),
                    None => None,
                };
                (live, Some(Failure::from(&error)))
            }
        }
    }

    async fn load(&self, object: &Value) -> Result<Loaded, ApplyError> {
        let name = object::name(object).to_owned();
        let spec = PluginSpec::from_object(object)?;
        let matcher = Matcher::new(&spec.matching)?;
        let mut config = spec.config.clone();
        if config.is_null()
            && let Some(given) = spec.source.embedded.as_ref().and_then(|name| self.config.embedded_config.get(name))
        {
            config = given.clone();
        }
        let mut source = module_source(&spec.source)?;
        let mut module = None;
        if let ModuleSource::File(path) = &source {
            // Read once: what loads, what is remembered and what the digest names are the same bytes.
            let bytes = Bytes::from(read_file(path.clone()).await?);
            source = ModuleSource::Bytes(bytes.clone());
            module = Some(bytes);
        }
        let mut runtime_spec = portcullis_policy::PluginSpec::new(name.clone(), spec.stage, source);
        runtime_spec.config = config;
        runtime_spec.limits = spec.limits()?;
        runtime_spec.grants = spec.grants();
        let policy = self.load_module(runtime_spec).await?;
        let embedded = spec.source.embedded.is_some();
        let (order, failure_policy) = (spec.order, spec.failure_policy);
        let live = LivePlugin { name, order, failure_policy, embedded, matcher, policy };
        Ok(Loaded { live: Arc::new(live), module })
    }

    /// Loads a module, from the cluster if the data directory does not have it, which is no more than a cache.
    async fn load_module(&self, spec: portcullis_policy::PluginSpec) -> Result<Arc<Policy>, LoadError> {
        let result = self.runtime.load(spec.clone(), Arc::clone(&self.host)).await;
        let (Err(LoadError::UnknownDigest(digest)), Some(fetch)) = (&result, self.fetch.get()) else { return result };
        let Some(bytes) = fetch(*digest).await.map_err(LoadError::Host)? else { return result };
        self.keep_module(bytes).await;
        self.runtime.load(spec, Arc::clone(&self.host)).await
    }

    /// Writes a module into the data directory. A disk that is full is told in the log; what needs the module then
    /// fails to find it.
    async fn keep_module(&self, bytes: Bytes) -> Option<Digest> {
        let runtime = self.runtime.clone();
        match tokio::task::spawn_blocking(move || runtime.push(&bytes)).await {
            Ok(Ok(digest)) => Some(digest),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a module could not be kept in the data directory");
                None
            }
            Err(_) => None,
        }
    }

    fn last_good_path(&self, name: &str) -> PathBuf {
        // Plugin names are DNS subdomains, so they are file names.
        self.config.data_dir.join("plugins").join(format!("{name}.json"))
    }

    /// Keeps what it takes to load this version again after the Plugin or its file has changed.
    async fn remember(&self, object: &Value, loaded: &Loaded) {
        let live = &loaded.live;
        // The embedded components are loaded once before the store is read, and need not be remembered.
        if object::uid(object).is_empty() {
            return;
        }
        let mut pinned = json!({"metadata": {"name": live.name, "uid": object::uid(object)}, "spec": object.get("spec").cloned().unwrap_or_default()});
        if let Some(bytes) = &loaded.module {
            if self.keep_module(bytes.clone()).await.is_none() {
                return;
            }
            pinned["spec"]["source"] = json!({"digest": live.policy.digest().to_string()});
        }
        let path = self.last_good_path(&live.name);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(path.with_extension("tmp"), pinned.to_string()))
            .and_then(|()| std::fs::rename(path.with_extension("tmp"), &path));
        if let Err(error) = written {
            tracing::warn!(plugin = live.name, %error, "the version that serves could not be remembered");
        }
    }

    /// A plugin's `status`, without the times of its conditions' transitions; `None` if the plugin is not known.
    pub fn status(&self, name: &str) -> Option<Value> {
        let entries = self.entries.lock();
        let entry = entries.get(name)?;
        let condition = |kind: &str, ok: bool, reason: &str, message: &str| {
            let status = if ok { "True" } else { "False" };
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                   "observedGeneration": entry.observed_generation})
        };
        let loaded = match &entry.error {
            None => condition("Loaded", true, "Loaded", "the version that the spec describes serves"),
            Some(failure) => condition("Loaded", false, failure.reason, &failure.message),
        };
        let ready = match &entry.live {
            Some(live) => condition("Ready", true, "Serving", &format!("{} serves", live.policy.digest())),
            None => condition("Ready", false, "NotLoaded", "no version serves"),
        };
        let mut status = json!({"observedGeneration": entry.observed_generation, "conditions": [loaded, ready]});
        if let Some(live) = &entry.live {
            let stats = live.policy.stats();
            status["activeDigest"] = json!(live.policy.digest().to_string());
            if entry.active_generation > 0 {
                status["activeGeneration"] = json!(entry.active_generation);
            }
            let failed = stats.errors_by_reason.iter().filter(|(_, count)| *count > 0);
            let by_reason: BTreeMap<&str, u64> = failed.copied().collect();
            if !by_reason.is_empty() {
                status["errorsByReason"] = json!(by_reason);
            }
            for (field, value) in [
                ("calls", stats.calls),
                ("errors", stats.errors),
                ("instances", stats.instances),
                ("p50Micros", stats.p50_micros.ceil() as u64),
                ("p99Micros", stats.p99_micros.ceil() as u64),
            ] {
                status[field] = json!(value);
            }
        }
        Some(status)
    }
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, LoadError> {
    let shown = path.display().to_string();
    tokio::fs::read(path).await.map_err(|error| LoadError::Unreadable { path: shown, error: error.to_string() })
}

fn module_source(source: &Source) -> Result<ModuleSource, ApplyError> {
    if let Some(path) = &source.file {
        return Ok(ModuleSource::File(path.into()));
    }
    if let Some(digest) = &source.digest {
        return digest.parse().map(ModuleSource::Digest).map_err(|error: portcullis_policy::DigestError| {
            ApplyError::Source(format!("spec.source.digest: {error}"))
        });
    }
    let name = source.embedded.as_deref().unwrap_or_default();
    let component = portcullis_first_party::find(name)
        .ok_or_else(|| ApplyError::Source(format!("spec.source.embedded: there is no embedded component {name:?}")))?;
    Ok(ModuleSource::Bytes(bytes::Bytes::from_static(component.bytes)))
}

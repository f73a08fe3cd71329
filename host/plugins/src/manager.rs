//! From Plugin objects to serving tables.
//!
//! A change of a Plugin is loaded beside the version that serves: compiled, checked against its stage's world and its
//! grants, configured. Only then is a table with the new version put in place of the old one, in one atomic step. A
//! version that fails to load changes nothing but the plugin's status. What served last is kept on disk, so that a
//! restart with a broken Plugin comes back with the last version that worked (design rule 3).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_machinery::{Value, object};
use portcullis_policy::{LoadError, ModuleSource, PolicyHost, Runtime, Stage};
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
    /// A word for a condition's `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::Load(error) => error.reason(),
            Self::Source(_) => "SourceNotFound",
        }
    }
}

/// What the manager knows of one plugin.
#[derive(Default)]
struct Entry {
    /// `metadata.generation` of the object that was tried last.
    observed_generation: i64,
    live: Option<Arc<LivePlugin>>,
    /// Why the last try failed, if it did.
    error: Option<(String, String)>,
}

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
    entries: Mutex<BTreeMap<String, Entry>>,
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
            loading: tokio::sync::Mutex::default(),
        }
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
        for (object, result) in futures::future::join_all(loads).await {
            self.record(object, result);
        }
        self.publish();
    }

    /// Loads the version that a Plugin object describes and puts it into service.
    ///
    /// # Errors
    /// Says why the new version is not in service; the one that served before goes on.
    pub async fn apply(&self, object: &Value) -> Result<(), ApplyError> {
        let _turn = self.loading.lock().await;
        let result = self.load(object).await;
        let outcome = result.as_ref().map(|_| ()).map_err(|error| (error.reason().to_owned(), error.to_string()));
        match result {
            Ok(live) => {
                self.remember(object, &live);
                self.record(object, (Some(live), None));
                self.publish();
                Ok(())
            }
            Err(error) => {
                self.record(object, (None, outcome.err()));
                Err(error)
            }
        }
    }

    /// Takes a plugin out of service.
    pub async fn remove(&self, name: &str) {
        let _turn = self.loading.lock().await;
        self.entries.lock().remove(name);
        // Nothing is lost if the file stays: it is read only when a Plugin of that name fails to load.
        let _ = std::fs::remove_file(self.last_good_path(name));
        self.publish();
    }

    fn record(&self, object: &Value, (live, error): (Option<Arc<LivePlugin>>, Option<(String, String)>)) {
        let mut entries = self.entries.lock();
        let entry = entries.entry(object::name(object).to_owned()).or_default();
        entry.observed_generation = object::generation(object);
        entry.error = error;
        if live.is_some() {
            entry.live = live;
        }
    }

    fn publish(&self) {
        let live: Vec<_> = self.entries.lock().values().filter_map(|entry| entry.live.clone()).collect();
        self.tables.store(Arc::new(Tables::new(live)));
        self.generation.fetch_add(1, Ordering::Release);
    }

    async fn load_or_last_good(&self, object: &Value) -> (Option<Arc<LivePlugin>>, Option<(String, String)>) {
        match self.load(object).await {
            Ok(live) => {
                self.remember(object, &live);
                (Some(live), None)
            }
            Err(error) => {
                let name = object::name(object);
                tracing::warn!(plugin = name, %error, "a plugin cannot be loaded");
                let last_good = std::fs::read(self.last_good_path(name)).ok();
                let last_good = last_good.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
                let live = match &last_good {
                    Some(object) => self.load(object).await.ok(),
                    None => None,
                };
                (live, Some((error.reason().to_owned(), error.to_string())))
            }
        }
    }

    async fn load(&self, object: &Value) -> Result<Arc<LivePlugin>, ApplyError> {
        let name = object::name(object).to_owned();
        let spec = PluginSpec::from_object(object)?;
        let matcher = Matcher::new(&spec.matching)?;
        let mut config = spec.config.clone();
        if config.is_null()
            && let Some(given) = spec.source.embedded.as_ref().and_then(|name| self.config.embedded_config.get(name))
        {
            config = given.clone();
        }
        let mut runtime_spec =
            portcullis_policy::PluginSpec::new(name.clone(), spec.stage, module_source(&spec.source)?);
        runtime_spec.config = config;
        runtime_spec.limits = spec.limits()?;
        runtime_spec.grants = spec.grants();
        let policy = self.runtime.load(runtime_spec, Arc::clone(&self.host)).await?;
        Ok(Arc::new(LivePlugin {
            name,
            order: spec.order,
            failure_policy: spec.failure_policy,
            embedded: spec.source.embedded.is_some(),
            matcher,
            policy,
        }))
    }

    fn last_good_path(&self, name: &str) -> PathBuf {
        // Plugin names are DNS subdomains, so they are file names.
        self.config.data_dir.join("plugins").join(format!("{name}.json"))
    }

    /// Keeps what it takes to load this version again after the Plugin or its file has changed.
    fn remember(&self, object: &Value, live: &LivePlugin) {
        let mut pinned =
            json!({"metadata": {"name": live.name}, "spec": object.get("spec").cloned().unwrap_or_default()});
        if pinned.pointer("/spec/source/file").is_some() {
            let path = pinned.pointer("/spec/source/file").and_then(Value::as_str).map(str::to_owned);
            let pushed =
                path.and_then(|path| std::fs::read(path).ok()).and_then(|bytes| self.runtime.push(&bytes).ok());
            // A file that changed between the load and now would be remembered wrongly: then nothing is.
            if pushed != Some(live.policy.digest()) {
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
            Some((reason, message)) => condition("Loaded", false, reason, message),
        };
        let ready = match &entry.live {
            Some(live) => condition("Ready", true, "Serving", &format!("{} serves", live.policy.digest())),
            None => condition("Ready", false, "NotLoaded", "no version serves"),
        };
        let mut status = json!({"observedGeneration": entry.observed_generation, "conditions": [loaded, ready]});
        if let Some(live) = &entry.live {
            let stats = live.policy.stats();
            status["activeDigest"] = json!(live.policy.digest().to_string());
            for (field, value) in [
                ("calls", stats.calls),
                ("errors", stats.errors),
                ("traps", stats.traps),
                ("deadlineExceeded", stats.deadline_exceeded),
                ("memoryExceeded", stats.memory_exceeded),
                ("p50Micros", stats.p50_micros.ceil() as u64),
                ("p99Micros", stats.p99_micros.ceil() as u64),
            ] {
                status[field] = json!(value);
            }
        }
        Some(status)
    }
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

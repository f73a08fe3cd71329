//! From Plugin objects to serving tables.
//!
//! A change of a Plugin is loaded beside the version that serves: compiled, checked against its stage's world and its
//! grants, configured. Only then is a table with the new version put in place of the old one, in one atomic step. A
//! version that fails to load changes nothing but the plugin's status. What served last is kept on disk, so that a
//! restart with a broken Plugin comes back with the last version that worked (design rule 3).
//!
//! Which versions a Plugin stands for (the one it describes, the one before it, or both) is a [`Plan`], which whoever
//! follows Plugins makes from the spec and the status.

mod error;
mod load;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use portcullis_machinery::{Value, object};
use portcullis_policy::{Digest, PolicyHost, Runtime, Stage};
use tokio::sync::Notify;

pub use self::error::ApplyError;
use self::error::Failure;
use crate::rollout::plan::{Plan, Version};
use crate::rollout::revision;
use crate::rollout::share::Share;
use crate::rollout::state::{Counts, Phase, RolloutStatus};
use crate::rollout::trial::{Bounds, LiveCounts, Trial, TrialKind};
use crate::spec::PluginSpec;
use crate::table::{LivePlugin, StageTable, Tables};

/// What the manager knows of one plugin.
#[derive(Default)]
pub(crate) struct Entry {
    /// `metadata.generation` of the object that was tried last.
    pub(crate) observed_generation: i64,
    /// That of the object that serves.
    pub(crate) active_generation: i64,
    /// What serves, with the candidate beside it.
    pub(crate) live: Option<Arc<LivePlugin>>,
    /// The version that this is.
    pub(crate) version: Option<Version>,
    pub(crate) error: Option<Failure>,
}

impl Entry {
    /// Whether the version that was tried last serves.
    pub(crate) fn is_loaded(&self) -> bool {
        self.error.is_none()
    }

    fn trial(&self) -> Option<&Arc<Trial>> {
        self.live.as_ref()?.trial.as_ref()
    }
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
    /// Rung when a candidate is over its bounds.
    wake: Arc<Notify>,
    /// The name under which this server counts in a roll-out.
    server: OnceLock<String>,
}

/// What loading came to.
struct Outcome {
    live: Option<Arc<LivePlugin>>,
    version: Option<Version>,
    failure: Option<Failure>,
    /// Whether what serves is what the spec describes, and not a version before it.
    is_described: bool,
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
            wake: Arc::default(),
            server: OnceLock::new(),
        }
    }

    /// Says where modules come from that are not in the data directory. Only the first call counts.
    pub fn fetch_with(&self, fetch: Fetch) {
        let _ = self.fetch.set(fetch);
    }

    /// Says under which name this server counts in roll-outs, so that it goes on with its counts after a restart. Only
    /// the first call counts.
    pub fn count_as(&self, server: &str) {
        let _ = self.server.set(server.to_owned());
    }

    /// A number that changes whenever what serves does, so that answers remembered from before can be dropped.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What serves now at a stage.
    pub fn stage(&self, stage: Stage) -> Arc<StageTable> {
        Arc::clone(self.tables.load().stage(stage))
    }

    /// The version of a plugin that serves here.
    pub fn serving(&self, name: &str) -> Option<Version> {
        self.entries.lock().get(name)?.version.clone()
    }

    /// The revision and the digest of a plugin's canary, and what was counted of it here.
    pub fn canary(&self, name: &str) -> Option<(String, Digest, Counts)> {
        let entries = self.entries.lock();
        let trial = entries.get(name)?.trial().filter(|trial| trial.kind != TrialKind::Shadow)?;
        Some((trial.revision.clone(), trial.candidate.policy.digest(), trial.counts()))
    }

    /// The names of the plugins that have a canary here.
    pub fn canaries(&self) -> Vec<String> {
        let entries = self.entries.lock();
        let with = entries.iter().filter(|(_, entry)| entry.trial().is_some_and(|t| t.kind != TrialKind::Shadow));
        with.map(|(name, _)| name.clone()).collect()
    }

    /// Waits until a candidate is over its bounds.
    pub async fn candidate_stopped(&self) {
        self.wake.notified().await;
    }

    /// Loads many plugins at once, for the start: they compile side by side and take effect together. Those that fail
    /// are left out, with what is wrong in their status.
    pub async fn apply_all(&self, objects: &[(Value, Result<Plan, ApplyError>)]) {
        let _turn = self.loading.lock().await;
        let loads = objects.iter().map(|(object, plan)| async move {
            let outcome = match plan {
                Ok(Plan::Direct) => self.load_or_last_good(object).await,
                Ok(plan) => self.load_plan(object, plan).await,
                Err(error) => Outcome::failed(error),
            };
            (object, outcome)
        });
        for (object, outcome) in futures::future::join_all(loads).await {
            self.record(object, outcome);
        }
        self.publish();
    }

    /// Loads what a Plugin object stands for and puts it into service.
    ///
    /// # Errors
    /// Says why the version that the object describes is not in service; the one that served before goes on.
    pub async fn apply(&self, object: &Value, plan: &Plan) -> Result<(), ApplyError> {
        let _turn = self.loading.lock().await;
        let (outcome, result) = match plan {
            Plan::Direct => match self.load(object).await {
                Ok(loaded) => {
                    self.remember(object, &loaded).await;
                    (Outcome::loaded(loaded.live, object), Ok(()))
                }
                Err(error) => (Outcome::failed(&error), Err(error)),
            },
            plan => {
                let outcome = self.load_plan(object, plan).await;
                let result = match &outcome.failure {
                    Some(failure) => Err(ApplyError::Source(failure.message.clone())),
                    None => Ok(()),
                };
                (outcome, result)
            }
        };
        self.record(object, outcome);
        self.publish();
        result
    }

    /// Takes note of why nothing can be loaded for a Plugin; what served before goes on.
    pub async fn fail(&self, object: &Value, error: &ApplyError) {
        let _turn = self.loading.lock().await;
        self.record(object, Outcome::failed(error));
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

    /// Loads a plan that has a version before the described one in it.
    async fn load_plan(&self, object: &Value, plan: &Plan) -> Outcome {
        let (before, kind) = match plan {
            Plan::Direct => return self.load_or_last_good(object).await,
            Plan::Canary(before) => (before, "canary"),
            Plan::Shadow(before) => (before, "shadow"),
            Plan::Held(before, _) => (before, "held"),
        };
        let stable = match self.stable(object, before).await {
            Ok(stable) => stable,
            Err(error) => return Outcome::failed(&error),
        };
        let outcome = |trial: Option<Arc<Trial>>, failure: Option<Failure>| Outcome {
            live: Some(Arc::new(stable.with_trial(trial))),
            version: Some(before.clone()),
            failure,
            is_described: false,
        };
        if let Plan::Held(_, message) = plan {
            return outcome(None, Some(Failure::rolled_back(message)));
        }
        match self.trial(object, kind == "canary", &stable).await {
            Ok(trial) => outcome(Some(Arc::new(trial)), None),
            Err(error) => outcome(None, Some(Failure::from(&error))),
        }
    }

    /// The version that serves beside the described one: as it serves here already, if it does.
    async fn stable(&self, object: &Value, version: &Version) -> Result<Arc<LivePlugin>, ApplyError> {
        let serving = {
            let entries = self.entries.lock();
            let entry = entries.get(object::name(object));
            entry
                .filter(|entry| entry.version.as_ref().is_some_and(|v| v.revision == version.revision))
                .and_then(|entry| entry.live.clone())
        };
        if let Some(live) = serving {
            return Ok(live);
        }
        let mut before = object.clone();
        before["spec"] = version.spec.clone();
        Ok(self.load(&before).await?.live)
    }

    async fn trial(&self, object: &Value, canary: bool, stable: &LivePlugin) -> Result<Trial, ApplyError> {
        let spec = PluginSpec::from_object(object)?;
        if spec.stage != stable.policy.stage() {
            return Err(ApplyError::OtherStage(stable.policy.stage()));
        }
        let candidate = self.load(object).await?.live;
        let revision = revision::name(object::name(object), &object["spec"]);
        let (kind, bounds) = match spec.rollout.canary.as_ref().filter(|_| canary) {
            Some(canary) => (TrialKind::Canary(Share::new(canary, &revision)), Bounds::of(canary)),
            None => (TrialKind::Shadow, Bounds::default()),
        };
        let going_on = {
            let entries = self.entries.lock();
            let trial = entries.get(object::name(object)).and_then(Entry::trial);
            trial
                .filter(|trial| {
                    trial.revision == revision && std::mem::discriminant(&trial.kind) == std::mem::discriminant(&kind)
                })
                .map(|trial| trial.share_counts())
        };
        let counts = going_on.unwrap_or_else(|| Arc::new(LiveCounts::from(&self.written_counts(object, &revision))));
        Ok(Trial::new(kind, candidate, revision, bounds, counts, Arc::clone(&self.wake)))
    }

    /// What this server had counted of a candidate before it was restarted.
    fn written_counts(&self, object: &Value, revision: &str) -> Counts {
        // One that was taken back and is tried again begins anew.
        let goes_on = |state: &RolloutStatus| state.candidate == revision && state.phase == Phase::Progressing;
        let state = RolloutStatus::of(object).filter(goes_on);
        let own = state.zip(self.server.get()).and_then(|(state, server)| state.servers.get(server).copied());
        own.unwrap_or_default()
    }

    fn record(&self, object: &Value, outcome: Outcome) {
        let mut entries = self.entries.lock();
        let entry = entries.entry(object::name(object).to_owned()).or_default();
        entry.observed_generation = object::generation(object);
        if outcome.live.is_some() {
            entry.live = outcome.live;
            entry.version = outcome.version;
            // A version from before, brought back at the start, is of a generation that nobody knows any more.
            entry.active_generation = if outcome.is_described { entry.observed_generation } else { 0 };
        }
        entry.error = outcome.failure;
    }

    fn publish(&self) {
        let live: Vec<_> = self.entries.lock().values().filter_map(|entry| entry.live.clone()).collect();
        self.tables.store(Arc::new(Tables::new(live)));
        self.generation.fetch_add(1, Ordering::Release);
    }
}

impl Outcome {
    fn loaded(live: Arc<LivePlugin>, object: &Value) -> Self {
        let spec = object["spec"].clone();
        let version = Version { revision: revision::name(&live.name, &spec), spec };
        Self { live: Some(live), version: Some(version), failure: None, is_described: true }
    }

    fn failed(error: &ApplyError) -> Self {
        Self { live: None, version: None, failure: Some(Failure::from(error)), is_described: false }
    }
}

//! One version of a plugin: from its object to a component that answers.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_machinery::{Value, object};
use portcullis_policy::{Digest, LoadError, ModuleSource, Policy};
use serde_json::json;

use super::error::{ApplyError, Failure};
use super::{Outcome, PluginManager};
use crate::matching::Matcher;
use crate::spec::{LogLevel, PluginSpec, Source};
use crate::table::LivePlugin;

/// A version that loaded, and the bytes of its module where they came from a file.
pub(super) struct Loaded {
    pub(super) live: Arc<LivePlugin>,
    pub(super) module: Option<Bytes>,
}

/// The lines that are written; `None` for those that the process's own filter lets through.
fn log_level(level: Option<LogLevel>) -> Option<portcullis_policy::LogFilter> {
    use portcullis_policy::{LogFilter, LogLevel as Level};
    level.map(|level| match level {
        LogLevel::Debug => LogFilter::From(Level::Debug),
        LogLevel::Info => LogFilter::From(Level::Info),
        LogLevel::Warn => LogFilter::From(Level::Warn),
        LogLevel::Error => LogFilter::From(Level::Error),
        LogLevel::Off => LogFilter::Off,
    })
}

impl PluginManager {
    pub(super) async fn load_or_last_good(&self, object: &Value) -> Outcome {
        match self.load(object).await {
            Ok(loaded) => {
                self.remember(object, &loaded).await;
                Outcome::loaded(loaded.live, object)
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
                Outcome { live, failure: Some(Failure::from(&error)), ..Outcome::failed(&error) }
            }
        }
    }

    pub(super) async fn load(&self, object: &Value) -> Result<Loaded, ApplyError> {
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
        let policy = match self.loaded_already(&runtime_spec) {
            Some(policy) => policy,
            None => self.load_module(runtime_spec).await?,
        };
        policy.set_log_filter(log_level(spec.log_level));
        let live = LivePlugin {
            name,
            order: spec.order,
            failure_policy: spec.failure_policy,
            mode: spec.mode,
            embedded: spec.source.embedded.is_some(),
            matcher,
            policy,
            outcomes: Arc::default(),
            trial: None,
        };
        Ok(Loaded { live: Arc::new(live), module })
    }

    /// The component itself, if it is in service or tried already just as the spec has it: a change of what surrounds it
    /// (the mode, what it sees, what it logs, who decides) makes no new instances and loses no counts.
    fn loaded_already(&self, spec: &portcullis_policy::PluginSpec) -> Option<Arc<Policy>> {
        let digest = match &spec.source {
            ModuleSource::Digest(digest) => *digest,
            ModuleSource::Bytes(bytes) => Digest::of(bytes),
            ModuleSource::File(_) => return None,
        };
        let entries = self.entries.lock();
        let live = entries.get(&spec.name)?.live.as_ref()?;
        let candidate = live.trial.as_ref().map(|trial| &trial.candidate.policy);
        let mut known = std::iter::once(&live.policy).chain(candidate);
        known.find(|policy| policy.digest() == digest && policy.is_loaded_as(spec)).cloned()
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

    pub(super) fn last_good_path(&self, name: &str) -> PathBuf {
        // Plugin names are DNS subdomains, so they are file names.
        self.config.data_dir.join("plugins").join(format!("{name}.json"))
    }

    /// Keeps what it takes to load this version again after the Plugin or its file has changed.
    pub(super) async fn remember(&self, object: &Value, loaded: &Loaded) {
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

//! Encryption at rest as it is configured: which providers each resource has, and how a changed file takes over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::aggregate;
use crate::config::{self, ConfigError};
use crate::kms::Kms;
use crate::providers::Chain;
use crate::resource::Resource;

/// How often the file is looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the plugins of a changed file may take to be well.
const WELL_WITHIN: Duration = Duration::from_secs(10);

/// The providers of one state of the file.
struct Loaded {
    /// By group and plural; `*` stands for all plurals, and in both places for everything.
    chains: HashMap<String, HashMap<String, Chain>>,
    /// The plugins, in the order of the file.
    plugins: Vec<Arc<Kms>>,
    hash: String,
}

/// Encryption at rest. See the module.
pub struct Encryption {
    path: PathBuf,
    reload: bool,
    loaded: ArcSwap<Loaded>,
    changed: watch::Sender<u64>,
    /// Reloads that have succeeded, and that have failed.
    reloads: [AtomicU64; 2],
}

fn shown(resource: &str, group: &str) -> String {
    match (resource, group) {
        ("*", "") => "*.".to_owned(),
        (resource, "") => resource.to_owned(),
        _ => format!("{resource}.{group}"),
    }
}

impl Loaded {
    /// Reads the file, and asks its plugins for their status once.
    async fn new(path: &Path, reload: bool) -> Result<Self, ConfigError> {
        let (configs, hash) = config::load(path, reload)?;
        let mut loaded = Self { chains: HashMap::new(), plugins: Vec::new(), hash };
        for entry in &configs {
            let chain = Chain::new(&entry.providers, &mut loaded.plugins).map_err(ConfigError::Providers)?;
            for name in &entry.resources {
                let (resource, group) = config::split_resource(name);
                let masks = |by: (&str, &str)| loaded.chains.get(by.1).is_some_and(|chains| chains.contains_key(by.0));
                for by in [("*", group), ("*", "*")] {
                    if masks(by) {
                        let (name, by) = (shown(resource, group), shown(by.0, by.1));
                        let why = format!("resource {name:?} is masked by earlier rule {by:?}");
                        return Err(ConfigError::Providers(why));
                    }
                }
                let of_group = loaded.chains.entry(group.to_owned()).or_default();
                match of_group.get_mut(resource) {
                    Some(before) => before.extend(&chain),
                    None => drop(of_group.insert(resource.to_owned(), chain.share())),
                }
            }
        }
        for kms in &loaded.plugins {
            let first = kms.check().await;
            if let Err(why) = &first {
                tracing::warn!(name = kms.name(), why, "the KMS plugin failed its health check");
            }
            tokio::spawn(kms.poll(first.is_ok()));
        }
        Ok(loaded)
    }

    async fn check(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        for (at, kms) in self.plugins.iter().enumerate() {
            errors.extend(kms.check().await.err().map(|why| format!("kms-provider-{at}: {why}")));
        }
        aggregate(errors).map_or(Ok(()), Err)
    }
}

impl Encryption {
    /// Reads a configuration. With `reload` the file is looked at again from time to time, until this is dropped; one that
    /// cannot be used changes nothing.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub async fn load(path: &Path, reload: bool) -> Result<Arc<Self>, ConfigError> {
        let loaded = Loaded::new(path, reload).await?;
        let encryption = Arc::new(Self {
            path: path.to_owned(),
            reload,
            loaded: ArcSwap::from_pointee(loaded),
            changed: watch::Sender::new(0),
            reloads: Default::default(),
        });
        if reload {
            let weak = Arc::downgrade(&encryption);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    let Some(encryption) = weak.upgrade() else { return };
                    encryption.look().await;
                }
            });
        }
        Ok(encryption)
    }

    /// Looks whether the file has changed.
    async fn look(&self) {
        let result = self.reread().await;
        let counted = match &result {
            Ok(false) => return,
            Ok(true) => 0,
            Err(why) => {
                tracing::error!(path = %self.path.display(), why, "error processing encryption config file");
                1
            }
        };
        self.reloads[counted].fetch_add(1, Ordering::Relaxed);
    }

    async fn reread(&self) -> Result<bool, String> {
        let (_, hash) = config::read(&self.path).map_err(|error| error.to_string())?;
        if self.loaded.load().hash == hash {
            return Ok(false);
        }
        let fresh = Loaded::new(&self.path, true).await.map_err(|error| error.to_string())?;
        let began = Instant::now();
        while let Err(why) = fresh.check().await {
            if began.elapsed() > WELL_WITHIN {
                return Err(format!("health check for new transformers failed: {why}"));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tracing::info!(path = %self.path.display(), "the encryption configuration was loaded anew");
        self.loaded.store(Arc::new(fresh));
        self.changed.send_modify(|generation| *generation += 1);
        Ok(true)
    }

    /// Whether there is a health check, `kms-providers`.
    #[must_use]
    pub fn has_check(&self) -> bool {
        self.reload || !self.loaded.load().plugins.is_empty()
    }

    /// Whether all plugins are well; the answer may be some seconds old.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), String> {
        let loaded = self.loaded.load_full();
        loaded.check().await
    }

    /// Changes whenever another configuration takes over.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Metrics, as Prometheus text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = String::from(
            "# HELP apiserver_encryption_config_controller_automatic_reloads_total Reloads of the encryption configuration.\n\
             # TYPE apiserver_encryption_config_controller_automatic_reloads_total counter\n",
        );
        for (status, count) in ["success", "failure"].iter().zip(&self.reloads) {
            let count = count.load(Ordering::Relaxed);
            text.push_str(&format!(
                "apiserver_encryption_config_controller_automatic_reloads_total{{status=\"{status}\"}} {count}\n"
            ));
        }
        let hash = &self.loaded.load().hash;
        text.push_str(&format!(
            "# HELP apiserver_encryption_config_controller_last_config_info What is in use.\n\
             # TYPE apiserver_encryption_config_controller_last_config_info gauge\n\
             apiserver_encryption_config_controller_last_config_info{{hash=\"{hash}\"}} 1\n"
        ));
        text
    }

    /// Does something with the providers of a resource; `None` if it has none.
    pub(crate) fn with_chain<T>(&self, resource: Option<Resource<'_>>, act: impl FnOnce(Option<&Chain>) -> T) -> T {
        let loaded = self.loaded.load();
        let find = |group: &str, plural: &str| loaded.chains.get(group).and_then(|chains| chains.get(plural));
        let chain = resource.and_then(|Resource { group, plural, .. }| {
            find(group, plural).or_else(|| find(group, "*")).or_else(|| find("*", "*"))
        });
        act(chain)
    }
}

//! Where the cluster's state is kept. The flags about etcd are kube-apiserver's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use portcullis_apiserver::ApiServer;
use portcullis_storage::Store;
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage_etcd::{EtcdOptions, EtcdStore};
use portcullis_stored_form::{Encryption, StoredForm};
use tokio_util::sync::CancellationToken;

/// The engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// In the process, in the data directory.
    Embedded,
    /// etcd, 3.4 or later.
    Etcd,
}

/// Which engine, and where.
#[derive(Args, Clone, Debug)]
pub struct EngineFlags {
    /// Where the cluster's state is kept
    #[arg(long, value_enum, default_value = "embedded")]
    pub store: Engine,
    /// The URLs of the etcd members to use with --store=etcd
    #[arg(long, value_delimiter = ',', value_name = "URLS")]
    pub etcd_servers: Vec<String>,
    /// What all keys in etcd begin with
    #[arg(long, default_value = "/registry")]
    pub etcd_prefix: String,
    /// The CA of etcd's certificates
    #[arg(long)]
    pub etcd_cafile: Option<PathBuf>,
    /// The certificate to show to etcd
    #[arg(long)]
    pub etcd_certfile: Option<PathBuf>,
    /// Its key
    #[arg(long)]
    pub etcd_keyfile: Option<PathBuf>,
    /// How often history is compacted, in either store; 0 for never
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub etcd_compaction_interval: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = if text == "0" { Some(Duration::ZERO) } else { portcullis_plugins::spec::parse_duration(text) };
    parsed.ok_or_else(|| format!("{text:?} is not a duration such as 5m"))
}

impl EngineFlags {
    /// How etcd is reached.
    pub fn etcd_options(&self) -> EtcdOptions {
        EtcdOptions {
            prefix: self.etcd_prefix.clone(),
            ca_file: self.etcd_cafile.clone(),
            cert_file: self.etcd_certfile.clone(),
            key_file: self.etcd_keyfile.clone(),
            ..EtcdOptions::new(self.etcd_servers.clone())
        }
    }
}

/// See the module.
#[derive(Args, Clone, Debug)]
pub struct StoreFlags {
    #[command(flatten)]
    pub engine: EngineFlags,
    /// What is encrypted in the store, and how: a file with an EncryptionConfiguration
    #[arg(long, value_name = "FILE")]
    pub encryption_provider_config: Option<PathBuf>,
    /// Look at that file from time to time, and follow its changes
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub encryption_provider_config_automatic_reload: bool,
}

/// How often objects that could not be read are looked at again: at first, and while that is in vain.
const RETRY_EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// An open store, and how it encrypts.
#[derive(Clone)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The encryption, if there is one.
    pub encryption: Option<Arc<Encryption>>,
}

impl Opened {
    /// Lets a server over the store know of the encryption: its health check, its metrics, and that what cannot be read now
    /// may be readable later.
    pub fn attach(encryption: &Arc<Encryption>, server: &Arc<ApiServer>, shutdown: CancellationToken) {
        if encryption.has_check() {
            let checked = Arc::clone(encryption);
            let check = move || {
                let checked = Arc::clone(&checked);
                Box::pin(async move { checked.check().await }) as _
            };
            server.health.add_async_check("kms-providers", Arc::new(check));
        }
        let metrics = Arc::clone(encryption);
        server.health.add_metrics(Arc::new(move || metrics.metrics()));
        let (hub, mut changes) = (Arc::clone(&server.hub), encryption.changes());
        tokio::spawn(async move {
            let mut pause = RETRY_EVERY.0;
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = changes.changed() => {}
                    () = tokio::time::sleep(pause) => {}
                }
                let in_vain = hub.retry_unreadable().await;
                pause = if in_vain { (pause * 2).min(RETRY_EVERY.1) } else { RETRY_EVERY.0 };
            }
        });
    }
}

impl StoreFlags {
    /// Opens the store.
    ///
    /// # Errors
    /// If the flags do not go together, or the store cannot be opened.
    pub async fn open(&self, data_dir: &Path) -> anyhow::Result<Opened> {
        let reload = self.encryption_provider_config_automatic_reload;
        let encryption = match &self.encryption_provider_config {
            Some(path) => Some(Encryption::load(path, reload).await.context("--encryption-provider-config")?),
            None if reload => {
                bail!("--encryption-provider-config-automatic-reload must be set with --encryption-provider-config")
            }
            None => None,
        };
        let engine = self.open_engine(data_dir).await?;
        Ok(Opened { store: StoredForm::over(engine, encryption.clone()), encryption })
    }

    async fn open_engine(&self, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
        let compact_every = Some(self.engine.etcd_compaction_interval).filter(|every| !every.is_zero());
        match self.engine.store {
            Engine::Embedded => {
                if !self.engine.etcd_servers.is_empty() {
                    bail!("--etcd-servers needs --store=etcd");
                }
                let options = EmbeddedOptions { compact_every, ..EmbeddedOptions::default() };
                let directory = data_dir.join("store");
                EmbeddedStore::open(&directory, options).await.context("the store cannot be opened")
            }
            Engine::Etcd => {
                let options = EtcdOptions { compact_every, ..self.engine.etcd_options() };
                EtcdStore::open(options).await.context("etcd cannot be used")
            }
        }
    }
}

//! Where the cluster's state is kept. The flags about etcd are kube-apiserver's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use portcullis_storage::Store;
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage_etcd::{EtcdOptions, EtcdStore};

/// The engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// In the process, in the data directory.
    Embedded,
    /// etcd, 3.4 or later.
    Etcd,
}

/// See the module.
#[derive(Args, Clone, Debug)]
pub struct StoreFlags {
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

impl StoreFlags {
    /// Opens the store.
    ///
    /// # Errors
    /// If the flags do not go together, or the store cannot be opened.
    pub async fn open(&self, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
        let compact_every = Some(self.etcd_compaction_interval).filter(|every| !every.is_zero());
        match self.store {
            Engine::Embedded => {
                if !self.etcd_servers.is_empty() {
                    bail!("--etcd-servers needs --store=etcd");
                }
                let options = EmbeddedOptions { compact_every, ..EmbeddedOptions::default() };
                let directory = data_dir.join("store");
                EmbeddedStore::open(&directory, options).await.context("the store cannot be opened")
            }
            Engine::Etcd => {
                let options = EtcdOptions {
                    prefix: self.etcd_prefix.clone(),
                    ca_file: self.etcd_cafile.clone(),
                    cert_file: self.etcd_certfile.clone(),
                    key_file: self.etcd_keyfile.clone(),
                    compact_every,
                    ..EtcdOptions::new(self.etcd_servers.clone())
                };
                EtcdStore::open(options).await.context("etcd cannot be used")
            }
        }
    }
}

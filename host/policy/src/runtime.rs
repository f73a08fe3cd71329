//! The engine, the module store and the loading of plugins.

use crate::{Digest, LoadError, ModuleInfo, PluginSpec, Policy, PolicyHost};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How the runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// The data directory; modules and compiled code go into `modules/` and `compiled/` below it.
    pub data_dir: PathBuf,
    /// How exactly deadlines are kept (default 5 ms).
    pub tick: Duration,
    /// How many instances of all plugins together there may be (default 1,000).
    pub instances: u32,
}

/// Why the runtime cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the policy runtime: {0}")]
pub struct RuntimeError(pub String);

impl RuntimeConfig {
    /// The defaults, with this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> RuntimeConfig {
        RuntimeConfig { data_dir: data_dir.into(), tick: Duration::from_millis(5), instances: 1000 }
    }
}

/// The policy runtime of a process. Clones share everything.
#[derive(Clone)]
pub struct Runtime {}

impl Runtime {
    /// Makes the engine and opens the module store.
    pub fn new(config: RuntimeConfig) -> Result<Runtime, RuntimeError> {
        todo!()
    }
    /// Stores a module durably and returns its digest. Storing it again changes nothing.
    pub fn push(&self, bytes: &[u8]) -> Result<Digest, RuntimeError> {
        todo!()
    }
    /// Whether the module store has this content.
    pub fn has(&self, digest: &Digest) -> bool {
        todo!()
    }
    /// What a module is, without loading it.
    pub async fn inspect(&self, bytes: bytes::Bytes) -> Result<ModuleInfo, LoadError> {
        todo!()
    }
    /// Loads a plugin: reads its module, compiles it (or finds it compiled), checks it against the stage's world and
    /// the grants, and has an instance accept the configuration. Compilation runs on the blocking pool.
    pub async fn load(&self, spec: PluginSpec, host: Arc<dyn PolicyHost>) -> Result<Arc<Policy>, LoadError> {
        todo!()
    }
}

//! The engine, the module store and the loading of plugins.

use crate::{
    Declaration, Digest, LoadError, ModuleInfo, ModuleSource, PluginSpec, Policy, PolicyHost,
    artifacts::Artifacts,
    engine,
    inspect::{Content, check_is_component, check_world, info},
    instance::{Exports, Fault, Instance, Prepared},
    modules::Modules,
    pool::Pool,
    state::{Shared, link},
    stats::Counters,
};
use bytes::Bytes;
use portcullis_machinery::path::Pattern;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

/// The next loaded version's number.
static SERIAL: AtomicU64 = AtomicU64::new(1);

/// How many paths a policy may declare.
const MAX_PATHS: usize = 1024;
/// The longest deadline that a plugin may have: a request waits no longer for anything.
const MAX_DEADLINE: Duration = Duration::from_secs(30);
/// The largest module in bytes.
const MAX_MODULE: usize = 256 << 20;

/// How the runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// The data directory; modules and compiled code go into `modules/` and `compiled/` below it.
    pub data_dir: PathBuf,
    /// Another data directory, whose `compiled/` is read (and never written) before a component is compiled: what came
    /// with the program. It is trusted as the program is.
    pub shipped: Option<PathBuf>,
    /// How exactly deadlines are kept (default 5 ms).
    pub tick: Duration,
    /// How many instances of all plugins together there may be (default 1,000).
    pub instances: u32,
}

/// Why the runtime cannot start, or cannot store a module.
#[derive(Debug, thiserror::Error)]
#[error("policy runtime: {0}")]
pub struct RuntimeError(pub String);

impl RuntimeConfig {
    /// The same, with what came with the program.
    pub fn with_shipped(self, shipped: Option<PathBuf>) -> RuntimeConfig {
        RuntimeConfig { shipped, ..self }
    }

    /// The defaults, with this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> RuntimeConfig {
        RuntimeConfig { data_dir: data_dir.into(), shipped: None, tick: Duration::from_millis(5), instances: 1000 }
    }
}

/// The policy runtime of a process. Clones share everything.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    engine: Engine,
    modules: Modules,
    artifacts: Artifacts,
    config: RuntimeConfig,
}

impl Runtime {
    /// Makes the engine and opens the module store.
    pub fn new(config: RuntimeConfig) -> Result<Runtime, RuntimeError> {
        let engine = engine::make(&config)?;
        let modules = Modules::open(&config.data_dir)?;
        let artifacts = Artifacts::open(&config.data_dir, config.shipped.as_deref(), &engine)?;
        Ok(Runtime(Arc::new(Inner { engine, modules, artifacts, config })))
    }

    /// Stores a module durably and returns its digest. Storing it again changes nothing. It writes to disk: not for an
    /// async thread.
    pub fn push(&self, bytes: &[u8]) -> Result<Digest, RuntimeError> {
        self.0.modules.push(bytes).map_err(|error| RuntimeError(format!("cannot store the module: {error}")))
    }

    /// Whether the module store has a file for this content; what is in it is checked when it is read.
    pub fn has(&self, digest: &Digest) -> bool {
        self.0.modules.has(*digest)
    }

    /// What a module is, without loading it. Compiles it, on the blocking pool.
    pub async fn inspect(&self, bytes: Bytes) -> Result<ModuleInfo, LoadError> {
        self.blocking(move |inner| {
            let (component, digest) = inner.compile(&bytes)?;
            Ok(info(&inner.engine, &component, digest, bytes.len()))
        })
        .await
    }

    /// Loads a plugin: reads its module, compiles it (or finds it compiled), checks it against the stage's world and
    /// the grants, and has an instance accept the configuration. All of it runs on the blocking pool.
    pub async fn load(&self, spec: PluginSpec, host: Arc<dyn PolicyHost>) -> Result<Arc<Policy>, LoadError> {
        self.blocking(move |inner| inner.load(spec, host)).await
    }

    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<R, LoadError> + Send + 'static,
    ) -> Result<R, LoadError> {
        let inner = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || work(&inner));
        task.await.unwrap_or_else(|error| Err(LoadError::Host(error.to_string())))
    }
}

impl Inner {
    fn read(&self, source: ModuleSource) -> Result<Bytes, LoadError> {
        let unreadable = |path: String, error: String| LoadError::Unreadable { path, error };
        let bytes = match source {
            ModuleSource::Bytes(bytes) => bytes,
            ModuleSource::File(path) => std::fs::read(&path)
                .map(Bytes::from)
                .map_err(|error| unreadable(path.display().to_string(), error.to_string()))?,
            ModuleSource::Digest(digest) => self
                .modules
                .get(digest)
                .map_err(|error| unreadable(digest.to_string(), error.to_string()))?
                .map(Bytes::from)
                .ok_or(LoadError::UnknownDigest(digest))?,
        };
        Ok(bytes)
    }

    fn compile(&self, bytes: &[u8]) -> Result<(Component, Digest), LoadError> {
        check_is_component(bytes)?;
        if bytes.len() > MAX_MODULE {
            return Err(LoadError::Compile(format!("it is larger than {MAX_MODULE} bytes")));
        }
        let digest = Digest::of(bytes);
        Ok((self.artifacts.component(&self.engine, digest, bytes)?, digest))
    }

    fn load(&self, spec: PluginSpec, host: Arc<dyn PolicyHost>) -> Result<Arc<Policy>, LoadError> {
        self.check_limits(&spec)?;
        let (identity, config) = (spec.identity(), spec.config_text());
        let PluginSpec { name, stage, source, limits, grants, .. } = spec;
        let bytes = self.read(source)?;
        // A large component compiles for seconds. What its sections already say is not waited for.
        check_is_component(&bytes)?;
        if let Content { form: "Component", imports, exports, .. } = Content::of(&bytes)
            && !exports.is_empty()
        {
            check_world(&imports, &exports, stage, &grants)?;
        }
        let (component, digest) = self.compile(&bytes)?;
        let about = info(&self.engine, &component, digest, bytes.len());
        check_world(&about.imports, &about.exports, stage, &grants)?;

        let wrong_world = |error: wasmtime::Error| LoadError::WrongWorld { stage, detail: format!("{error:#}") };
        let mut linker = Linker::new(&self.engine);
        // What the check above lets pass is what is linked: of the stage's imports, those that need no grant or have it.
        let granted: Vec<&str> = stage
            .imports()
            .iter()
            .copied()
            .filter(|import| crate::Grant::of_import(import).is_none_or(|grant| grants.has(grant)))
            .collect();
        link(&mut linker, &granted).map_err(|error| LoadError::Host(format!("{error:#}")))?;
        let pre = linker.instantiate_pre(&component).map_err(wrong_world)?;
        let exports = Exports::new(stage, &pre).map_err(wrong_world)?;

        let shared = Arc::new(Shared { identity, host, memory_bytes: limits.memory_bytes, log: Default::default() });
        let tick = self.config.tick;
        let call_epochs = engine::epochs(limits.deadline, tick);
        let prepared =
            Prepared { engine: self.engine.clone(), pre, exports, shared, config, limits, tick, call_epochs };
        let (instance, declaration) = Instance::new(&prepared, prepared.limits.configure_deadline)
            .map_err(|fault| start_error(fault, stage, &prepared))?;
        let patterns = compile_paths(&declaration, &declaration.paths)?;
        let node_patterns = compile_paths(&declaration, &declaration.node_paths)?;

        let pool = Pool::default();
        let counters = Counters::default();
        counters.instance();
        if !prepared.limits.fresh {
            pool.put(Box::new(instance));
        }
        let pure = about.imports.iter().all(|import| {
            ["log", "types"].iter().any(|name| import.starts_with(&format!("{}/{name}@", crate::stage::PACKAGE)))
        });
        tracing::info!(plugin = name, %stage, %digest, bytes = bytes.len(), "loaded a policy");
        Ok(Arc::new(Policy {
            name,
            stage,
            digest,
            grants,
            pure,
            declaration,
            patterns,
            node_patterns,
            prepared,
            pool,
            counters,
            slow: AtomicU8::new(crate::policy::DISTRUST),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        }))
    }

    fn check_limits(&self, spec: &PluginSpec) -> Result<(), LoadError> {
        let limits = &spec.limits;
        let instances = self.config.instances;
        let checks = [
            (
                "memory",
                (64 << 10..=engine::MAX_MEMORY).contains(&limits.memory_bytes),
                format!("must be from 64Ki to {} bytes", engine::MAX_MEMORY),
            ),
            (
                "deadline",
                !limits.deadline.is_zero() && limits.deadline <= MAX_DEADLINE,
                format!("must be greater than 0 and at most {MAX_DEADLINE:?}"),
            ),
            (
                "concurrency",
                (1..=instances).contains(&limits.concurrency),
                format!("must be from 1 to {instances}, which is what this server has for all plugins"),
            ),
            ("callsPerInstance", limits.calls_per_instance >= 1, "must be at least 1".to_owned()),
        ];
        match checks.into_iter().find(|(_, ok, _)| !ok) {
            Some((field, _, detail)) => Err(LoadError::Limit { field, detail }),
            None => Ok(()),
        }
    }
}

fn start_error(fault: Fault, stage: crate::Stage, prepared: &Prepared) -> LoadError {
    match fault {
        Fault::Deadline => LoadError::ConfigDeadline(prepared.limits.configure_deadline),
        Fault::Memory => LoadError::ConfigMemory(prepared.limits.memory_bytes),
        Fault::Full => LoadError::Host("all instances that this server has for plugins are in use".to_owned()),
        Fault::Trap(message) => LoadError::ConfigTrap(message),
        Fault::HostPanic(message) => LoadError::Host(message),
        Fault::TooMuch => LoadError::ConfigTrap("it hands over too much data".to_owned()),
        Fault::Types(detail) => LoadError::WrongWorld { stage, detail },
        Fault::Refused(message) => LoadError::ConfigRefused(message),
    }
}

fn compile_paths(declaration: &Declaration, paths: &[String]) -> Result<Vec<Pattern>, LoadError> {
    if declaration.paths.len() + declaration.node_paths.len() > MAX_PATHS {
        let path = paths.last().cloned().unwrap_or_default();
        return Err(LoadError::Declaration { path, detail: format!("more than {MAX_PATHS} paths are declared") });
    }
    paths
        .iter()
        .map(|path| {
            Pattern::parse(path)
                .map_err(|error| LoadError::Declaration { path: path.clone(), detail: error.to_string() })
        })
        .collect()
}

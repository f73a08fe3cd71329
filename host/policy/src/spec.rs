//! What the runtime is told about a plugin: where its module is, its configuration, its limits and its grants.

use crate::{Digest, Grant, Stage};
use bytes::Bytes;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Where the bytes of a module come from.
#[derive(Clone, Debug)]
pub enum ModuleSource {
    /// A file on this machine, read at load.
    File(PathBuf),
    /// Content that was pushed to the module store.
    Digest(Digest),
    /// Bytes at hand, such as the components embedded in the binary.
    Bytes(Bytes),
}

/// What one plugin may use. The defaults suit a small policy in Rust or C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How large the linear memories of an instance may grow together, in bytes (default 64 MiB, at most 1 GiB).
    pub memory_bytes: u64,
    /// How long one call may take, including the making of an instance (default 100 ms). It is kept to within the
    /// engine's tick, which is 5 ms unless configured otherwise.
    pub deadline: Duration,
    /// How long `configure` may take on a new instance when the plugin is loaded (default 5 s): it may build tables.
    pub configure_deadline: Duration,
    /// How many calls may run at once, and so how many instances there may be (default 32).
    pub concurrency: u32,
    /// How long a call may wait for a free instance before it fails as saturated (default 100 ms).
    pub queue_wait: Duration,
    /// After how many calls a warm instance is replaced (default 10,000), which bounds what a leak can hold.
    pub calls_per_instance: u32,
    /// Whether every call gets an instance of its own (default false). It costs about 20 µs a call for small guests,
    /// and nothing that one call leaves behind can be seen by the next.
    pub fresh: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 64 << 20,
            deadline: Duration::from_millis(100),
            configure_deadline: Duration::from_secs(5),
            concurrency: 32,
            queue_wait: Duration::from_millis(100),
            calls_per_instance: 10_000,
            fresh: false,
        }
    }
}

/// What a plugin may do beside deciding. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Read objects of the cluster, as far as RBAC lets the plugin's own user (see [`PluginSpec::identity`]).
    pub cluster_read: bool,
    /// Have signatures checked against the host's key sets.
    pub verify: bool,
}

impl Grants {
    /// Whether these contain `grant`.
    pub fn has(&self, grant: Grant) -> bool {
        match grant {
            Grant::ClusterRead => self.cluster_read,
            Grant::Verify => self.verify,
        }
    }
}

/// A plugin to load.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// The name of the Plugin object.
    pub name: String,
    /// The namespace of a tenant's plugin; `None` for the cluster's own.
    pub namespace: Option<String>,
    /// The logical control plane that the plugin belongs to; empty for the default one.
    pub tenant: Arc<str>,
    /// The stage at which it decides.
    pub stage: Stage,
    /// Its module.
    pub source: ModuleSource,
    /// Its configuration, handed to `configure` as JSON text. `Null` is handed over as `{}`.
    pub config: serde_json::Value,
    /// What it may use.
    pub limits: Limits,
    /// What it may do.
    pub grants: Grants,
}

impl PluginSpec {
    /// A plugin of the default tenant with default limits, no configuration and no grants.
    pub fn new(name: impl Into<String>, stage: Stage, source: ModuleSource) -> PluginSpec {
        PluginSpec {
            name: name.into(),
            namespace: None,
            tenant: Arc::from(""),
            stage,
            source,
            config: serde_json::Value::Null,
            limits: Limits::default(),
            grants: Grants::default(),
        }
    }

    /// The configuration as a component gets it.
    pub(crate) fn config_text(&self) -> String {
        if self.config.is_null() { "{}".to_owned() } else { self.config.to_string() }
    }

    /// The user as whom the plugin reads the cluster: `system:plugin:<name>`, and `system:plugin:<namespace>:<name>`
    /// for a tenant's plugin.
    pub fn identity(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("system:plugin:{namespace}:{}", self.name),
            None => format!("system:plugin:{}", self.name),
        }
    }
}

//! Why a plugin was not loaded, and why a call gave no answer.

use crate::{Digest, Grant, Stage};
use std::time::Duration;

/// Why a plugin was not loaded. Each text tells the person who applied the Plugin what to change; the version that
/// served before goes on serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The module store has no such content.
    #[error("there is no module {0} on this server: upload it with `portcullis plugin push FILE.wasm`")]
    UnknownDigest(Digest),
    /// The module's file cannot be read.
    #[error("cannot read the module {path}: {error}")]
    Unreadable {
        /// The path as the Plugin gives it.
        path: String,
        /// What the operating system said.
        error: String,
    },
    /// The bytes are not a component. `detail` says what they are instead.
    #[error("the module is not a WebAssembly component: {detail}")]
    NotAComponent {
        /// What the bytes are, and what to do about it.
        detail: String,
    },
    /// The component is for something else than the Plugin's stage.
    #[error("the component is not of the world {}: {detail}", stage.world())]
    WrongWorld {
        /// The stage that the Plugin names.
        stage: Stage,
        /// What was found, and what to change.
        detail: String,
    },
    /// The component imports something that its stage's world does not offer.
    #[error(
        "the component imports {import}, which a policy of the stage {stage} is not given: build it without (a policy \
         needs no WASI; see the worlds in wit/)"
    )]
    UnknownImport {
        /// The stage that the Plugin names.
        stage: Stage,
        /// The import's name.
        import: String,
    },
    /// The component imports something that the Plugin does not grant.
    #[error(
        "the component imports {import}, which needs the grant {grant}: set spec.grants.{grant} to true, or build it without"
    )]
    MissingGrant {
        /// The import's name.
        import: String,
        /// The grant that it needs.
        grant: Grant,
    },
    /// The component cannot be compiled.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// A limit is outside what the runtime can keep.
    #[error("spec.limits.{field}: {detail}")]
    Limit {
        /// The limit's name in a Plugin.
        field: &'static str,
        /// What is allowed.
        detail: String,
    },
    /// `configure` refused the configuration.
    #[error("the policy refuses its configuration (spec.config): {0}")]
    ConfigRefused(String),
    /// `configure` did not come back in time.
    #[error("the policy did not accept its configuration within {0:?}: `configure` takes too long or loops")]
    ConfigDeadline(Duration),
    /// `configure` needed more memory than the limit.
    #[error("the policy needs more than {0} bytes of memory to start: raise spec.limits.memory or make it smaller")]
    ConfigMemory(u64),
    /// The component trapped while it was instantiated or configured.
    #[error("the policy trapped while it started: {0}")]
    ConfigTrap(String),
    /// The declaration that `configure` returned cannot be used.
    #[error("the policy declares the path {path:?}, which cannot be used: {detail}")]
    Declaration {
        /// The path at fault.
        path: String,
        /// Why.
        detail: String,
    },
    /// The host itself failed; nothing is wrong with the plugin.
    #[error("the server could not load the policy: {0}")]
    Host(String),
}

impl LoadError {
    /// A word for a condition's `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            LoadError::UnknownDigest(_) => "UnknownDigest",
            LoadError::Unreadable { .. } => "ModuleUnreadable",
            LoadError::NotAComponent { .. } => "NotAComponent",
            LoadError::WrongWorld { .. } => "WrongWorld",
            LoadError::UnknownImport { .. } => "UnknownImport",
            LoadError::MissingGrant { .. } => "MissingGrant",
            LoadError::Compile(_) => "CompileFailed",
            LoadError::Limit { .. } => "InvalidLimit",
            LoadError::ConfigRefused(_) => "ConfigRefused",
            LoadError::ConfigDeadline(_) => "ConfigDeadlineExceeded",
            LoadError::ConfigMemory(_) => "ConfigMemoryExceeded",
            LoadError::ConfigTrap(_) => "ConfigTrapped",
            LoadError::Declaration { .. } => "InvalidDeclaration",
            LoadError::Host(_) => "HostError",
        }
    }

    /// Whether the same load may succeed later with nothing changed about the Plugin.
    pub fn is_transient(&self) -> bool {
        matches!(self, LoadError::UnknownDigest(_) | LoadError::Unreadable { .. } | LoadError::Host(_))
    }
}

/// Why a call gave no answer. What becomes of the request then is the plugin's failure policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// All instances were busy for as long as a call may wait (HTTP 429).
    #[error("all {0} instances of the policy are busy")]
    Saturated(u32),
    /// The call took longer than its deadline.
    #[error("the policy did not answer within {0:?}")]
    DeadlineExceeded(Duration),
    /// The policy needed more memory than its limit.
    #[error("the policy needed more than its {0} bytes of memory")]
    MemoryExceeded(u64),
    /// The policy trapped: it panicked, divided by zero, recursed too deeply, ….
    #[error("the policy trapped: {0}")]
    Trap(String),
    /// The host panicked while it served an import. The process and other requests go on.
    #[error("the server failed while it served the policy: {0}")]
    HostPanic(String),
    /// The answer is larger than allowed or makes no sense.
    #[error("the policy's answer cannot be used: {0}")]
    BadOutput(String),
    /// The document is too large for the paths that the policy declares, or a batch is malformed.
    #[error("the input cannot be packed: {0}")]
    BadInput(String),
    /// A new instance refused the configuration that the first had accepted, or declared other paths.
    #[error("a new instance of the policy does not start as the first did: {0}")]
    Inconsistent(String),
    /// The policy is of another stage: a fault of the caller.
    #[error("this is a policy of the stage {0}")]
    WrongStage(Stage),
    /// No version of the plugin serves.
    #[error("no version of the policy is loaded")]
    NotLoaded,
}

impl CallError {
    /// A word for counters, conditions and the audit log.
    pub fn reason(&self) -> &'static str {
        match self {
            CallError::Saturated(_) => "Saturated",
            CallError::DeadlineExceeded(_) => "DeadlineExceeded",
            CallError::MemoryExceeded(_) => "MemoryExceeded",
            CallError::Trap(_) => "Trap",
            CallError::HostPanic(_) => "HostPanic",
            CallError::BadOutput(_) => "BadOutput",
            CallError::BadInput(_) => "BadInput",
            CallError::Inconsistent(_) => "Inconsistent",
            CallError::WrongStage(_) => "WrongStage",
            CallError::NotLoaded => "NotLoaded",
        }
    }
}

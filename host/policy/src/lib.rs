//! The Wasm policy runtime: every decision of the control plane is a component that this crate loads, limits and calls.
//!
//! - [`Runtime`] owns the engine, the module store and the cache of compiled code, and [loads](Runtime::load) a plugin:
//!   what it checks there is what can be known before the first request (see [`LoadError`]).
//! - [`Policy`] is one loaded version of a plugin. Its calls are synchronous and take about a microsecond, so that the
//!   caller makes them where it stands; nothing a guest does can take more than its [`Limits`] (see [`CallError`]).
//! - [`Document`] is what a stage decides on. A component declares the paths it reads, and a call packs exactly those.
//! - [`PolicyHost`] is what a component may ask of the server, under its own identity and only with a grant.
//!
//! A guest decides and the host acts: no function here hands a guest a credential, a file or a socket.

mod artifacts;
mod bindings;
mod digest;
mod document;
mod engine;
mod error;
mod host;
mod inspect;
mod instance;
mod keys;
pub mod log;
mod modules;
mod output;
mod policy;
mod pool;
mod runtime;
mod spec;
mod stage;
mod state;
mod stats;

pub use bindings::{
    AuditAnnotation, AuthenticatorOutcome, AuthorizerDecision, Cause, Denial, FieldError, FieldErrorType, Findings,
    InputForm, LogLevel, Mutation, NodeBatch, PatchOperation, PatchOperationKind, Placement, ReadError, UserInfo,
    Verdict, VerifyError,
};
pub use digest::{Digest, DigestError};
pub use document::{AdmissionDocument, Document, JsonDocument, Node, PodDocument};
pub use error::{CallError, LoadError};
pub use host::{DetachedHost, PolicyHost, Scheduling};
pub use inspect::{Content, ModuleInfo};
pub use keys::{KeyError, KeySets, PublicKey};
pub use log::{LogFilter, LogLine};
pub use policy::{Declaration, Policy};
pub use pool::Queue;
pub use runtime::{Runtime, RuntimeConfig, RuntimeError};
pub use spec::{Grants, Limits, ModuleSource, PluginSpec};
pub use stage::{Grant, Stage, UnknownStage};
pub use stats::PolicyStats;

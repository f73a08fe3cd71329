//! The kubelet: watches the pods bound to its node and makes them run.
//!
//! [`Agent`] is the whole of it: `node` keeps the Node object and its Lease, `pods` has a worker for each pod of the node,
//! [`server`] answers for the node. What a pod needs beside its containers is in [`env`], [`volumes`] and [`probes`].
//!
//! Containers run behind one trait, [`runtime::ContainerRuntime`], shaped after the CRI; [`wasm`] is the implementation
//! that needs nothing else installed: WASI commands and HTTP components in this process. [`Runtimes`] has one for each
//! handler that RuntimeClasses name.

#![forbid(unsafe_code)]

mod agent;
mod api;
pub mod config;
pub mod content;
pub mod env;
pub mod facts;
pub mod fields;
mod node;
mod paths;
mod pods;
pub mod probes;
pub mod runtime;
mod runtimes;
pub mod server;
pub mod source;
pub mod volumes;
pub mod wasm;

pub use agent::{Agent, KubeletError};
pub use config::KubeletConfig;
pub use runtimes::{NoRuntime, Runtimes};

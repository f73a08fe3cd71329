//! The kubelet: watches the pods bound to its node and makes them run.
//!
//! Containers run behind one trait, [`runtime::ContainerRuntime`], shaped after the CRI; [`wasm`] is the implementation
//! that needs nothing else installed: WASI commands and HTTP components in this process.

#![forbid(unsafe_code)]

pub mod env;
pub mod facts;
pub mod fields;
pub mod probes;
pub mod runtime;
pub mod server;
pub mod source;
pub mod volumes;
pub mod wasm;

//! The one way to the API: an in-process or HTTPS transport, list+watch informers, work queues, leases and events.
//!
//! Scheduler, controllers and kubelet reach the API server through [`Client`] only, with an identity of their own, so
//! that what they do passes authentication, authorization and admission like anybody else's requests. The transport
//! behind it is a socket or a function call; neither skips a step.

#![forbid(unsafe_code)]

pub mod client;
pub mod error;
pub mod events;
pub mod informer;
pub mod kubeconfig;
pub mod lease;
pub mod object;
pub mod queue;
pub mod resource;
pub mod serve;
#[cfg(test)]
mod testing;
pub mod time;
pub mod transport;
pub mod watch;
pub mod workers;

pub use client::{Client, DeleteParams, List, ListParams, PatchType, Propagation, WatchParams};
pub use error::ClientError;
pub use events::{EventRecorder, EventType};
pub use informer::{Informer, InformerBuilder, InformerEvent};
pub use kubeconfig::ClientConfig;
pub use lease::{LeaderElectionConfig, LeaderElector};
pub use object::{Object, ObjectExt};
pub use queue::WorkQueue;
pub use resource::Resource;
pub use transport::{ClientBody, HttpsTransport, Transport};
pub use watch::{WatchEvent, WatchStream};
pub use workers::run_workers;

//! The scheduler: binds pending pods to nodes as its policies say.

#![forbid(unsafe_code)]

use std::sync::Arc;

use portcullis_client::Client;
use tokio_util::sync::CancellationToken;

mod policy;

pub use policy::{NodeBatch, Placement, PlacementPolicy, PodCounter, PolicyProvider};

/// What the scheduler needs to know.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// Pods with this `spec.schedulerName` are ours.
    pub scheduler_name: String,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self { scheduler_name: "default-scheduler".into() }
    }
}

/// Schedules until shutdown.
pub async fn run(
    client: Client,
    config: SchedulerConfig,
    policies: Arc<dyn PolicyProvider>,
    shutdown: CancellationToken,
) {
    let _ = (client, config, policies);
    shutdown.cancelled().await;
}

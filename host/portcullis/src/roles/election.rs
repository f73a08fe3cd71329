//! Which of several processes with the same role works.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use portcullis_client::serve::Metrics;
use portcullis_client::{Client, LeaderElectionConfig, LeaderElector};
use tokio_util::sync::CancellationToken;

/// Flags of leader election, with the reference's names and defaults.
#[derive(Args, Clone)]
pub struct ElectionFlags {
    /// Work only while holding the Lease of this role
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// The Lease's namespace
    #[arg(long, default_value = "kube-system")]
    leader_elect_resource_namespace: String,
    /// The Lease's name; the role's if not given
    #[arg(long)]
    leader_elect_resource_name: Option<String>,
    /// How long others wait after a renewal before they take over, in seconds
    #[arg(long, default_value = "15s", value_parser = duration)]
    leader_elect_lease_duration: std::time::Duration,
    /// How long the leader tries to renew before it gives up
    #[arg(long, default_value = "10s", value_parser = duration)]
    leader_elect_renew_deadline: std::time::Duration,
    /// The pause between tries
    #[arg(long, default_value = "2s", value_parser = duration)]
    leader_elect_retry_period: std::time::Duration,
}

/// A duration as flags give it: 15s, 1m30s.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    portcullis_plugins::spec::parse_duration(text).ok_or_else(|| format!("{text:?} is not a duration such as 15s"))
}

/// An election to take part in.
pub struct Election {
    config: LeaderElectionConfig,
    metrics: Arc<Metrics>,
}

impl ElectionFlags {
    /// The election of a role under an identity of this process; `None` if there is none to be held.
    pub fn election(&self, role: &str, metrics: &Arc<Metrics>) -> Option<Election> {
        let name = self.leader_elect_resource_name.as_deref().unwrap_or(role);
        let mut election = Election::new(&self.leader_elect_resource_namespace, name, &own_identity(), metrics);
        election.config.lease_duration = self.leader_elect_lease_duration;
        election.config.renew_deadline = self.leader_elect_renew_deadline;
        election.config.retry_period = self.leader_elect_retry_period;
        self.leader_elect.then_some(election)
    }
}

impl Election {
    /// An election with the usual durations.
    pub fn new(namespace: &str, name: &str, identity: &str, metrics: &Arc<Metrics>) -> Self {
        Self { config: LeaderElectionConfig::new(namespace, name, identity), metrics: Arc::clone(metrics) }
    }
}

/// A name that no other process has: the host's, and a part that is new at every start.
pub fn own_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{}", host.trim(), uuid::Uuid::new_v4())
}

/// Does the work while leading; at once and for good if there is no election.
///
/// # Errors
/// If the Lease was lost before shutdown. What was begun under the Lease must not be finished without it, and the end of
/// the process is the only sure end of it.
pub async fn lead<W, F>(
    client: Client,
    election: Option<Election>,
    shutdown: CancellationToken,
    work: W,
) -> anyhow::Result<()>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = ()>,
{
    let Some(election) = election else {
        work(shutdown).await;
        return Ok(());
    };
    let name = election.config.name.clone();
    let metrics = election.metrics;
    let status = |leading: bool| {
        let help = "1 while this process holds the Lease.";
        metrics.gauge("leader_election_master_status", help, &[("name", &name)], f64::from(u8::from(leading)));
    };
    status(false);
    let elector = LeaderElector::new(client, election.config);
    elector
        .run(shutdown.clone(), |leading| {
            status(true);
            work(leading)
        })
        .await;
    status(false);
    if !shutdown.is_cancelled() {
        bail!("lost the lease {name}");
    }
    Ok(())
}

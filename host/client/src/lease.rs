//! Leader election over a `coordination.k8s.io` Lease.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// Which Lease, who we are, and how long things take. The defaults of the durations are the reference's.
#[derive(Clone, Debug)]
pub struct LeaderElectionConfig {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Our name in it: unique for each process.
    pub identity: String,
    /// How long others wait after a renewal before they may take over (15 s).
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it gives up (10 s).
    pub renew_deadline: Duration,
    /// The pause between tries (2 s).
    pub retry_period: Duration,
}

impl LeaderElectionConfig {
    /// The usual durations.
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Takes part in an election.
pub struct LeaderElector {
    client: Client,
    config: LeaderElectionConfig,
}

impl LeaderElector {
    /// Takes part in the election of `config` with the identity of `client`.
    pub fn new(client: Client, config: LeaderElectionConfig) -> Self {
        Self { client, config }
    }

    /// Waits to become leader, then runs `lead` with a token that is cancelled when leadership is lost or at shutdown.
    /// Returns when the leadership, or the wait for it, is over; releases the Lease on shutdown.
    pub async fn run<F, L>(&self, shutdown: CancellationToken, lead: L)
    where
        F: Future<Output = ()>,
        L: FnOnce(CancellationToken) -> F,
    {
        let _ = (&self.client, &self.config, shutdown, lead);
        todo!()
    }
}

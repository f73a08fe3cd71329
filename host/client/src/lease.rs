//! Leader election over a `coordination.k8s.io` Lease.

use std::future::Future;
use std::time::Duration;

use portcullis_machinery::Value;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::ClientError;
use crate::object::ObjectExt;
use crate::resource::LEASES;
use crate::time::now_micro;

#[cfg(test)]
mod tests;

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

/// What was last seen in the Lease, and when by our own clock: the clocks of others are not trusted.
#[derive(Default)]
struct Observed {
    spec: Value,
    at: Option<Instant>,
}

impl Observed {
    fn see(&mut self, spec: &Value) {
        if self.at.is_none() || self.spec != *spec {
            self.spec = spec.clone();
            self.at = Some(Instant::now());
        }
    }
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
        let mut observed = Observed::default();
        while !self.try_hold(&mut observed).await {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.config.retry_period) => {}
            }
        }
        tracing::info!(lease = self.config.name, identity = self.config.identity, "became leader");
        let leading = shutdown.child_token();
        let work = lead(leading.clone());
        tokio::pin!(work);
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = &mut work => break,
                () = tokio::time::sleep(self.config.retry_period), if !leading.is_cancelled() => {
                    let left = self.config.renew_deadline.saturating_sub(renewed.elapsed());
                    if tokio::time::timeout(left, self.try_hold(&mut observed)).await.unwrap_or(false) {
                        renewed = Instant::now();
                    } else if renewed.elapsed() >= self.config.renew_deadline {
                        tracing::error!(lease = self.config.name, "lost the lease");
                        leading.cancel();
                    }
                }
            }
        }
        if shutdown.is_cancelled() && renewed.elapsed() < self.config.lease_duration {
            // The next leader need not wait for the Lease to run out.
            if let Err(error) = self.release().await {
                tracing::debug!(%error, "the lease was not released");
            }
        }
    }

    async fn try_hold(&self, observed: &mut Observed) -> bool {
        match self.acquire_or_renew(observed).await {
            Ok(held) => held,
            Err(error) => {
                tracing::debug!(lease = self.config.name, %error, "lease not taken");
                false
            }
        }
    }

    async fn acquire_or_renew(&self, observed: &mut Observed) -> Result<bool, ClientError> {
        let config = &self.config;
        let now = now_micro();
        let mut lease = match self.client.get(&LEASES, &config.namespace, &config.name).await {
            Err(error) if error.is_not_found() => {
                let lease = json!({
                    "kind": "Lease",
                    "apiVersion": "coordination.k8s.io/v1",
                    "metadata": {"name": config.name, "namespace": config.namespace},
                    "spec": self.spec(&now, &now, 0),
                });
                let created = self.client.create(&LEASES, &config.namespace, &lease).await?;
                observed.see(&created["spec"]);
                return Ok(true);
            }
            other => other?,
        };
        let spec = &lease["spec"];
        observed.see(spec);
        let holder = spec.str_at(&["holderIdentity"]);
        let ours = holder == config.identity;
        let valid_for = Duration::from_secs(spec.int_at(&["leaseDurationSeconds"]).unwrap_or(0).max(0) as u64);
        let fresh = observed.at.is_some_and(|at| at.elapsed() < valid_for);
        if !ours && !holder.is_empty() && fresh {
            return Ok(false);
        }
        let transitions = spec.int_at(&["leaseTransitions"]).unwrap_or(0);
        let acquired = spec.str_at(&["acquireTime"]).to_owned();
        lease["spec"] =
            if ours { self.spec(&acquired, &now, transitions) } else { self.spec(&now, &now, transitions + 1) };
        // The resourceVersion in the object makes this fail if anybody else wrote meanwhile.
        let updated = self.client.update(&LEASES, &lease).await?;
        observed.see(&updated["spec"]);
        Ok(true)
    }

    fn spec(&self, acquired: &str, renewed: &str, transitions: i64) -> Value {
        json!({
            "holderIdentity": self.config.identity,
            "leaseDurationSeconds": self.config.lease_duration.as_secs(),
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": transitions,
        })
    }

    async fn release(&self) -> Result<(), ClientError> {
        let mut lease = self.client.get(&LEASES, &self.config.namespace, &self.config.name).await?;
        if lease["spec"].str_at(&["holderIdentity"]) != self.config.identity {
            return Ok(());
        }
        let now = now_micro();
        let transitions = lease["spec"].int_at(&["leaseTransitions"]).unwrap_or(0);
        let mut spec = self.spec(&now, &now, transitions);
        spec["holderIdentity"] = "".into();
        spec["leaseDurationSeconds"] = 1.into();
        lease["spec"] = spec;
        self.client.update(&LEASES, &lease).await.map(drop)
    }
}

//! The controllers: loops that make what is there like what is wished for, each through the API alone.

#![forbid(unsafe_code)]

use portcullis_client::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod certificates;
mod common;
mod cronjob;
mod daemonset;
mod deployment;
mod disruption;
mod endpoints;
mod ephemeral_volume;
mod gc;
mod job;
mod mirroring;
mod namespace;
mod node_lifecycle;
mod pods;
mod policy_status;
mod replicaset;
mod resource_quota;
mod revisions;
mod serviceaccount;
mod statefulset;
mod ttl;
mod volume_binding;
mod volume_protection;

pub use certificates::SigningCa;

/// What the controllers need to know.
#[derive(Clone, Debug, Default)]
pub struct ControllersConfig {
    /// PEM certificates for `kube-root-ca.crt` in each namespace; empty to publish none.
    pub root_ca: String,
    /// The CA that signs approved CertificateSigningRequests; without one none are signed.
    pub signing_ca: Option<SigningCa>,
    /// Controllers to run: `*` for all, a name, or `-name` for not that one (the reference's `--controllers`). Empty
    /// is the same as `*`.
    pub controllers: Vec<String>,
}

impl ControllersConfig {
    fn runs(&self, name: &str) -> bool {
        let named = |with: &str| self.controllers.iter().any(|entry| entry == with);
        !named(&format!("-{name}")) && (self.controllers.is_empty() || named("*") || named(name))
    }
}

/// Runs the controllers until shutdown.
pub async fn run(client: Client, config: ControllersConfig, shutdown: CancellationToken) {
    let context = common::Context::new(&client, shutdown.clone());
    let mut running = JoinSet::new();
    macro_rules! start {
        ($($name:literal => $work:expr;)*) => {
            $(if config.runs($name) {
                let (work, shutdown) = ($work, shutdown.clone());
                running.spawn(async move {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = work => {}
                    }
                });
            })*
        };
    }
    start! {
        "replicaset-controller" => replicaset::run(context.clone());
        "replicationcontroller-controller" => replicaset::run_replication_controllers(context.clone());
        "deployment-controller" => deployment::run(context.clone());
        "job-controller" => job::run(context.clone());
        "cronjob-controller" => cronjob::run(context.clone());
        "statefulset-controller" => statefulset::run(context.clone());
        "daemonset-controller" => daemonset::run(context.clone());
        "ttl-after-finished-controller" => ttl::run(context.clone());
        "persistentvolume-binder-controller" => volume_binding::run(context.clone());
        "ephemeral-volume-controller" => ephemeral_volume::run(context.clone());
        "persistentvolumeclaim-protection-controller" => volume_protection::claims(context.clone());
        "persistentvolume-protection-controller" => volume_protection::volumes(context.clone());
        "volumeattributesclass-protection-controller" => volume_protection::attributes_classes(context.clone());
        "disruption-controller" => disruption::run(context.clone());
        "namespace-controller" => namespace::run(context.clone());
        "serviceaccount-controller" => serviceaccount::run(context.clone());
        "root-ca-certificate-publisher-controller" => serviceaccount::publish_ca(context.clone(), config.root_ca.clone());
        "certificatesigningrequest-signing-controller" => certificates::sign(context.clone(), config.signing_ca.clone());
        "certificatesigningrequest-approving-controller" => certificates::approve(context.clone());
        "certificatesigningrequest-cleaner-controller" => certificates::clean(context.clone());
        "node-lifecycle-controller" => node_lifecycle::run(context.clone());
        "endpointslice-controller" => endpoints::run(context.clone());
        "endpointslice-mirroring-controller" => mirroring::run(context.clone());
        "garbage-collector-controller" => gc::run(context.clone());
        "validatingadmissionpolicy-status-controller" => policy_status::run(context.clone());
        "resourcequota-controller" => resource_quota::run(context.clone());
    }
    while running.join_next().await.is_some() {
        if !shutdown.is_cancelled() {
            tracing::error!("a controller ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_chosen_by_name() {
        let check = |list: &[&str], expected: [bool; 2]| {
            let config =
                ControllersConfig { controllers: list.iter().map(|s| (*s).into()).collect(), ..Default::default() };
            assert_eq!([config.runs("a"), config.runs("b")], expected, "{list:?}");
        };
        check(&[], [true, true]);
        check(&["*", "-a"], [false, true]);
        check(&["a"], [true, false]);
    }
}

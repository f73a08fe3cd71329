//! The Node: it is registered, its status is written when it changed or was not written for long, and its Lease says that
//! the kubelet lives.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{LEASES, NODES};
use portcullis_client::time::now_micro;
use portcullis_client::{ClientError, ObjectExt, PatchType};
use portcullis_machinery::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::agent::Agent;

mod machine;
mod object;
#[cfg(test)]
mod tests;

pub(crate) use machine::Machine;

/// How long the control plane waits for a renewal (`nodeLeaseDurationSeconds`).
const LEASE_SECONDS: i64 = 40;

/// Keeps the Node until shutdown.
pub(crate) async fn run(agent: Arc<Agent>) {
    let work = async {
        if agent.config.register_node {
            retry("the Node could not be registered", || register(&agent)).await;
        }
        tokio::join!(keep_status(&agent), keep_lease(&agent));
    };
    tokio::select! {
        () = agent.shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Tries until it succeeds, more and more rarely.
async fn retry<F: Future<Output = Result<(), ClientError>>>(what: &str, mut work: impl FnMut() -> F) {
    let mut delay = Duration::from_millis(200);
    while let Err(error) = work().await {
        tracing::warn!(%error, "{what}");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(7));
    }
}

/// Makes the Node, or gives one that is there the labels that are the kubelet's.
async fn register(agent: &Agent) -> Result<(), ClientError> {
    let node = object::node(&agent.config, agent.port(), &agent.machine, &agent.runtimes);
    match agent.client.create(&NODES, "", &node).await {
        Ok(_) => {
            tracing::info!(node = agent.config.node_name, "registered the node");
            Ok(())
        }
        Err(error) if error.is_already_exists() => {
            let patch = json!({"metadata": {"labels": node["metadata"]["labels"]}});
            agent.client.patch(&NODES, "", &agent.config.node_name, "", PatchType::Strategic, &patch).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

async fn keep_status(agent: &Agent) {
    let mut written: Option<(Value, Instant)> = None;
    let mut ready = false;
    loop {
        let status = object::status(
            &agent.config,
            agent.port(),
            &agent.machine,
            &agent.runtimes,
            written.as_ref().map(|(s, _)| s),
        );
        let fresh = written
            .as_ref()
            .is_some_and(|(before, at)| object::same(before, &status) && at.elapsed() < agent.config.report);
        if !fresh {
            let patch = object::patch(&status);
            let name = &agent.config.node_name;
            match agent.client.patch(&NODES, "", name, "status", PatchType::Strategic, &patch).await {
                Ok(node) => {
                    if !std::mem::replace(&mut ready, true) {
                        announce(agent, &node);
                    }
                    written = Some((status, Instant::now()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the Node's status could not be written");
                    if error.is_not_found() && agent.config.register_node {
                        // Somebody deleted the Node of a kubelet that lives: it comes back.
                        let _ = register(agent).await;
                        continue_after_failure().await;
                        continue;
                    }
                }
            }
        }
        tokio::time::sleep(agent.config.heartbeat).await;
    }
}

async fn continue_after_failure() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// The events of a kubelet that has just started. The Node's name stands for its uid, as the reference has it.
fn announce(agent: &Agent, node: &Value) {
    let mut about = json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": node.name(), "uid": node.name()}});
    if node.name().is_empty() {
        about["metadata"]["name"] = agent.config.node_name.as_str().into();
    }
    let record = |reason: &str, message: &str| {
        agent.recorder.event(&about, portcullis_client::EventType::Normal, reason, message);
    };
    record("Starting", "Starting kubelet.");
    record("NodeReady", &format!("Node {} status is now: NodeReady", agent.config.node_name));
}

async fn keep_lease(agent: &Agent) {
    loop {
        if let Err(error) = renew(agent).await {
            tracing::warn!(%error, "the node's lease could not be renewed");
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        tokio::time::sleep(agent.config.heartbeat).await;
    }
}

async fn renew(agent: &Agent) -> Result<(), ClientError> {
    let name = &agent.config.node_name;
    match agent.client.get(&LEASES, "kube-node-lease", name).await {
        Ok(mut lease) => {
            lease["spec"]["holderIdentity"] = name.as_str().into();
            lease["spec"]["leaseDurationSeconds"] = LEASE_SECONDS.into();
            lease["spec"]["renewTime"] = now_micro().into();
            match agent.client.update(&LEASES, &lease).await {
                // Another process under the node's name, or a person: the next renewal settles it.
                Err(error) if error.is_conflict() => Ok(()),
                other => other.map(drop),
            }
        }
        Err(error) if error.is_not_found() => {
            // The Lease goes with its Node.
            let node = agent.client.get(&NODES, "", name).await?;
            let lease = json!({
                "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
                "metadata": {
                    "name": name, "namespace": "kube-node-lease",
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.uid()}],
                },
                "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now_micro()},
            });
            agent.client.create(&LEASES, "kube-node-lease", &lease).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

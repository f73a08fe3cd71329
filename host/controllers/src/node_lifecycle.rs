//! Node lifecycle: nodes that do not report any more are marked, and the pods on them go after their tolerations.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use portcullis_client::resource::{LEASES, NODES, PODS};
use portcullis_client::{
    Client, ClientError, DeleteParams, EventRecorder, EventType, Informer, Object, ObjectExt, PatchType,
};
use portcullis_machinery::Value;
use serde_json::json;

use crate::common::{Context, condition, is_over};

#[cfg(test)]
mod tests;

/// How often nodes are looked at (`--node-monitor-period`).
const PERIOD: Duration = Duration::from_secs(5);
/// After so long without a sign a node is unknown (`--node-monitor-grace-period`).
const GRACE: Duration = Duration::from_secs(50);
/// Pods on nodes that are not there any more are deleted after this (pod GC's quarantine).
const QUARANTINE: Duration = Duration::from_secs(40);
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// The last sign of life of a node, and when by our own clock it came.
struct Heartbeat {
    sign: (String, String),
    at: Instant,
}

#[derive(Default)]
struct Memory {
    heartbeats: HashMap<String, Heartbeat>,
    /// Since when a node that pods are on has been missing.
    missing: HashMap<String, Instant>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("node-lifecycle-controller");
    let events = EventRecorder::new(client.clone(), "node-controller", "", context.shutdown.clone());
    let leases = Informer::builder(&client, &LEASES).namespace("kube-node-lease").start(context.shutdown.clone());
    context.nodes.synced().await;
    context.pods.synced().await;
    leases.synced().await;
    let mut memory = Memory::default();
    loop {
        for node in context.nodes.list() {
            let lease = leases.get("kube-node-lease", node.name());
            if let Err(error) = look_after(&client, &events, &context.pods, &mut memory, &node, lease.as_deref()).await
            {
                tracing::debug!(node = node.name(), %error, "node not looked after; tried again soon");
            }
        }
        memory.heartbeats.retain(|name, _| context.nodes.get("", name).is_some());
        collect_lost_pods(&client, &context, &mut memory).await;
        tokio::time::sleep(PERIOD).await;
    }
}

async fn look_after(
    client: &Client,
    events: &EventRecorder,
    pods: &Informer,
    memory: &mut Memory,
    node: &Object,
    lease: Option<&Value>,
) -> Result<(), ClientError> {
    let ready = condition(node, "Ready");
    let sign = (
        lease.map_or("", |lease| lease.str_at(&["spec", "renewTime"])).to_owned(),
        ready.map_or("", |ready| ready.str_at(&["lastHeartbeatTime"])).to_owned(),
    );
    let heartbeat = memory
        .heartbeats
        .entry(node.name().to_owned())
        .or_insert_with(|| Heartbeat { sign: sign.clone(), at: Instant::now() });
    if heartbeat.sign != sign {
        *heartbeat = Heartbeat { sign, at: Instant::now() };
    }
    let mut status = ready.map_or("Unknown", |ready| ready.str_at(&["status"])).to_owned();
    if heartbeat.at.elapsed() > GRACE && status != "Unknown" {
        mark_unknown(client, node).await?;
        events.event(
            node,
            EventType::Normal,
            "NodeNotReady",
            &format!("Node {} status is now: NodeNotReady", node.name()),
        );
        mark_pods_unready(client, pods, node).await;
        status = "Unknown".into();
    }
    let now = portcullis_client::time::now();
    if let Some(taints) = wanted_taints(node, &status, &now) {
        // The version keeps a taint that somebody else sets at the same moment.
        let patch = json!({"metadata": {"resourceVersion": node.resource_version()}, "spec": {"taints": taints}});
        client.patch(&NODES, "", node.name(), "", PatchType::Merge, &patch).await?;
        return Ok(());
    }
    for pod in pods.by_index("node", node.name()).iter().filter(|pod| !is_over(pod) && !pod.is_deleting()) {
        if let Some(limit) = evict_after(node, pod)
            && limit.is_none_or(|(since, seconds)| since >= seconds as f64)
        {
            events.event(pod, EventType::Normal, "TaintManagerEviction", "Marking for deletion Pod by taint eviction");
            match client.delete(&PODS, pod.namespace(), pod.name(), &DeleteParams::uid(pod.uid())).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

async fn mark_unknown(client: &Client, node: &Value) -> Result<(), ClientError> {
    let now = portcullis_client::time::now();
    let conditions: Vec<Value> = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
        .iter()
        .map(|kind| {
            json!({
                "type": kind, "status": "Unknown", "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.", "lastTransitionTime": now,
            })
        })
        .collect();
    let patch = json!({"status": {"conditions": conditions}});
    client.patch(&NODES, "", node.name(), "status", PatchType::Strategic, &patch).await.map(drop)
}

/// Services must stop sending to pods that nobody hears of.
async fn mark_pods_unready(client: &Client, pods: &Informer, node: &Value) {
    let now = portcullis_client::time::now();
    let patch = json!({"status": {"conditions": [
        {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now},
    ]}});
    for pod in pods.by_index("node", node.name()) {
        if condition(&pod, "Ready").is_some_and(|ready| ready.str_at(&["status"]) == "True") {
            let (namespace, name) = (pod.namespace(), pod.name());
            if let Err(error) = client.patch(&PODS, namespace, name, "status", PatchType::Strategic, &patch).await {
                tracing::debug!(pod = pod.key(), %error, "condition not written");
            }
        }
    }
}

/// The node's taints as its Ready condition wants them; `None` if they are so already.
fn wanted_taints(node: &Value, ready: &str, now: &str) -> Option<Vec<Value>> {
    let wanted = match ready {
        "True" => None,
        "Unknown" => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    let mut wanted: Vec<(&str, &str)> =
        wanted.map(|key| vec![(key, "NoSchedule"), (key, "NoExecute")]).unwrap_or_default();
    if node.bool_at(&["spec", "unschedulable"]) {
        wanted.push(("node.kubernetes.io/unschedulable", "NoSchedule"));
    }
    for (kind, key) in [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
        ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
        ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
    ] {
        if condition(node, kind).is_some_and(|condition| condition.str_at(&["status"]) == "True") {
            wanted.push((key, "NoSchedule"));
        }
    }
    const MANAGED: [&str; 7] = [
        NOT_READY,
        UNREACHABLE,
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/pid-pressure",
        "node.kubernetes.io/network-unavailable",
    ];
    let present = node.list_at(&["spec", "taints"]);
    let is = |taint: &Value, (key, effect): &(&str, &str)| {
        taint.str_at(&["key"]) == *key && taint.str_at(&["effect"]) == *effect
    };
    let mut taints: Vec<Value> = present
        .iter()
        .filter(|taint| !MANAGED.contains(&taint.str_at(&["key"])) || wanted.iter().any(|want| is(taint, want)))
        .cloned()
        .collect();
    let kept = taints.len();
    for want in &wanted {
        if !present.iter().any(|taint| is(taint, want)) {
            taints.push(json!({"key": want.0, "effect": want.1, "timeAdded": now}));
        }
    }
    (taints.len() != kept || kept != present.len()).then_some(taints)
}

pub(crate) fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (toleration.str_at(&["key"]), toleration.str_at(&["effect"]));
    (effect.is_empty() || effect == taint.str_at(&["effect"]))
        && (key.is_empty() || key == taint.str_at(&["key"]))
        && match toleration.str_at(&["operator"]) {
            "Exists" => true,
            _ => !key.is_empty() && toleration.str_at(&["value"]) == taint.str_at(&["value"]),
        }
}

/// Whether a pod must leave its node: `None` to stay, `Some(None)` at once, `Some(Some((since, limit)))` when the
/// taints have been there for `limit` seconds (`since` is how long they have).
fn evict_after(node: &Value, pod: &Value) -> Option<Option<(f64, i64)>> {
    let taints: Vec<&Value> =
        node.list_at(&["spec", "taints"]).iter().filter(|taint| taint.str_at(&["effect"]) == "NoExecute").collect();
    let mut soonest: Option<(f64, i64)> = None;
    for taint in taints {
        let tolerations = pod.list_at(&["spec", "tolerations"]);
        let mut matching = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
        // One taint that nothing tolerates is enough.
        if matching.peek().is_none() {
            return Some(None);
        }
        let Some(seconds) = matching.filter_map(|toleration| toleration.int_at(&["tolerationSeconds"])).min() else {
            continue;
        };
        let since = portcullis_client::time::seconds_since(taint.str_at(&["timeAdded"])).unwrap_or(0.0);
        let (seconds, since) = (seconds.max(0), since.max(0.0));
        if soonest.is_none_or(|(known, limit)| seconds as f64 - since < limit as f64 - known) {
            soonest = Some((since, seconds));
        }
    }
    soonest.map(Some)
}

/// Deletes, without grace, pods of nodes that are gone and pods that are being deleted and never got a node.
async fn collect_lost_pods(client: &Client, context: &Context, memory: &mut Memory) {
    let mut missing = HashMap::new();
    for pod in context.pods.list() {
        let node = pod.str_at(&["spec", "nodeName"]);
        let lost = if node.is_empty() {
            pod.is_deleting()
        } else if context.nodes.get("", node).is_some() {
            false
        } else {
            let since = *memory.missing.get(node).unwrap_or(&Instant::now());
            missing.insert(node.to_owned(), since);
            // The copy may be behind: the server is asked before anything is deleted.
            since.elapsed() >= QUARANTINE && client.get(&NODES, "", node).await.is_err_and(|error| error.is_not_found())
        };
        if lost {
            let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::uid(pod.uid()) };
            if let Err(error) = client.delete(&PODS, pod.namespace(), pod.name(), &params).await {
                tracing::debug!(pod = pod.key(), %error, "lost pod not deleted");
            }
        }
    }
    memory.missing = missing;
}

//! The Node object and its status, as a kubelet writes them.

use portcullis_client::ObjectExt;
use portcullis_client::time::now;
use portcullis_machinery::Value;
use serde_json::json;

use super::machine::{Machine, Pressure};
use crate::config::KubeletConfig;
use crate::runtimes::Runtimes;

/// The version of the API that this kubelet keeps to.
pub(super) const VERSION: &str = "v1.36.0";

/// The Node as it is registered.
pub(super) fn node(config: &KubeletConfig, port: u16, machine: &Machine, runtimes: &Runtimes) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": Machine::architecture(),
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": Machine::architecture(),
    });
    for (name, value) in &config.node_labels {
        labels[name.as_str()] = value.as_str().into();
    }
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": config.node_name, "labels": labels},
        "spec": {},
        "status": status(config, port, machine, runtimes, None),
    })
}

/// What the node is and has. Conditions whose status did not change since `before` keep their times.
pub(super) fn status(
    config: &KubeletConfig,
    port: u16,
    machine: &Machine,
    runtimes: &Runtimes,
    before: Option<&Value>,
) -> Value {
    let kibibytes = |bytes: i64| format!("{}Ki", bytes / 1024);
    let resources = |storage: String| {
        json!({
            "cpu": quantity_of_cpu(machine.cpu_millis),
            "memory": kibibytes(machine.memory_bytes),
            "ephemeral-storage": storage,
            "pods": config.max_pods.to_string(),
        })
    };
    let handlers: Vec<Value> = runtimes
        .handlers()
        .into_iter()
        .map(|name| json!({"name": name, "features": {"recursiveReadOnlyMounts": false, "userNamespaces": false}}))
        .collect();
    json!({
        "capacity": resources(kibibytes(machine.storage_bytes)),
        // A tenth of the disk is left free: below that the node is under pressure.
        "allocatable": resources((machine.storage_bytes / 10 * 9).to_string()),
        "conditions": conditions(machine.pressure(), before),
        "addresses": [
            {"type": "InternalIP", "address": config.node_ip.to_string()},
            {"type": "Hostname", "address": config.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "operatingSystem": "linux",
            "architecture": Machine::architecture(),
            "containerRuntimeVersion": concat!("wasm://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
        },
        "runtimeHandlers": handlers,
    })
}

/// `2`, or `2500m`.
fn quantity_of_cpu(millis: i64) -> String {
    if millis % 1000 == 0 { (millis / 1000).to_string() } else { format!("{millis}m") }
}

fn conditions(pressure: Pressure, before: Option<&Value>) -> Vec<Value> {
    let now = now();
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        let status = if holds { "True" } else { "False" };
        let known = before.map_or(&[][..], |before| before.list_at(&["conditions"]));
        let since = known
            .iter()
            .find(|known| known.str_at(&["type"]) == kind && known.str_at(&["status"]) == status)
            .map_or(now.as_str(), |known| known.str_at(&["lastTransitionTime"]));
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": since,
        })
    };
    let short = |kind: &str, holds: bool, yes: [&str; 2], no: [&str; 2]| {
        let [reason, message] = if holds { yes } else { no };
        condition(kind, holds, reason, message)
    };
    vec![
        short(
            "MemoryPressure",
            pressure.memory,
            ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
            ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
        ),
        short(
            "DiskPressure",
            pressure.disk,
            ["KubeletHasDiskPressure", "kubelet has disk pressure"],
            ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
        ),
        short(
            "PIDPressure",
            pressure.pids,
            ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
            ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
        ),
        condition("Ready", true, "KubeletReady", "kubelet is posting ready status"),
    ]
}

/// Whether two statuses say the same but for the times at which they were made.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    let strip = |status: &Value| {
        let mut status = status.clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastHeartbeatTime"] = Value::Null;
        }
        status
    };
    strip(one) == strip(other)
}

/// The patch that makes a Node's status this one, and leaves the conditions of others.
pub(super) fn patch(status: &Value) -> Value {
    let mut status = status.clone();
    // Merged by type: an address that the node does not have any more would stay.
    if let Some(addresses) = status["addresses"].as_array_mut() {
        addresses.push(json!({"$patch": "replace"}));
    }
    json!({"status": status})
}

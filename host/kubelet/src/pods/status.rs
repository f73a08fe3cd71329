//! A pod's status, of what its containers do. A function without side effects: the rules are the reference's, the reasons
//! and messages those that people and programs look for.

use std::net::IpAddr;

use jiff::Timestamp;
use portcullis_client::ObjectExt;
use portcullis_client::time::rfc3339;
use portcullis_machinery::Value;
use serde_json::{Map, json};

use super::plan::{Outcome, Runs};
use super::run::Run;
use super::spec::{Container, Role, containers};

mod conditions;
mod phase;
#[cfg(test)]
mod tests;

/// Why a pod ended that did not end by itself, or was never begun: `status.reason` and `status.message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Empty if the pod ended by itself.
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, reason: String::new(), message: String::new() }
    }
}

/// What a status is made of beside the pod and its containers.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) host_ip: IpAddr,
    /// The present or last address.
    pub(crate) pod_ip: Option<IpAddr>,
    pub(crate) sandbox_ready: bool,
    pub(crate) started_at: Timestamp,
    /// Set once nothing will run again.
    pub(crate) verdict: Option<Verdict>,
    /// Whether everything of the pod has stopped.
    pub(crate) stopped: bool,
}

/// The whole status. `pod` is the pod as the API has it, `before` the status that was made before.
pub(crate) fn status(pod: &Value, runs: &Runs, facts: &Facts, before: &Value) -> Value {
    let all = containers(pod);
    let of = |wanted: fn(Role) -> bool| {
        let chosen = all.iter().filter(|container| wanted(container.role));
        chosen.map(|container| container_status(pod, container, runs)).collect::<Vec<Value>>()
    };
    let init = of(|role| role != Role::App);
    let app = of(|role| role == Role::App);
    let phase = phase::phase(pod, &all, &init, &app, facts);
    let mut status = Map::new();
    let generation = pod.generation();
    if generation > 0 {
        status.insert("observedGeneration".into(), generation.into());
    }
    status.insert("phase".into(), phase.into());
    let made = conditions::conditions(pod, phase, runs, facts, before);
    status.insert("conditions".into(), made.into());
    if let Some(verdict) = facts.verdict.as_ref().filter(|verdict| !verdict.reason.is_empty()) {
        status.insert("reason".into(), verdict.reason.as_str().into());
        status.insert("message".into(), verdict.message.as_str().into());
    }
    let host = facts.host_ip.to_string();
    status.insert("hostIP".into(), host.as_str().into());
    status.insert("hostIPs".into(), json!([{"ip": host}]));
    if let Some(ip) = facts.pod_ip.map(|ip| ip.to_string()) {
        status.insert("podIP".into(), ip.as_str().into());
        status.insert("podIPs".into(), json!([{"ip": ip}]));
    }
    status.insert("startTime".into(), rfc3339(facts.started_at).into());
    // A pod that was refused has no containers to speak of, and is known by its reason.
    let refused = facts.verdict.as_ref().is_some_and(|verdict| !verdict.reason.is_empty());
    if !refused || runs.values().any(|run| run.was_started) {
        if !init.is_empty() {
            status.insert("initContainerStatuses".into(), init.into());
        }
        status.insert("containerStatuses".into(), app.into());
    }
    let class = pod.str_at(&["status", "qosClass"]);
    if !class.is_empty() {
        status.insert("qosClass".into(), class.into());
    }
    Value::Object(status)
}

fn container_status(pod: &Value, container: &Container<'_>, runs: &Runs) -> Value {
    let fresh = Run::default();
    let run = runs.get(container.name()).unwrap_or(&fresh);
    let has_init = !pod.list_at(&["spec", "initContainers"]).is_empty();
    let (state, last) = run.states(if has_init { "PodInitializing" } else { "ContainerCreating" });
    let ready = match container.role {
        Role::Init => run.exit_code() == Some(0),
        _ => run.is_ready(),
    };
    let mut status = json!({
        "name": container.name(),
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": run.restarts,
        "image": container.image(),
        "imageID": run.image_id,
        "started": run.is_running() && (run.started || container.role == Role::Init),
    });
    if !run.container_id.is_empty() {
        status["containerID"] = run.container_id.as_str().into();
    }
    if let Some(resources) = container.value.get("resources").filter(|r| r.as_object().is_some_and(|r| !r.is_empty())) {
        status["resources"] = resources.clone();
        if let Some(requests) = resources.get("requests") {
            status["allocatedResources"] = requests.clone();
        }
    }
    let mounts: Vec<Value> = container.value.list_at(&["volumeMounts"]).iter().map(mount_status).collect();
    if !mounts.is_empty() {
        status["volumeMounts"] = mounts.into();
    }
    status
}

fn mount_status(mount: &Value) -> Value {
    let mut status = json!({"name": mount.str_at(&["name"]), "mountPath": mount.str_at(&["mountPath"])});
    if mount.bool_at(&["readOnly"]) {
        status["readOnly"] = true.into();
        status["recursiveReadOnly"] = "Disabled".into();
    }
    status
}

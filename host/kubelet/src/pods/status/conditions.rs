//! `status.conditions`: those that the kubelet owns, beside the ones of others.

use portcullis_client::ObjectExt;
use portcullis_client::time::now;
use portcullis_machinery::Value;
use serde_json::json;

use super::Facts;
use crate::pods::plan::{Runs, is_initialized};
use crate::pods::spec::{Container, Role, containers};

/// The types of the kubelet's conditions, in the order in which they are written.
pub(super) const OWNED: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// A condition's status, reason and message.
struct Finding {
    holds: bool,
    reason: &'static str,
    message: String,
}

fn holds() -> Finding {
    Finding { holds: true, reason: "", message: String::new() }
}

fn fails(reason: &'static str, message: String) -> Finding {
    Finding { holds: false, reason, message }
}

fn names<'a>(found: impl Iterator<Item = &'a Container<'a>>) -> String {
    found.map(Container::name).collect::<Vec<_>>().join(" ")
}

fn initialized(pod: &Value, phase: &str, runs: &Runs) -> Finding {
    if phase == "Succeeded" {
        return Finding { holds: true, reason: "PodCompleted", message: String::new() };
    }
    if is_initialized(pod, runs) {
        return holds();
    }
    let all = containers(pod);
    let incomplete = all.iter().filter(|container| {
        let run = runs.get(container.name());
        match container.role {
            Role::Init => run.and_then(super::Run::exit_code) != Some(0),
            Role::Sidecar => !run.is_some_and(|run| run.is_running() && run.started),
            Role::App => false,
        }
    });
    fails("ContainersNotInitialized", format!("containers with incomplete status: [{}]", names(incomplete)))
}

fn containers_ready(pod: &Value, phase: &str, runs: &Runs) -> Finding {
    match phase {
        "Succeeded" => return fails("PodCompleted", String::new()),
        "Failed" => return fails("PodFailed", String::new()),
        _ => {}
    }
    let all = containers(pod);
    let unready = |container: &&Container<'_>| {
        container.role != Role::Init && !runs.get(container.name()).is_some_and(super::Run::is_ready)
    };
    let found = names(all.iter().filter(unready));
    if found.is_empty() {
        return holds();
    }
    fails("ContainersNotReady", format!("containers with unready status: [{found}]"))
}

fn ready(pod: &Value, of_containers: &Finding) -> Finding {
    if !of_containers.holds {
        return fails(of_containers.reason, of_containers.message.clone());
    }
    let present = pod.list_at(&["status", "conditions"]);
    let mut missing = Vec::new();
    for gate in pod.list_at(&["spec", "readinessGates"]) {
        let kind = gate.str_at(&["conditionType"]);
        match present.iter().find(|condition| condition.str_at(&["type"]) == kind) {
            None => missing.push(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
            Some(condition) if condition.str_at(&["status"]) != "True" => {
                missing.push(format!("the status of pod readiness gate \"{kind}\" is not \"True\", but {}", {
                    condition.str_at(&["status"])
                }));
            }
            Some(_) => {}
        }
    }
    if missing.is_empty() { holds() } else { fails("ReadinessGatesNotReady", missing.join(", ")) }
}

/// The kubelet's conditions. A condition whose status did not change keeps the time of its last transition.
pub(super) fn conditions(pod: &Value, phase: &str, runs: &Runs, facts: &Facts, before: &Value) -> Vec<Value> {
    let of_containers = containers_ready(pod, phase, runs);
    let mut findings = vec![
        (OWNED[0], Finding { holds: facts.sandbox_ready, reason: "", message: String::new() }),
        (OWNED[1], initialized(pod, phase, runs)),
        (OWNED[2], ready(pod, &of_containers)),
    ];
    findings.push((OWNED[3], of_containers));
    findings.push((OWNED[4], holds()));
    let known = |kind: &str| {
        let of = |status: &Value| {
            status.list_at(&["conditions"]).iter().find(|condition| condition.str_at(&["type"]) == kind).cloned()
        };
        of(before).or_else(|| of(pod.get("status").unwrap_or(&Value::Null)))
    };
    let generation = pod.generation();
    let made = findings.into_iter().map(|(kind, finding)| {
        let status = if finding.holds { "True" } else { "False" };
        let since = known(kind)
            .filter(|condition| condition.str_at(&["status"]) == status)
            .map(|condition| condition.str_at(&["lastTransitionTime"]).to_owned())
            .filter(|since| !since.is_empty());
        let mut condition = json!({
            "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since.unwrap_or_else(now),
        });
        if generation > 0 {
            condition["observedGeneration"] = generation.into();
        }
        for (field, text) in [("reason", finding.reason), ("message", finding.message.as_str())] {
            if !text.is_empty() {
                condition[field] = text.into();
            }
        }
        condition
    });
    made.collect()
}

//! A pod's row: the one whose cells take some working out.

use super::age::age;
use crate::object::{bool_at, deletion_timestamp, get_at, i64_at, list_at, name, str_at};
use jiff::Timestamp;
use serde_json::Value;

/// What the states of a pod's containers come to.
struct Summary {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<String>,
}

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let none = |text: Option<&str>| Value::from(text.filter(|text| !text.is_empty()).unwrap_or("<none>"));
    let sidecars = list_at(pod, &["spec", "initContainers"]).iter().filter(|container| is_sidecar(container)).count();
    let total = list_at(pod, &["spec", "containers"]).len() + sidecars;
    let summary = summarize(pod);
    let restarts = match &summary.last_restart {
        Some(last) if summary.restarts != 0 => format!("{} ({} ago)", summary.restarts, age(Some(last), now)),
        _ => summary.restarts.to_string(),
    };
    let gates = list_at(pod, &["spec", "readinessGates"]);
    let open = gates.iter().filter(|gate| condition(pod, text(gate, &["conditionType"])) == Some("True")).count();
    let gates = if gates.is_empty() { "<none>".to_owned() } else { format!("{open}/{}", gates.len()) };
    vec![
        name(pod).into(),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.into(),
        restarts.into(),
        age(str_at(pod, &["metadata", "creationTimestamp"]), now).into(),
        none(list_at(pod, &["status", "podIPs"]).first().and_then(|ip| str_at(ip, &["ip"]))),
        none(str_at(pod, &["spec", "nodeName"])),
        none(str_at(pod, &["status", "nominatedNodeName"])),
        gates.into(),
    ]
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    str_at(value, path).unwrap_or_default()
}

fn condition<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let conditions = list_at(pod, &["status", "conditions"]);
    conditions.iter().find(|condition| text(condition, &["type"]) == name).map(|condition| text(condition, &["status"]))
}

/// An init container that keeps running beside the others.
fn is_sidecar(container: &Value) -> bool {
    text(container, &["restartPolicy"]) == "Always"
}

/// Why a container ended: its reason, or the signal or exit code.
fn ending(terminated: &Value) -> String {
    match (text(terminated, &["reason"]), i64_at(terminated, &["signal"]).unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", i64_at(terminated, &["exitCode"]).unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn state<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    get_at(status, &["state", name]).filter(|state| !state.is_null())
}

fn later(last: &mut Option<String>, status: &Value) {
    // Times in the API's one form compare as text.
    if let Some(finished) = str_at(status, &["lastState", "terminated", "finishedAt"])
        && last.as_deref().is_none_or(|last| last < finished)
    {
        *last = Some(finished.to_owned());
    }
}

fn summarize(pod: &Value) -> Summary {
    let phase = text(pod, &["status", "phase"]);
    let own_reason = text(pod, &["status", "reason"]);
    let mut summary = Summary {
        reason: if own_reason.is_empty() { phase } else { own_reason }.to_owned(),
        ready: 0,
        restarts: 0,
        last_restart: None,
    };
    let gated = list_at(pod, &["status", "conditions"])
        .iter()
        .any(|c| text(c, &["type"]) == "PodScheduled" && text(c, &["reason"]) == "SchedulingGated");
    if gated {
        summary.reason = "SchedulingGated".to_owned();
    }
    let (initializing, sidecars) = initialize(pod, &mut summary);
    if !initializing || condition(pod, "Initialized") == Some("True") {
        (summary.restarts, summary.last_restart) = sidecars;
        run(pod, &mut summary);
    }
    if deletion_timestamp(pod).is_some() {
        if own_reason == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

/// Goes through the init containers: whether one of them is still under way, and the sidecars' restarts.
fn initialize(pod: &Value, summary: &mut Summary) -> (bool, (i64, Option<String>)) {
    let specs = list_at(pod, &["spec", "initContainers"]);
    let mut sidecars = (0, None);
    for (index, status) in list_at(pod, &["status", "initContainerStatuses"]).iter().enumerate() {
        let name = text(status, &["name"]);
        let sidecar = specs.iter().any(|spec| text(spec, &["name"]) == name && is_sidecar(spec));
        let restarts = i64_at(status, &["restartCount"]).unwrap_or(0);
        summary.restarts += restarts;
        later(&mut summary.last_restart, status);
        if sidecar {
            sidecars.0 += restarts;
            later(&mut sidecars.1, status);
        }
        let (terminated, waiting) = (state(status, "terminated"), state(status, "waiting"));
        let waits_for = waiting.map_or("", |waiting| text(waiting, &["reason"]));
        match terminated {
            Some(terminated) if i64_at(terminated, &["exitCode"]).unwrap_or(0) == 0 => continue,
            _ if sidecar && bool_at(status, &["started"]) => {
                summary.ready += usize::from(bool_at(status, &["ready"]));
                continue;
            }
            Some(terminated) => summary.reason = format!("Init:{}", ending(terminated)),
            None if !matches!(waits_for, "" | "PodInitializing") => summary.reason = format!("Init:{waits_for}"),
            None => summary.reason = format!("Init:{index}/{}", specs.len()),
        }
        return (true, sidecars);
    }
    (false, sidecars)
}

/// Goes through the containers, the last first, so that the first one's trouble is what shows.
fn run(pod: &Value, summary: &mut Summary) {
    let (mut running, mut error) = (false, String::new());
    for status in list_at(pod, &["status", "containerStatuses"]).iter().rev() {
        summary.restarts += i64_at(status, &["restartCount"]).unwrap_or(0);
        later(&mut summary.last_restart, status);
        let waits_for = state(status, "waiting").map_or("", |waiting| text(waiting, &["reason"]));
        if !waits_for.is_empty() {
            summary.reason = waits_for.to_owned();
        } else if let Some(terminated) = state(status, "terminated") {
            summary.reason = ending(terminated);
            if i64_at(terminated, &["exitCode"]).unwrap_or(0) != 0 {
                error.clone_from(&summary.reason);
            }
        } else if bool_at(status, &["ready"]) && state(status, "running").is_some() {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        if running && condition(pod, "Ready") == Some("True") {
            summary.reason = "Running".to_owned();
        } else if !error.is_empty() {
            summary.reason = error;
        } else if running {
            summary.reason = "NotReady".to_owned();
        }
    }
}

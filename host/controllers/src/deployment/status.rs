//! What a Deployment says of itself.

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;
use serde_json::json;

use super::replicas;
use super::rolling::max_unavailable;
use crate::common::{condition, set_condition};

fn sum(sets: &[&Object], field: &str) -> i64 {
    sets.iter().map(|set| set.int_at(&["status", field]).unwrap_or(0)).sum()
}

/// Whether all wished pods are of the present revision and available, and no others are left.
pub(super) fn is_complete(deployment: &Value, new: Option<&Object>, old: &[Object]) -> bool {
    let all: Vec<&Object> = old.iter().chain(new).collect();
    let updated: Vec<&Object> = new.into_iter().collect();
    let wanted = replicas(deployment);
    sum(&updated, "replicas") == wanted
        && sum(&all, "replicas") == wanted
        && sum(&all, "availableReplicas") == wanted
        && new.is_some()
}

/// The status, and after how many seconds to look again (for the progress deadline).
pub(super) fn status_of(deployment: &Value, new: Option<&Object>, old: &[Object]) -> (Value, Option<f64>) {
    let all: Vec<&Object> = old.iter().chain(new).collect();
    let updated: Vec<&Object> = new.into_iter().collect();
    let now = portcullis_client::time::now();
    let wanted = replicas(deployment);
    let available = sum(&all, "availableReplicas");
    let total = all.iter().map(|set| replicas(set)).sum::<i64>();
    let mut status = json!({"observedGeneration": deployment.generation()});
    for (field, count) in [
        ("replicas", sum(&all, "replicas")),
        ("updatedReplicas", sum(&updated, "replicas")),
        ("readyReplicas", sum(&all, "readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (total - available).max(0)),
        ("terminatingReplicas", sum(&all, "terminatingReplicas")),
    ] {
        if count > 0 || field == "terminatingReplicas" && deployment.at(&["status", field]).is_some() {
            status[field] = count.into();
        }
    }
    if let Some(collisions) = deployment.at(&["status", "collisionCount"]) {
        status["collisionCount"] = collisions.clone();
    }
    let mut conditions = deployment.list_at(&["status", "conditions"]).to_vec();
    let mut put = |kind: &str, value: &str, reason: &str, message: String| {
        let wanted =
            json!({"type": kind, "status": value, "reason": reason, "message": message, "lastUpdateTime": now});
        set_condition(&mut conditions, wanted, &now);
    };
    if available >= wanted - max_unavailable(deployment) {
        let message = "Deployment has minimum availability.";
        put("Available", "True", "MinimumReplicasAvailable", message.into());
    } else {
        let message = "Deployment does not have minimum availability.";
        put("Available", "False", "MinimumReplicasUnavailable", message.into());
    }
    let deadline = deployment.int_at(&["spec", "progressDeadlineSeconds"]).filter(|seconds| *seconds < i32::MAX.into());
    let mut check_in = None;
    if let Some(deadline) = deadline {
        let name = new.map_or("", |set| set.name());
        let known = condition(deployment, "Progressing");
        let reason = known.map_or("", |known| known.str_at(&["reason"]));
        let moved = ["updatedReplicas", "readyReplicas", "availableReplicas"]
            .iter()
            .any(|field| status.int_at(&[field]).unwrap_or(0) > deployment.int_at(&["status", field]).unwrap_or(0))
            || sum(&all, "replicas") - sum(&updated, "replicas")
                < deployment.int_at(&["status", "replicas"]).unwrap_or(0)
                    - deployment.int_at(&["status", "updatedReplicas"]).unwrap_or(0);
        let changed = deployment.int_at(&["status", "observedGeneration"]).unwrap_or(0) < deployment.generation();
        if deployment.bool_at(&["spec", "paused"]) {
            if known.is_none_or(|_| reason != "DeploymentPaused") {
                put("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused".into());
            }
        } else if is_complete(deployment, new, old) {
            if known
                .is_none_or(|known| reason != "NewReplicaSetAvailable" || !known.str_at(&["message"]).contains(name))
            {
                let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
                put("Progressing", "True", "NewReplicaSetAvailable", message);
            }
        } else if known.is_none() || moved || (changed && reason != "ReplicaSetUpdated") {
            let (reason, verb) = if known.is_none() {
                ("NewReplicaSetCreated", format!("Created new replica set \"{name}\""))
            } else {
                ("ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing."))
            };
            put("Progressing", "True", reason, verb);
            // Progress renews the deadline even where the words stay the same.
            if let Some(progressing) = conditions.iter_mut().find(|c| c.str_at(&["type"]) == "Progressing") {
                progressing["lastUpdateTime"] = now.as_str().into();
            }
            check_in = Some(deadline as f64);
        } else if reason != "ProgressDeadlineExceeded" && reason != "NewReplicaSetAvailable" {
            let since = known.map_or("", |known| known.str_at(&["lastUpdateTime"]));
            let waited = portcullis_client::time::seconds_since(since).unwrap_or(0.0);
            if waited > deadline as f64 {
                let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
                put("Progressing", "False", "ProgressDeadlineExceeded", message);
            } else {
                check_in = Some(deadline as f64 - waited + 1.0);
            }
        }
    }
    let failed = updated.iter().find_map(|set| condition(set, "ReplicaFailure"));
    match failed {
        Some(failed) => {
            let mut failed = failed.clone();
            failed["lastUpdateTime"] = now.as_str().into();
            set_condition(&mut conditions, failed, &now);
        }
        None => conditions.retain(|condition| condition.str_at(&["type"]) != "ReplicaFailure"),
    }
    status["conditions"] = conditions.into();
    (status, check_in)
}

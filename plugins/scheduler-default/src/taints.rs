//! Taints and tolerations.

use portcullis_sdk::ValueRef;

use crate::{Node, Pod};

/// How many taints with one of `effects` the pod does not tolerate.
pub(crate) fn untolerated(pod: &Pod, node: &Node, effects: &[&str]) -> usize {
    let text = |taint: &ValueRef, field| taint.get(field).str_or_empty().to_owned();
    node.taints
        .iter()
        .filter(|taint| effects.iter().any(|effect| taint.get("effect").is_str(effect)))
        .filter(|taint| !tolerated(pod, &text(taint, "key"), &text(taint, "value"), &text(taint, "effect")))
        .count()
}

/// Whether the pod may go to a node that was cordoned.
pub(crate) fn tolerates_unschedulable(pod: &Pod) -> bool {
    tolerated(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule")
}

fn tolerated(pod: &Pod, key: &str, value: &str, effect: &str) -> bool {
    pod.tolerations.iter().any(|toleration| {
        let text = |field| toleration.get(field).str_or_empty();
        // An empty effect and an empty key stand for all of them.
        if !text("effect").is_empty() && text("effect") != effect || !text("key").is_empty() && text("key") != key {
            return false;
        }
        match text("operator") {
            "" | "Equal" => text("value") == value,
            "Exists" => true,
            _ => false,
        }
    })
}

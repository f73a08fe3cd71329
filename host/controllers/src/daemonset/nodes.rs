//! Which nodes a DaemonSet's pods belong on, and how a pod is made for one of them.
//!
//! The scheduler binds the pods, as it does all others; each is held to its node by its affinity.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use portcullis_placement::node_selector;
use serde_json::json;

use crate::node_lifecycle::tolerates;

/// Taints that tell of a node's state: daemons are there to deal with it.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// What a node is to a set.
pub(super) struct Wants {
    /// A pod is to be made there.
    pub(super) runs: bool,
    /// A pod that is there may stay.
    pub(super) stays: bool,
}

/// The fields of a node that decide about daemons.
pub(super) fn what_counts(node: &Value) -> [Option<&Value>; 2] {
    [node.at(&["metadata", "labels"]), node.at(&["spec"])]
}

/// Whether a set's pods belong on a node.
pub(super) fn wants(set: &Value, node: &Value) -> Wants {
    let spec = set.at(&["spec", "template", "spec"]).unwrap_or(&Value::Null);
    let named = spec.str_at(&["nodeName"]);
    if (!named.is_empty() && named != node.name()) || !selected(spec, node) {
        return Wants { runs: false, stays: false };
    }
    let own = all_tolerations(spec);
    let stands = |effects: &[&str]| {
        let taints = node.list_at(&["spec", "taints"]).iter();
        let mut taints = taints.filter(|taint| effects.contains(&taint.str_at(&["effect"])));
        taints.all(|taint| own.iter().any(|toleration| tolerates(toleration, taint)))
    };
    Wants { runs: stands(&["NoSchedule", "NoExecute"]), stays: stands(&["NoExecute"]) }
}

fn all_tolerations(spec: &Value) -> Vec<Value> {
    let mut all = spec.list_at(&["tolerations"]).to_vec();
    let mut add = |key: &str, effect: &str| {
        let wanted = json!({"key": key, "operator": "Exists", "effect": effect});
        if !all.contains(&wanted) {
            all.push(wanted);
        }
    };
    for (key, effect) in TOLERATED {
        add(key, effect);
    }
    if spec.bool_at(&["hostNetwork"]) {
        add("node.kubernetes.io/network-unavailable", "NoSchedule");
    }
    all
}

/// Whether the node selector and the required affinity fit the node.
fn selected(spec: &Value, node: &Value) -> bool {
    let labels = spec.at(&["nodeSelector"]).and_then(Value::as_object).into_iter().flatten();
    if labels.into_iter().any(|(name, value)| node.label(name) != value.as_str()) {
        return false;
    }
    let path = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    let terms = spec.list_at(&path);
    spec.at(&path).is_none() || node_selector::any_fits(terms, node)
}

/// Makes a pod one for this node: by an affinity to its name, in place of those that the template has.
pub(super) fn pin(pod: &mut Value, node: &str) {
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [term]});
    let tolerations = all_tolerations(&pod["spec"]);
    pod["spec"]["tolerations"] = tolerations.into();
}

/// The node that a pod is on, or was made for.
pub(super) fn node_of(pod: &Value) -> &str {
    let bound = pod.str_at(&["spec", "nodeName"]);
    if !bound.is_empty() {
        return bound;
    }
    let path = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    let terms = pod.at(&["spec"]).map_or(&[][..], |spec| spec.list_at(&path));
    let mut fields = terms.iter().flat_map(|term| term.list_at(&["matchFields"]));
    fields
        .find(|field| field.str_at(&["key"]) == "metadata.name")
        .and_then(|field| field.list_at(&["values"]).first())
        .and_then(Value::as_str)
        .unwrap_or("")
}

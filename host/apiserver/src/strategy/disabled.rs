//! Fields of features that are off by default: a new object does not keep them, and an object that has one already does.

use portcullis_machinery::{Value, object};

/// Kinds, and paths of what is dropped; `*` stands for every item of a list.
const FIELDS: &[(&[&str], &[&str])] = &[
    (&["Lease"], &["spec", "strategy"]),
    (&["Lease"], &["spec", "preferredHolder"]),
    (&["EndpointSlice"], &["endpoints", "*", "deprecatedTopology"]),
    (&["Node"], &["spec", "configSource"]),
    (PODS, &["schedulingGroup"]),
    (PODS, &["containers", "*", "lifecycle", "stopSignal"]),
    (PODS, &["initContainers", "*", "lifecycle", "stopSignal"]),
    (PODS, &["volumes", "*", "projected", "sources", "*", "clusterTrustBundle"]),
    (PODS, &["volumes", "*", "projected", "sources", "*", "podCertificate"]),
    (&["StatefulSet"], &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"]),
];

/// Pods and what makes them; paths for these begin at the pod's spec.
const PODS: &[&str] = &[
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
];

/// Where a kind has a pod's spec.
fn pod_spec(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &["spec"],
        "PodTemplate" => &["template", "spec"],
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    }
}

/// Drops what is off from a new object, or from a changed one unless the old one has it.
pub fn drop_fields(kind: &str, new: &mut Value, old: Option<&Value>) {
    for (kinds, path) in FIELDS.iter().filter(|(kinds, _)| kinds.contains(&kind)) {
        let root = if *kinds == PODS { pod_spec(kind) } else { &[] };
        let used = |object: &Value| object::get_at(object, root).is_some_and(|part| has(part, path));
        if old.is_some_and(used) || !used(new) {
            continue;
        }
        if let Some(part) = object::get_at_mut(new, root) {
            remove(part, path);
        }
    }
    if kind == "PersistentVolumeClaim" && old.is_none() {
        drop_other_sources(new);
    }
}

fn has(value: &Value, path: &[&str]) -> bool {
    match path {
        [] => true,
        ["*", rest @ ..] => value.as_array().is_some_and(|items| items.iter().any(|item| has(item, rest))),
        [key, rest @ ..] => value.get(key).is_some_and(|value| has(value, rest)),
    }
}

fn remove(value: &mut Value, path: &[&str]) {
    match path {
        [] => {}
        ["*", rest @ ..] => value.as_array_mut().into_iter().flatten().for_each(|item| remove(item, rest)),
        [key] => {
            if let Some(members) = value.as_object_mut() {
                members.remove(*key);
            }
        }
        [key, rest @ ..] => {
            if let Some(inner) = value.get_mut(key) {
                remove(inner, rest);
                // What held nothing else is not there either, as in `lifecycle: {stopSignal: …}`.
                let emptied = inner.as_object().is_some_and(serde_json::Map::is_empty) && *key == "lifecycle";
                if emptied && let Some(members) = value.as_object_mut() {
                    members.remove(*key);
                }
            }
        }
    }
}

/// A claim is filled from another claim or from a snapshot; the older field takes nothing else.
fn drop_other_sources(claim: &mut Value) {
    let Some(source) = object::get_at(claim, &["spec", "dataSource"]) else { return };
    let group = object::str_at(source, &["apiGroup"]).unwrap_or("");
    let kind = object::str_at(source, &["kind"]).unwrap_or("");
    if !matches!((group, kind), ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")) {
        object::remove_at(claim, &["spec", "dataSource"]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_off_is_dropped_unless_it_is_used() {
        let check = |kind: &str, new: Value, old: Option<Value>, expected: Value| {
            let mut got = new;
            drop_fields(kind, &mut got, old.as_ref());
            assert_eq!(got, expected, "{kind}");
        };
        let lease = json!({"spec": {"strategy": "x", "holderIdentity": "a"}});
        check("Lease", lease.clone(), None, json!({"spec": {"holderIdentity": "a"}}));
        check("Lease", lease.clone(), Some(lease.clone()), lease);
        let pod = |lifecycle: Value| json!({"spec": {"containers": [{"name": "c", "lifecycle": lifecycle}]}});
        check("Pod", pod(json!({"stopSignal": "SIGTERM"})), None, json!({"spec": {"containers": [{"name": "c"}]}}));
        check("Pod", pod(json!({"stopSignal": "SIGTERM", "preStop": {}})), None, pod(json!({"preStop": {}})));
        let claim = |kind: &str| json!({"spec": {"dataSource": {"apiGroup": null, "kind": kind, "name": "x"}}});
        check("PersistentVolumeClaim", claim("Pod"), None, json!({"spec": {}}));
        check("PersistentVolumeClaim", claim("PersistentVolumeClaim"), None, claim("PersistentVolumeClaim"));
    }
}

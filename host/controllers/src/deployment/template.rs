//! Pod templates, their hashes, and the annotations that carry revisions.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use serde_json::{Map, json};

use super::rolling;
use crate::common::{controller_ref, fnv1a, safe_encode};

pub(super) const HASH_LABEL: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A ReplicaSet's (or Deployment's) revision; 0 if it has none.
pub(super) fn revision(object: &Value) -> i64 {
    object.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether a ReplicaSet is of the Deployment's present template, but for the hash label.
pub(super) fn same(deployment: &Value, set: &Value) -> bool {
    let plain = |object: &Value| {
        let mut template = object.at(&["spec", "template"]).cloned().unwrap_or_default();
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.remove(HASH_LABEL);
        }
        template
    };
    plain(deployment) == plain(set)
}

fn hash(deployment: &Value) -> String {
    let mut text = deployment.at(&["spec", "template"]).map(Value::to_string).unwrap_or_default();
    if let Some(collisions) = deployment.int_at(&["status", "collisionCount"]) {
        text.push_str(&collisions.to_string());
    }
    safe_encode(&fnv1a(text.as_bytes()).to_string())
}

fn put_sizes(annotations: &mut Map<String, Value>, deployment: &Value) {
    let wanted = super::replicas(deployment);
    annotations.insert(DESIRED.into(), wanted.to_string().into());
    annotations.insert(MAX.into(), (wanted + rolling::max_surge(deployment)).to_string().into());
}

/// A set's annotations with the present sizes.
pub(super) fn sizes(deployment: &Value, set: &Value) -> Value {
    let mut annotations = set.at(&["metadata", "annotations"]).and_then(Value::as_object).cloned().unwrap_or_default();
    put_sizes(&mut annotations, deployment);
    Value::Object(annotations)
}

/// The annotations of the present template's set: the Deployment's own (not kubectl's), the revision, its history and
/// the sizes.
pub(super) fn annotations(deployment: &Value, set: Option<&Value>, number: i64) -> Value {
    let mut annotations = set
        .and_then(|set| set.at(&["metadata", "annotations"]))
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(own) = deployment.at(&["metadata", "annotations"]).and_then(Value::as_object) {
        for (name, value) in own {
            if ![LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX].contains(&name.as_str()) {
                annotations.insert(name.clone(), value.clone());
            }
        }
    }
    let before = set.map_or(0, revision);
    if before > 0 && before != number {
        let history = annotations.get(REVISION_HISTORY).and_then(Value::as_str).unwrap_or("");
        let history = if history.is_empty() { before.to_string() } else { format!("{history},{before}") };
        annotations.insert(REVISION_HISTORY.into(), history.into());
    }
    annotations.insert(REVISION.into(), number.to_string().into());
    put_sizes(&mut annotations, deployment);
    Value::Object(annotations)
}

/// A ReplicaSet for the present template.
pub(super) fn new_set(deployment: &Value, revision: i64, count: i64) -> Value {
    let hash = hash(deployment);
    let mut template = deployment.at(&["spec", "template"]).cloned().unwrap_or_default();
    template["metadata"]["labels"][HASH_LABEL] = hash.as_str().into();
    let mut selector = deployment.at(&["spec", "selector"]).cloned().unwrap_or_default();
    selector["matchLabels"][HASH_LABEL] = hash.as_str().into();
    let mut spec = json!({"replicas": count, "selector": selector, "template": template});
    if let Some(seconds) = deployment.int_at(&["spec", "minReadySeconds"]).filter(|seconds| *seconds > 0) {
        spec["minReadySeconds"] = seconds.into();
    }
    json!({
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": format!("{}-{hash}", deployment.name()),
            "namespace": deployment.namespace(),
            "labels": template["metadata"]["labels"],
            "annotations": annotations(deployment, None, revision),
            "ownerReferences": [controller_ref(deployment)],
        },
        "spec": spec,
    })
}

//! The plugins that a cluster starts with.

use serde_json::{Value, json};

/// The Plugin objects of the embedded components that this binary carries, as a server creates them at its first start.
/// A stored Plugin of the same name takes the place of the one here.
pub fn plugins() -> Vec<Value> {
    let all = [
        ("authn-x509", json!({"stage": "authenticator", "order": 0})),
        (
            "authn-bearer",
            json!({"stage": "authenticator", "order": 10, "grants": {"clusterRead": true, "verify": true}}),
        ),
        (
            "admission-serviceaccount",
            json!({"stage": "mutator", "order": -100, "grants": {"clusterRead": true},
                   "match": {"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods"]}}),
        ),
        (
            "admission-defaults",
            json!({"stage": "mutator", "order": -90, "grants": {"clusterRead": true},
                   "match": {"operations": ["CREATE", "UPDATE"], "apiGroups": ["", "storage.k8s.io"],
                             "resources": ["pods", "nodes", "persistentvolumes", "persistentvolumeclaims",
                                           "volumeattributesclasses"]}}),
        ),
        (
            "pod-security",
            json!({"stage": "validator", "order": 0, "match": {"operations": ["CREATE", "UPDATE"],
                   "apiGroups": ["", "apps", "batch"],
                   "resources": ["pods", "pods/ephemeralcontainers", "podtemplates", "replicationcontrollers",
                                 "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs"]}}),
        ),
        (
            "object-warnings",
            json!({"stage": "validator", "order": -10, "failurePolicy": "Ignore",
                   "match": {"operations": ["CREATE", "UPDATE"],
                             "apiGroups": ["", "apps", "batch", "discovery.k8s.io", "networking.k8s.io"],
                             "resources": ["pods", "podtemplates", "replicationcontrollers", "deployments", "replicasets",
                                           "statefulsets", "daemonsets", "jobs", "cronjobs", "services", "serviceaccounts",
                                           "persistentvolumes", "persistentvolumeclaims", "endpointslices",
                                           "ingresses"]}}),
        ),
        ("validate-objects", json!({"stage": "objectValidator", "order": 0, "match": {"resources": ["*/*"]}})),
        ("scheduler-default", json!({"stage": "scheduler", "order": 0})),
    ];
    all.into_iter()
        .filter(|(name, _)| portcullis_first_party::find(name).is_some())
        .map(|(name, mut spec)| {
            spec["source"] = json!({"embedded": name});
            json!({
                "apiVersion": "plugins.portcullis.dev/v1alpha1",
                "kind": "Plugin",
                "metadata": {"name": name, "labels": {"plugins.portcullis.dev/first-party": "true"}},
                "spec": spec,
            })
        })
        .collect()
}

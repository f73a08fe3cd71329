//! What objects count for.

use serde_json::json;

use super::*;

#[test]
fn usages() {
    let check = |resource: &str, object: Value, expected: Value| {
        assert_eq!(to_value(&usage("", resource, &object)), expected, "{resource} {object}");
    };
    check("configmaps", json!({}), json!({"configmaps": "1", "count/configmaps": "1"}));
    let container = |requests: Value| json!({"name": "c", "resources": {"requests": requests}});
    check(
        "pods",
        json!({"spec": {
            "containers": [container(json!({"cpu": "1", "a.b/gpu": "2"})), container(json!({"cpu": "500m"}))],
            "initContainers": [container(json!({"cpu": "2"}))], "overhead": {"cpu": "100m"},
        }}),
        json!({"count/pods": "1", "pods": "1", "cpu": "2100m", "requests.cpu": "2100m", "requests.a.b/gpu": "2"}),
    );
    check("pods", json!({"status": {"phase": "Failed"}}), json!({"count/pods": "1"}));
    check(
        "services",
        json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}}),
        json!({"count/services": "1", "services": "1", "services.nodeports": "2", "services.loadbalancers": "1"}),
    );
    check(
        "persistentvolumeclaims",
        json!({"spec": {"storageClassName": "s", "resources": {"requests": {"storage": "1Gi"}}}}),
        json!({
            "count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "1Gi",
            "s.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "s.storageclass.storage.k8s.io/requests.storage": "1Gi",
        }),
    );
    assert_eq!(to_value(&usage("apps", "deployments", &json!({}))), json!({"count/deployments.apps": "1"}));
}

#[test]
fn what_has_to_be_said() {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let pod = json!({"spec": {"containers": [{"name": "c"}, {"name": "d", "resources": {"requests": {"cpu": 1}}}]}});
    let check = |limits: &[&str], expected: Result<(), &str>| {
        assert_eq!(constraints("", "pods", &names(limits), &pod), expected.map_err(str::to_owned), "{limits:?}");
    };
    check(&["pods", "limits.ephemeral-storage"], Ok(()));
    check(&["requests.cpu"], Err("must specify requests.cpu for: c"));
    check(&["requests.cpu", "limits.memory"], Err("must specify limits.memory for: c,d; requests.cpu for: c"));
}

#[test]
fn scopes() {
    let check = |spec: Value, pod: Value, expected: bool| {
        assert_eq!(in_scope(&spec, "", "pods", &pod), expected, "{spec} {pod}");
    };
    check(json!({}), json!({}), true);
    check(json!({"scopes": ["BestEffort"]}), json!({"spec": {"containers": [{}]}}), true);
    check(json!({"scopes": ["NotTerminating"]}), json!({"spec": {"activeDeadlineSeconds": 5}}), false);
    let classes = |operator: &str| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": ["high"]}]}});
    check(classes("In"), json!({"spec": {"priorityClassName": "high"}}), true);
    check(classes("In"), json!({"spec": {}}), false);
    check(classes("NotIn"), json!({"spec": {}}), true);
    assert!(!in_scope(&json!({"scopes": ["BestEffort"]}), "", "services", &json!({})));
}

#[test]
fn which_limits_concern_what() {
    let check = |resource: &str, name: &str, expected: bool| {
        assert_eq!(concerns("", resource, name), expected, "{resource} {name}");
    };
    check("pods", "requests.a.b/gpu", true);
    check("pods", "requests.storage", false);
    check("pods", "limits.hugepages-2Mi", true);
    check("persistentvolumeclaims", "s.storageclass.storage.k8s.io/requests.storage", true);
    check("configmaps", "count/configmaps", true);
    check("configmaps", "count/secrets", false);
}

#[test]
fn devices() {
    let claim = json!({"spec": {"devices": {"requests": [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {"name": "b", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
        {"name": "c", "firstAvailable": [
            {"name": "x", "deviceClassName": "gpu", "count": 1}, {"name": "y", "deviceClassName": "gpu", "count": 4},
        ]},
    ]}}});
    let found = to_value(&usage("resource.k8s.io", "resourceclaims", &claim));
    let expected = json!({
        "count/resourceclaims.resource.k8s.io": "1",
        "gpu.deviceclass.resource.k8s.io/devices": "6", "nic.deviceclass.resource.k8s.io/devices": "32",
    });
    assert_eq!(found, expected);
    assert!(concerns("resource.k8s.io", "resourceclaims", "gpu.deviceclass.resource.k8s.io/devices"));
}

//! What is warned of.

use portcullis_sdk::testing::project;
use serde_json::{Value, json};

use super::*;

fn check_change(resource: &str, old: Option<Value>, object: Value, expected: &[&str]) {
    let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
    let request = json!({"operation": operation, "resource": {"resource": resource}});
    let document = json!({"object": object, "oldObject": old, "request": request});
    let verdict = warn(&Config {}, &Input::new(&project(&document, &PATHS)));
    assert!(verdict.denied.is_none());
    assert_eq!(verdict.warnings, expected, "{resource} {object}");
}

fn check(resource: &str, object: Value, expected: &[&str]) {
    check_change(resource, None, object, expected);
}

fn container(rest: Value) -> Value {
    let mut container = json!({"name": "c"});
    rest.as_object().expect("an object").iter().for_each(|(key, value)| container[key] = value.clone());
    json!({"spec": {"containers": [container]}})
}

#[test]
fn pods() {
    check("pods", container(json!({})), &[]);
    check(
        "pods",
        json!({"metadata": {"name": "a.b"}, "spec": {"hostAliases": [{"ip": "1"}, {"ip": "1"}]}}),
        &[
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
            "spec.hostAliases[1].ip: duplicate ip \"1\"",
        ],
    );
    let env = |value: &str| container(json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": value}]}));
    check(
        "pods",
        env("2"),
        &["spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply"],
    );
    check("pods", env("$(A)2"), &[]);
    check(
        "pods",
        container(json!({"resources": {"limits": {"memory": "1500m", "cpu": "1500m"}}})),
        &[
            "spec.containers[0].resources.limits[memory]: fractional byte value \"1500m\" is invalid, must be an integer",
        ],
    );
    check(
        "pods",
        container(json!({"ports": [{"containerPort": 80}, {"containerPort": 80}]})),
        &["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
    );
}

#[test]
fn volumes() {
    let projected = |sources: Value| json!({"spec": {"volumes": [{"name": "v", "projected": {"sources": sources}}]}});
    check("pods", projected(json!([{}])), &["volume \"v\" (Projected) has no sources provided"]);
    check(
        "pods",
        projected(json!([{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [{"path": "t"}]}}])),
        &["volume \"v\" (Projected): overlapping paths: \"t\" (DownwardAPI) with \"t\" (ServiceAccountToken)"],
    );
}

#[test]
fn templates() {
    let deployment = json!({"spec": {"template": {"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}}}});
    let warning = "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead";
    check("deployments", deployment.clone(), &[warning]);
    check_change("deployments", Some(deployment.clone()), deployment.clone(), &[]);
    check_change("deployments", Some(json!({"spec": {}})), deployment, &[warning]);
}

#[test]
fn others() {
    check(
        "services",
        json!({"spec": {"type": "ClusterIP", "externalName": "a"}}),
        &["spec.externalName is ignored when spec.type is not \"ExternalName\""],
    );
    check(
        "persistentvolumeclaims",
        json!({"spec": {"resources": {"requests": {"storage": "100m"}}}}),
        &["spec.resources.requests[storage]: fractional byte value \"100m\" is invalid, must be an integer"],
    );
    check("endpointslices", json!({"addressType": "FQDN"}), &["spec.addressType: FQDN endpoints are deprecated"]);
    check("configmaps", json!({}), &[]);
}

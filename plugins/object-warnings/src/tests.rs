//! What is warned of.

use portcullis_sdk::testing::project;
use serde_json::{Value, json};

use super::*;

fn check_change(resource: &str, old: Option<Value>, object: Value, expected: &[&str]) {
    let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let request = json!({"operation": operation, "resource": {"group": group, "resource": resource}});
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
    check("pods", projected(json!([])), &[]);
    let items = json!({"name": "m", "items": [{"path": "a/b"}, {"path": "a/"}]});
    check(
        "pods",
        json!({"spec": {"volumes": [{"name": "v", "configMap": items}]}}),
        &["volume \"v\" (ConfigMap \"m\"): overlapping paths: \"a\" with \"a/b\""],
    );
    check(
        "pods",
        projected(json!([{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [{"path": "t"}]}}])),
        &["volume \"v\" (Projected): overlapping paths: \"t\" (DownwardAPI) with \"t\" (ServiceAccountToken)"],
    );
}

#[test]
fn templates() {
    let deployment = |generation: i64| {
        let spec = json!({"nodeSelector": {"beta.kubernetes.io/os": "linux"}});
        json!({"metadata": {"generation": generation}, "spec": {"template": {"spec": spec}}})
    };
    let warning = "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead";
    check("deployments.apps", deployment(1), &[warning]);
    check("deployments.example.com", deployment(1), &[]);
    check_change("deployments.apps", Some(deployment(1)), deployment(1), &[]);
    check_change("deployments.apps", Some(deployment(1)), deployment(2), &[warning]);
    let spread = json!([{"topologyKey": "node-role.kubernetes.io/master"}]);
    check(
        "podtemplates",
        json!({"template": {
            "metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}},
            "spec": {"topologySpreadConstraints": spread, "containers": [{"name": "c"}]},
        }}),
        &[
            "template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead",
            "template.spec.topologySpreadConstraints[0].topologyKey: node-role.kubernetes.io/master is use \"node-role.kubernetes.io/control-plane\" instead",
            "template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ],
    );
}

#[test]
fn ports() {
    let both = |one: Value, other: Value| container(json!({"ports": [one, other]}));
    let port = |host: i64, ip: &str| json!({"containerPort": 80, "protocol": "TCP", "hostPort": host, "hostIP": ip});
    let place = "spec.containers[0].ports[1]: ";
    let check = |one: Value, other: Value, what: &str| {
        let expected = format!("{place}{what} with spec.containers[0].ports[0]");
        check(
            "pods",
            both(one, other),
            if what.is_empty() { &[] } else { std::slice::from_ref(&expected) }
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
        );
    };
    check(port(0, ""), port(0, ""), "duplicate port definition");
    check(port(0, ""), port(90, ""), "overlapping port definition");
    check(port(90, ""), port(90, "10.0.0.1"), "dangerously ambiguous port definition");
    check(port(90, ""), port(91, ""), "");
}

#[test]
fn addresses() {
    let address = |text: &str, expected: &[&str]| {
        check("services", json!({"spec": {"type": "LoadBalancer", "loadBalancerIP": text}}), expected);
    };
    address("10.0.0.1", &[]);
    address("010.0.0.1", &["spec.loadBalancerIP: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\""]);
    address(
        "::ffff:1.2.3.4",
        &["spec.loadBalancerIP: non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\""],
    );
    address(
        "2001:DB8::1",
        &["spec.loadBalancerIP: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")"],
    );
    let range = |text: &str, expected: &[&str]| check("nodes", json!({"spec": {"podCIDRs": [text]}}), expected);
    range("10.0.0.0/8", &[]);
    range(
        "10.0.0.1/8",
        &[
            "spec.podCIDRs[0]: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
        ],
    );
    range(
        "2001:DB8::/32",
        &[
            "spec.podCIDRs[0]: IPv6 CIDR value \"2001:DB8::/32\" should be in RFC 5952 canonical format (\"2001:db8::/32\")",
        ],
    );
}

#[test]
fn others() {
    check(
        "services",
        json!({"spec": {"type": "ClusterIP", "externalName": "a"}}),
        &["spec.externalName is ignored when spec.type is not \"ExternalName\""],
    );
    let claim = json!({"spec": {"resources": {"requests": {"storage": "100m"}}}});
    let fraction = "spec.resources.requests[storage]: fractional byte value \"100m\" is invalid, must be an integer";
    check("persistentvolumeclaims", claim.clone(), &[fraction]);
    check_change("persistentvolumeclaims", Some(claim.clone()), claim, &[fraction]);
    let slice = json!({"addressType": "FQDN"});
    check("endpointslices.discovery.k8s.io", slice, &["spec.addressType: FQDN endpoints are deprecated"]);
    let hard = json!({"cpu": "3", "limits.cpu": "2", "requests.memory": "1Gi", "limits.memory": "2Gi"});
    let quota = "ResourceQuota cpu (3) should be less than limits.cpu (2)";
    check("resourcequotas", json!({"spec": {"hard": hard}}), &[quota]);
    check("configmaps", json!({}), &[]);
}

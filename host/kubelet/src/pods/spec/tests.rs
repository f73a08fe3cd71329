use serde_json::json;

use super::{Role, containers, grace_period};

#[test]
fn which_containers_restart() {
    let check = |policy: &str, container: serde_json::Value, init: bool, expected: [bool; 2]| {
        let list = if init { "initContainers" } else { "containers" };
        let pod = json!({"spec": {"restartPolicy": policy, list: [container]}});
        let found = containers(&pod);
        assert_eq!([0, 1].map(|code| found[0].restarts_after(code)), expected, "{pod}");
    };
    let plain = json!({"name": "c"});
    check("Always", plain.clone(), false, [true, true]);
    check("OnFailure", plain.clone(), false, [false, true]);
    check("Never", plain.clone(), false, [false, false]);
    check("Always", plain.clone(), true, [false, true]);
    check("OnFailure", plain.clone(), true, [false, true]);
    check("Never", plain, true, [false, false]);
    check("Never", json!({"name": "c", "restartPolicy": "Always"}), true, [true, true]);
    check("Never", json!({"name": "c", "restartPolicy": "OnFailure"}), false, [false, true]);
    let rule = |operator: &str| {
        json!({"name": "c", "restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": operator, "values": [1, 7]}},
        ]})
    };
    check("Never", rule("In"), false, [false, true]);
    check("Never", rule("NotIn"), false, [true, false]);
}

#[test]
fn what_a_spec_says() {
    let pod = json!({"spec": {
        "terminationGracePeriodSeconds": 5,
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{
            "name": "c",
            "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 81, "protocol": "TCP"}],
            "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}},
            "args": ["a", "b"],
        }],
    }});
    let found = containers(&pod);
    assert_eq!(found.iter().map(|c| c.role).collect::<Vec<_>>(), [Role::Init, Role::Sidecar, Role::App]);
    assert_eq!((found[2].memory_limit(), found[2].cpu_limit_millis()), (Some(64 << 20), Some(250)));
    assert_eq!((found[0].memory_limit(), found[0].cpu_limit_millis()), (None, None));
    assert_eq!(found[2].tcp_ports(), [80, 81]);
    assert_eq!(found[2].strings("args"), ["a", "b"]);
    assert_eq!(found[1].field_path(), "spec.initContainers{s}");
    assert_eq!(grace_period(&pod).as_secs(), 5);
    assert_eq!(grace_period(&json!({})).as_secs(), 30);
}

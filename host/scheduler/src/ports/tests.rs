use serde_json::json;

use super::*;

#[test]
fn ports_are_in_each_others_way() {
    let pod = |port: Value| json!({"spec": {"containers": [{"ports": [port]}]}});
    let check = |there: Value, comes: Value, expected: bool| {
        let (taken, asked) = (taken(&pod(there.clone())), asked(&pod(comes.clone())));
        let fits = asked.iter().all(|(name, amount)| {
            taken.get(name).copied().unwrap_or(0) + amount <= allocatable(name).expect("a port's column")
        });
        assert_eq!(fits, expected, "{there} then {comes}");
    };
    let all = json!({"hostPort": 80});
    let one = json!({"hostPort": 80, "hostIP": "10.0.0.1", "protocol": "TCP"});
    let other = json!({"hostPort": 80, "hostIP": "10.0.0.2"});
    check(all.clone(), all.clone(), false);
    check(all.clone(), json!({"hostPort": 80, "hostIP": "0.0.0.0"}), false);
    check(all.clone(), one.clone(), false);
    check(one.clone(), all.clone(), false);
    check(one.clone(), one.clone(), false);
    check(one, other, true);
    check(all.clone(), json!({"hostPort": 80, "protocol": "UDP"}), true);
    check(all.clone(), json!({"hostPort": 81}), true);
    check(all, json!({"containerPort": 80}), true);
    let sidecar = json!({"spec": {"initContainers": [
        {"restartPolicy": "Always", "ports": [{"hostPort": 1}]}, {"ports": [{"hostPort": 2}]},
    ]}});
    assert_eq!(taken(&sidecar).len(), 2);
}

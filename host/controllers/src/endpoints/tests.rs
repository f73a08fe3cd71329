use super::*;
use std::sync::Arc;

fn service() -> Value {
    json!({"metadata": {"name": "web", "namespace": "a", "uid": "s"}, "spec": {"selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]}})
}

fn pod(name: &str, port: i64, ready: bool) -> Object {
    Arc::new(json!({
        "metadata": {"name": name, "namespace": "a", "uid": name},
        "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    }))
}

#[test]
fn slices_group_pods_by_their_ports() {
    let check = |pods: &[Object], expected: &[(usize, Option<i64>)]| {
        let slices = slices_of(&service(), pods);
        let seen: Vec<(usize, Option<i64>)> = slices
            .iter()
            .map(|slice| (slice["endpoints"].as_array().map_or(0, Vec::len), slice["ports"][0]["port"].as_i64()))
            .collect();
        assert_eq!(seen, expected);
    };
    check(&[], &[(0, None)]);
    check(&[pod("x", 8080, true), pod("y", 8080, false)], &[(2, Some(8080))]);
    check(&[pod("x", 8080, true), pod("y", 9090, true)], &[(1, Some(8080)), (1, Some(9090))]);
    let many: Vec<Object> = (0..150).map(|n| pod(&n.to_string(), 1, true)).collect();
    check(&many, &[(100, Some(1)), (50, Some(1))]);
}

#[test]
fn only_ready_pods_serve() {
    let pods = [pod("x", 8080, true), pod("y", 8080, false)];
    let slices = slices_of(&service(), &pods);
    assert_eq!(slices[0]["endpoints"][0]["conditions"]["ready"], true);
    assert_eq!(slices[0]["endpoints"][1]["conditions"]["ready"], false);
    let subsets = subsets_of(&service(), &pods);
    assert_eq!(subsets[0]["addresses"][0]["targetRef"]["name"], "x");
    assert_eq!(subsets[0]["notReadyAddresses"][0]["targetRef"]["name"], "y");
    assert_eq!(subsets[0]["ports"][0]["port"], 8080);
}

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

#[test]
fn what_was_written_is_remembered() {
    let slice = |generation: i64| {
        Arc::new(json!({"metadata": {
            "name": "s", "namespace": "a", "uid": "u", "generation": generation,
            "labels": {"kubernetes.io/service-name": "web"},
        }}))
    };
    let tracker = Tracker::default();
    let stale = |present: &[Object], expected: bool| assert_eq!(tracker.is_stale("a/web", present), expected);
    let news = |event: InformerEvent, expected: bool| assert_eq!(tracker.is_news(&event, service_of), expected);
    stale(&[slice(1)], false);
    news(InformerEvent::Added(slice(1)), true);
    tracker.expect("a/web", &slice(2));
    stale(&[slice(1)], true);
    stale(&[], true);
    stale(&[slice(2)], false);
    news(InformerEvent::Updated { old: slice(1), new: slice(2) }, false);
    news(InformerEvent::Updated { old: slice(2), new: slice(3) }, true);
    // What somebody else deletes is news, and what was deleted here is not.
    news(InformerEvent::Deleted(slice(3)), true);
    tracker.expect("a/web", &slice(3));
    tracker.expect_deletion("a/web", &slice(3));
    stale(&[slice(3)], true);
    stale(&[], false);
    news(InformerEvent::Deleted(slice(3)), false);
}

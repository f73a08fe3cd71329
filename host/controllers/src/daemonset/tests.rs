use super::*;

fn set(strategy: Value, spec: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "a", "uid": "d", "generation": 1},
        "spec": {"updateStrategy": strategy, "template": {"metadata": {"labels": {"app": "agent"}}, "spec": spec}},
    })
}

fn node(name: &str, spec: Value) -> Object {
    Arc::new(json!({"metadata": {"name": name, "labels": {"disk": name}}, "spec": spec}))
}

/// A pod on a node by its uid, revision and state.
fn pod(uid: &str, on: &str, hash: &str, state: &str) -> Object {
    let mut pod = json!({
        "metadata": {"name": uid, "uid": uid, "labels": {HASH: hash}, "creationTimestamp": uid},
        "spec": {"nodeName": on},
        "status": {"phase": if state == "failed" { "Failed" } else { "Running" },
            "conditions": [{"type": "Ready", "status": if state == "ready" { "True" } else { "False" }}]},
    });
    if state == "going" {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    Arc::new(pod)
}

fn check(what: &str, set: &Value, nodes: &[Object], pods: &[Object], create: &[&str], delete: &[&str]) {
    let plan = plan::plan(set, "new", nodes, &by_node(pods));
    let gone: Vec<&str> = plan.delete.iter().map(|pod| pod.uid()).collect();
    assert_eq!((plan.create, gone), (create.iter().map(|n| (*n).to_owned()).collect(), delete.to_vec()), "{what}");
}

#[test]
fn every_node_that_wants_a_pod_has_one() {
    let plain = set(json!({}), json!({}));
    let (a, b) = (node("a", json!({})), node("b", json!({})));
    let both = [a.clone(), b.clone()];
    check("none yet", &plain, &both, &[], &["a", "b"], &[]);
    check("one there", &plain, &both, &[pod("1", "a", "new", "ready")], &["b"], &[]);
    check(
        "two on one",
        &plain,
        &[a.clone()],
        &[pod("1", "a", "new", "ready"), pod("2", "a", "new", "ready")],
        &[],
        &["2"],
    );
    check("failed", &plain, &[a.clone()], &[pod("1", "a", "new", "failed")], &[], &["1"]);
    check("make room first", &plain, &[a.clone()], &[pod("1", "a", "new", "going")], &[], &[]);
    check("its node is gone", &plain, &[], &[pod("1", "a", "new", "ready")], &[], &["1"]);
    let taint = |effect: &str| json!({"taints": [{"key": "k", "value": "v", "effect": effect}]});
    check("kept away", &plain, &[node("a", taint("NoSchedule"))], &[], &[], &[]);
    check("but may stay", &plain, &[node("a", taint("NoSchedule"))], &[pod("1", "a", "new", "ready")], &[], &[]);
    check("driven away", &plain, &[node("a", taint("NoExecute"))], &[pod("1", "a", "new", "ready")], &[], &["1"]);
    let cordoned = json!({"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]});
    check("cordoned", &plain, &[node("a", cordoned)], &[], &["a"], &[]);
    let selecting = set(json!({}), json!({"nodeSelector": {"disk": "b"}}));
    check("selected", &selecting, &both, &[], &["b"], &[]);
    let term = json!({"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["a"]}]});
    let affinity = json!({"affinity": {"nodeAffinity":
        {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}});
    check("by affinity", &set(json!({}), affinity), &both, &[], &["b"], &[]);
}

#[test]
fn a_new_template_rolls_within_its_bounds() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    let old = [pod("1", "a", "old", "ready"), pod("2", "b", "old", "ready")];
    let rolling = |fields: Value| set(json!({"type": "RollingUpdate", "rollingUpdate": fields}), json!({}));
    check("one at a time", &rolling(json!({})), &nodes, &old, &[], &["1"]);
    check("both", &rolling(json!({"maxUnavailable": "100%"})), &nodes, &old, &[], &["1", "2"]);
    let half = [pod("3", "a", "new", "unready"), old[1].clone()];
    check("wait for the first", &rolling(json!({})), &nodes, &half, &[], &[]);
    let ill = [pod("1", "a", "old", "ready"), pod("2", "b", "old", "unready")];
    check("the ill one costs nothing", &rolling(json!({})), &nodes, &ill, &[], &["2"]);
    let surge = rolling(json!({"maxSurge": 1, "maxUnavailable": 0}));
    check("a second one beside it", &surge, &nodes, &old, &["a"], &[]);
    let two = [old[0].clone(), pod("3", "a", "new", "unready"), old[1].clone()];
    check("not yet", &surge, &nodes, &two, &[], &[]);
    let over = [old[0].clone(), pod("3", "a", "new", "ready"), old[1].clone()];
    check("takes over", &surge, &nodes, &over, &[], &["1"]);
    check("on delete only", &set(json!({"type": "OnDelete"}), json!({})), &nodes, &old, &[], &[]);
}

#[test]
fn a_pod_is_held_to_its_node_and_counted_there() {
    let plain = set(json!({}), json!({"tolerations": [{"key": "x", "operator": "Exists"}]}));
    let made = new_pod(&plain, "new", "b");
    assert_eq!((nodes::node_of(&made), made.label(HASH)), ("b", Some("new")));
    assert_eq!(made.list_at(&["spec", "tolerations"]).len(), 7);
    let nodes = [node("a", json!({})), node("b", json!({}))];
    let pods = [pod("1", "a", "old", "ready"), pod("2", "b", "new", "unready")];
    let status = status_of(&plain, "new", &nodes, &by_node(&pods));
    let expected = json!({"currentNumberScheduled": 2, "numberMisscheduled": 0, "desiredNumberScheduled": 2,
        "numberReady": 1, "observedGeneration": 1, "updatedNumberScheduled": 1, "numberAvailable": 1,
        "numberUnavailable": 1});
    assert_eq!(status, expected);
}

//! Verdicts on small batches.

use portcullis_sdk::testing::{project, tape};
use serde_json::{Value, json};

use super::*;

/// A node of 1,000 thousandths of a processor and 1,000 bytes, of which `used` are taken of both.
fn node(name: &str, used: i64, rest: Value) -> (Value, i64) {
    let labels = rest.get("labels").cloned().unwrap_or(json!({}));
    (json!([name, labels, rest.get("taints"), rest.get("unschedulable")]), used)
}

fn run(pod: Value, request: i64, nodes: &[(Value, i64)], counts: &[u32]) -> Placement {
    let count = nodes.len();
    let column = |value: &dyn Fn(&(Value, i64)) -> i64| nodes.iter().map(value).collect::<Vec<_>>();
    let batch = NodeBatch {
        nodes: count as u32,
        resources: ["cpu", "memory", "pods"].map(str::to_owned).to_vec(),
        requests: vec![request, request, 1],
        allocatable: [column(&|_| 1000), column(&|_| 1000), column(&|_| 10)].concat(),
        requested: [column(&|node| node.1), column(&|node| node.1), column(&|_| 1)].concat(),
        node_values: tape(&Value::from_iter(nodes.iter().map(|node| node.0.clone()))),
    };
    let packed = project(&json!({"pod": pod}), &PATHS);
    place(&Config::default(), &Input::new(&packed), &batch, &|_, _| {
        if counts.is_empty() { vec![0; count] } else { counts.to_vec() }
    })
}

/// For each node, the reason against it, or `best` or `ok`.
fn check(pod: Value, request: i64, nodes: &[(Value, i64)], counts: &[u32], expected: &[&str]) {
    let placement = run(pod, request, nodes, counts);
    let best = placement.scores.iter().copied().max().expect("a node");
    let found: Vec<&str> = placement
        .scores
        .iter()
        .map(|score| match *score {
            score if score < 0 => placement.reasons[(-1 - score) as usize].as_str(),
            score if score == best => "best",
            _ => "ok",
        })
        .collect();
    assert_eq!(found, expected, "{placement:?}");
}

#[test]
fn room() {
    let nodes = [node("a", 900, json!({})), node("b", 0, json!({})), node("c", 300, json!({}))];
    check(json!({}), 200, &nodes, &[], &["Insufficient cpu", "best", "ok"]);
    check(json!({}), 2000, &nodes, &[], &["Insufficient cpu"; 3]);
}

#[test]
fn ports() {
    let batch = NodeBatch {
        nodes: 2,
        resources: vec!["host-port/TCP/80/any".into()],
        requests: vec![1],
        allocatable: vec![1, 1],
        requested: vec![1, 0],
        node_values: tape(&json!([["a"], ["b"]])),
    };
    let placement = place(&Config::default(), &Input::new(&project(&json!({}), &PATHS)), &batch, &|_, _| vec![0; 2]);
    assert!(placement.scores[0] == -1 && placement.scores[1] >= 0, "{placement:?}");
    assert_eq!(placement.reasons, ["node(s) didn't have free ports for the requested pod ports"]);
}

#[test]
fn taints_and_cordons() {
    let taint = |effect: &str| json!({"taints": [{"key": "k", "value": "v", "effect": effect}]});
    let nodes = [
        node("a", 0, taint("NoSchedule")),
        node("b", 0, json!({"unschedulable": true})),
        node("c", 0, taint("PreferNoSchedule")),
        node("d", 0, json!({})),
    ];
    let untolerated = "node(s) had untolerated taint(s)";
    let cordoned = "node(s) were unschedulable";
    check(json!({}), 1, &nodes, &[], &[untolerated, cordoned, "ok", "best"]);
    let tolerate = |toleration: Value| json!({"spec": {"tolerations": [toleration]}});
    check(tolerate(json!({"key": "k", "value": "v"})), 1, &nodes, &[], &["best", cordoned, "best", "best"]);
    check(tolerate(json!({"key": "k", "value": "w"})), 1, &nodes, &[], &[untolerated, cordoned, "ok", "best"]);
    check(tolerate(json!({"operator": "Exists"})), 1, &nodes, &[], &["best"; 4]);
}

#[test]
fn node_affinity() {
    let nodes =
        [node("a", 0, json!({"labels": {"zone": "1", "n": "5"}})), node("b", 0, json!({"labels": {"zone": "2"}}))];
    let other = "node(s) didn't match Pod's node affinity/selector";
    check(json!({"spec": {"nodeSelector": {"zone": "1"}}}), 1, &nodes, &[], &["best", other]);
    let affinity = |kind: &str, value: Value| json!({"spec": {"affinity": {"nodeAffinity": {kind: value}}}});
    let expression = |operator: &str, key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let cases = [
        (expression("In", "zone", json!(["2"])), [other, "best"]),
        (expression("NotIn", "zone", json!(["2"])), ["best", other]),
        (expression("Exists", "n", Value::Null), ["best", other]),
        (expression("DoesNotExist", "n", Value::Null), [other, "best"]),
        (expression("Gt", "n", json!(["4"])), ["best", other]),
        (expression("Lt", "n", json!(["4"])), [other, other]),
        (json!({}), [other, other]),
        (json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}), [other, "best"]),
    ];
    for (term, expected) in cases {
        let required = json!({"nodeSelectorTerms": [term]});
        check(affinity("requiredDuringSchedulingIgnoredDuringExecution", required), 1, &nodes, &[], &expected);
    }
    let preferred = json!([{"weight": 1, "preference": expression("In", "zone", json!(["2"]))}]);
    check(affinity("preferredDuringSchedulingIgnoredDuringExecution", preferred), 1, &nodes, &[], &["ok", "best"]);
}

#[test]
fn spread_over_domains() {
    let zone = |zone: &str| json!({"labels": {"zone": zone}});
    let nodes = [node("a", 0, zone("1")), node("b", 0, zone("1")), node("c", 0, zone("2")), node("d", 0, json!({}))];
    let pod = |when: &str| {
        json!({"metadata": {"labels": {"app": "x"}}, "spec": {"topologySpreadConstraints": [{"maxSkew": 1,
            "topologyKey": "zone", "whenUnsatisfiable": when, "labelSelector": {"matchLabels": {"app": "x"}}}]}})
    };
    let skewed = "node(s) didn't match pod topology spread constraints";
    let unlabelled = "node(s) didn't match pod topology spread constraints (missing required label)";
    check(pod("DoNotSchedule"), 1, &nodes, &[1, 0, 0, 0], &[skewed, skewed, "best", unlabelled]);
    check(pod("DoNotSchedule"), 1, &nodes, &[1, 0, 1, 0], &["best", "best", "best", unlabelled]);
    check(pod("ScheduleAnyway"), 1, &nodes[..3], &[1, 0, 0], &["ok", "ok", "best"]);
    // Pods without constraints are spread over nodes.
    check(json!({"metadata": {"labels": {"app": "x"}}}), 1, &nodes[..3], &[1, 0, 1], &["ok", "best", "ok"]);
}

#[test]
fn other_pods() {
    let zone = |zone: &str| json!({"labels": {"zone": zone}});
    let nodes = [node("a", 0, zone("1")), node("b", 0, zone("1")), node("c", 0, zone("2"))];
    let pod = |kind: &str, app: &str| {
        json!({"metadata": {"labels": {"app": app}}, "spec": {"affinity": {kind: {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}}]}}}})
    };
    let (apart, near) = ("node(s) didn't match pod anti-affinity rules", "node(s) didn't match pod affinity rules");
    check(pod("podAntiAffinity", "x"), 1, &nodes, &[1, 0, 0], &[apart, apart, "best"]);
    check(pod("podAffinity", "y"), 1, &nodes, &[0, 0, 1], &[near, near, "best"]);
    check(pod("podAffinity", "y"), 1, &nodes, &[0, 0, 0], &[near; 3]);
    check(pod("podAffinity", "x"), 1, &nodes, &[0, 0, 0], &["best"; 3]);
}

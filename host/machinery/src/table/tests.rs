use super::*;
use crate::openapi::NoDescriptions;
use serde_json::json;

fn now() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().expect("time")
}

#[test]
fn durations() {
    let check = |seconds: i64, expected: &str| assert_eq!(human_duration(seconds), expected, "{seconds}");
    for (seconds, expected) in [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (3600, "60m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (100_000, "27h"),
        (180_000, "2d2h"),
        (864_000, "10d"),
        (34_560_000, "400d"),
        (70_000_000, "2y80d"),
        (400_000_000, "12y"),
    ] {
        check(seconds, expected);
    }
    assert_eq!(age(None, now()), "<unknown>");
    assert_eq!(age(Some("2026-01-01T23:59:00Z"), now()), "60s");
}

/// Compares the first cells of an object's row, and that there is a cell for each column.
fn check(group: &str, kind: &str, object: Value, expected: Value) {
    let found = cells::cells(group, kind, &object, now());
    assert_eq!(found.len(), specs::columns(group, kind, &NoDescriptions).len(), "{kind}");
    let expected = expected.as_array().expect("list").clone();
    assert_eq!(found[..expected.len()], expected[..], "{kind}: {object}");
}

fn pod(spec: Value, status: Value) -> Value {
    json!({"metadata": {"name": "p", "creationTimestamp": "2026-01-01T23:59:00Z"}, "spec": spec, "status": status})
}

#[test]
fn pods() {
    let one = json!({"containers": [{"name": "c"}], "nodeName": "n"});
    let row = |ready: &str, status: &str, restarts: &str| json!(["p", ready, status, restarts, "60s"]);
    check("", "Pod", pod(one.clone(), json!({"phase": "Pending"})), row("0/1", "Pending", "0"));
    let running = json!({"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "containerStatuses": [{"name": "c", "ready": true, "restartCount": 0, "state": {"running": {}}}]});
    check(
        "",
        "Pod",
        pod(one.clone(), running.clone()),
        json!(["p", "1/1", "Running", "0", "60s", "10.0.0.1", "n", "<none>", "<none>"]),
    );
    let crash = json!({"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T23:58:30Z"}}}]});
    check("", "Pod", pod(one.clone(), crash), row("0/1", "CrashLoopBackOff", "3 (90s ago)"));
    let ended = |code: i64, reason: &str| json!({"phase": "Failed", "containerStatuses": [{"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": reason}}}]});
    check("", "Pod", pod(one.clone(), ended(0, "Completed")), row("0/1", "Completed", "0"));
    check("", "Pod", pod(one.clone(), ended(2, "")), row("0/1", "ExitCode:2", "0"));
    let mut deleted = pod(one.clone(), running);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T23:59:50Z");
    check("", "Pod", deleted, row("1/1", "Terminating", "0"));
    let init = json!({"containers": [{"name": "c"}], "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]});
    let status = |state: Value| json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 1, "state": state}]});
    check("", "Pod", pod(init.clone(), status(json!({"running": {}}))), row("0/2", "Init:0/2", "1"));
    check(
        "",
        "Pod",
        pod(init.clone(), status(json!({"waiting": {"reason": "ErrImagePull"}}))),
        row("0/2", "Init:ErrImagePull", "1"),
    );
    check(
        "",
        "Pod",
        pod(init, status(json!({"terminated": {"exitCode": 1, "reason": "Error"}}))),
        row("0/2", "Init:Error", "1"),
    );
    let gated = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]});
    check("", "Pod", pod(one, gated), row("0/1", "SchedulingGated", "0"));
}

#[test]
fn workloads_services_nodes() {
    let meta = json!({"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"});
    let template = json!({"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "i:2"}]}});
    let deployment = json!({"metadata": meta, "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "a"}}, "template": template}, "status": {"readyReplicas": 2, "updatedReplicas": 3}});
    check("apps", "Deployment", deployment.clone(), json!(["x", "2/3", 3, 0, "24h", "a,b", "i:1,i:2", "app=a"]));
    check("apps", "ReplicaSet", deployment, json!(["x", 3, 0, 2, "24h", "a,b", "i:1,i:2", "app=a"]));
    let service = json!({"metadata": meta, "spec": {"type": "NodePort", "clusterIPs": ["10.96.0.9"], "selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]}});
    check("", "Service", service, json!(["x", "NodePort", "10.96.0.9", "<none>", "80/TCP,53:30053/UDP", "24h", "a=b"]));
    let node = json!({"metadata": {"name": "x", "labels": {"node-role.kubernetes.io/control-plane": ""}}, "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.36.0", "kernelVersion": "6.1", "architecture": "amd64"}, "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}});
    check(
        "",
        "Node",
        node,
        json!([
            "x",
            "Ready,SchedulingDisabled",
            "control-plane",
            "<unknown>",
            "v1.36.0",
            "10.0.0.1",
            "<none>",
            "<unknown>",
            "6.1 (amd64)",
            "<unknown>"
        ]),
    );
    let event = json!({"metadata": meta, "type": "Normal", "reason": "R", "message": " m\n", "count": 2, "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "s"},
        "firstTimestamp": "2026-01-01T23:00:00Z", "lastTimestamp": "2026-01-01T23:59:55Z"});
    check("", "Event", event, json!(["5s", "Normal", "R", "pod/p", "", "s", "m", "60m", 2, "x"]));
    check("rbac.authorization.k8s.io", "Role", json!({"metadata": meta}), json!(["x", "2026-01-01T00:00:00Z"]));
    check(
        "",
        "Secret",
        json!({"metadata": meta, "type": "Opaque", "data": {"a": "", "b": ""}}),
        json!(["x", "Opaque", 2, "24h"]),
    );
}

#[test]
fn custom_columns() {
    let column = |name: &str, type_: &str, path: &str| crate::definition::ColumnDefinition {
        name: name.into(),
        type_: type_.into(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        json_path: path.into(),
    };
    let given = [
        column("N", "integer", ".spec.n"),
        column("R", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
        column("L", "string", r".metadata.labels.a\.b/c"),
        column("I", "string", ".spec.list[1]"),
        column("D", "date", ".metadata.creationTimestamp"),
        column("Miss", "string", ".spec.none"),
    ];
    let object = json!({"metadata": {"name": "w", "creationTimestamp": "2026-01-01T23:59:00Z", "labels": {"a.b/c": "l"}}, "spec": {"n": 0, "list": ["x", "y"]},
        "status": {"conditions": [{"type": "Other", "status": "1"}, {"type": "Ready", "status": "True"}]}});
    assert_eq!(Value::Array(custom::cells(&given, &object, now())), json!(["w", 0, "True", "l", "y", "60s", null]));
    assert_eq!(custom::columns(&given, &NoDescriptions).len(), 7);
    assert_eq!(custom::columns(&[], &NoDescriptions).len(), 2);
}

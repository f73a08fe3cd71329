//! What kubelets may write, over the whole way of a request.

use serde_json::json;

use super::*;
use crate::server::tests::{Fixture, fixture};

const NODE: [(&str, &str); 2] = [("impersonate-user", "system:node:n1"), ("impersonate-group", "system:nodes")];

async fn made(fixture: &Fixture, path: &str, body: Value) -> Value {
    let (code, answer) = fixture.admin("POST", path, body).await;
    assert_eq!(code, 201, "{answer}");
    answer
}

/// The answer to a node: its code, and the end of the message of a refusal.
async fn by_node(fixture: &Fixture, method: &str, path: &str, body: Value) -> (u16, String) {
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let headers = [("content-type", content), NODE[0], NODE[1]];
    let body = axum::body::Body::from(if body.is_null() { String::new() } else { body.to_string() });
    let (code, bytes) = fixture.raw(method, path, &headers, body).await;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = if code < 300 { "" } else { text(&answer, &["message"]) };
    (code, message.split_once("forbidden: ").map_or(message, |(_, why)| why).to_owned())
}

#[tokio::test]
async fn a_kubelet_keeps_to_its_own() {
    let fixture = fixture().await;
    made(&fixture, "/api/v1/namespaces", json!({"metadata": {"name": "ns"}})).await;
    for name in ["n1", "n2"] {
        made(&fixture, "/api/v1/nodes", json!({"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}}}))
            .await;
    }
    let pods = "/api/v1/namespaces/ns/pods";
    let spec = |node: &str| json!({"nodeName": node, "containers": [{"name": "c", "image": "i"}]});
    for node in ["n1", "n2"] {
        made(&fixture, pods, json!({"metadata": {"name": format!("on-{node}")}, "spec": spec(node)})).await;
    }
    let check = async |method: &str, path: &str, body: Value, expected: (u16, &str)| {
        let found = by_node(&fixture, method, path, body.clone()).await;
        assert_eq!((found.0, found.1.as_str()), expected, "{method} {path} {body}");
    };
    let ok = (200, "");

    // Nodes.
    let other = "node \"n1\" is not allowed to modify node \"n2\"";
    check("PATCH", "/api/v1/nodes/n2", json!({"spec": {"unschedulable": true}}), (403, other)).await;
    check("PATCH", "/api/v1/nodes/n2/status", json!({"status": {"phase": "x"}}), (403, other)).await;
    check("PATCH", "/api/v1/nodes/n1/status", json!({"status": {"capacity": {"cpu": "1"}}}), ok).await;
    let new = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    let created = "node \"n1\" is not allowed to modify node \"n3\"";
    check("POST", "/api/v1/nodes", new("n3", json!({})), (403, created)).await;
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let allowed = json!({"disk": "ssd", "topology.kubernetes.io/zone": "a", "x.node.kubernetes.io/y": "z"});
    check("PATCH", "/api/v1/nodes/n1", labels(allowed), ok).await;
    let refused =
        json!({"a.node-restriction.kubernetes.io/b": "c", "node-role.kubernetes.io/master": "", "k8s.io/x": "y"});
    let why =
        "is not allowed to modify labels: a.node-restriction.kubernetes.io/b, k8s.io/x, node-role.kubernetes.io/master";
    check("PATCH", "/api/v1/nodes/n1", labels(refused), (403, why)).await;
    let taint = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}});
    check("PATCH", "/api/v1/nodes/n1", taint, (403, "node \"n1\" is not allowed to modify taints")).await;

    // Pods.
    let ready = json!({"status": {"phase": "Running"}});
    check("PATCH", &format!("{pods}/on-n1/status"), ready.clone(), ok).await;
    let why = "node \"n1\" can only update pod status for pods with spec.nodeName set to itself";
    check("PATCH", &format!("{pods}/on-n2/status"), ready, (403, why)).await;
    let why = "node \"n1\" cannot update labels through pod status";
    check("PATCH", &format!("{pods}/on-n1/status"), labels(json!({"a": "b"})), (403, why)).await;
    let eviction = |name: &str| json!({"metadata": {"name": name}});
    let why = "node n1 can only evict pods with spec.nodeName set to itself";
    check("POST", &format!("{pods}/on-n2/eviction"), eviction("on-n2"), (403, why)).await;
    let why = "node \"n1\" can only delete pods with spec.nodeName set to itself";
    check("DELETE", &format!("{pods}/on-n2"), Value::Null, (403, why)).await;
    let why = "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods";
    check("POST", pods, json!({"metadata": {"name": "x"}, "spec": spec("n1")}), (403, why)).await;

    // Leases and tokens.
    let lease = |name: &str| json!({"metadata": {"name": name}, "spec": {}});
    made(&fixture, "/api/v1/namespaces/ns/serviceaccounts", json!({"metadata": {"name": "sa"}})).await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    check("POST", leases, lease("n1"), (201, "")).await;
    let why = "can only access node lease with the same name as the requesting node";
    check("POST", leases, lease("n2"), (403, why)).await;
}

#[test]
fn mirror_pods_refer_to_nothing() {
    let check = |spec: Value, expected: Option<&str>| {
        assert_eq!(mirror::reference(&json!({"spec": spec.clone()})), expected, "{spec}");
    };
    let volume = |volume: Value| json!({"volumes": [volume]});
    check(json!({"containers": [{"name": "c"}]}), None);
    check(volume(json!({"name": "v", "hostPath": {"path": "/"}})), None);
    check(volume(json!({"name": "v", "projected": {"sources": [{"downwardAPI": {}}]}})), None);
    check(json!({"serviceAccountName": "a"}), Some("serviceaccounts"));
    check(json!({"imagePullSecrets": [{"name": "a"}]}), Some("secrets"));
    check(json!({"initContainers": [{"envFrom": [{"configMapRef": {"name": "a"}}]}]}), Some("configmaps"));
    check(json!({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "a"}}}]}]}), Some("secrets"));
    check(volume(json!({"secret": {}})), Some("secrets"));
    check(volume(json!({"rbd": {"secretRef": {}}})), Some("secrets"));
    check(volume(json!({"persistentVolumeClaim": {}})), Some("persistentvolumeclaims"));
    let token = json!({"projected": {"sources": [{"serviceAccountToken": {}}]}});
    check(volume(token), Some("serviceaccounts (via projected volumes)"));
    check(json!({"resourceClaims": [{}]}), Some("resourceclaims"));
}

#[test]
fn audiences_are_those_that_volumes_name() {
    let known = |_: &str, plural: &str, _: &str, name: &str| {
        Some(std::sync::Arc::new(match (plural, name) {
            ("persistentvolumeclaims", "p-e" | "c") => json!({"spec": {"volumeName": "v"}}),
            ("persistentvolumes", "v") => json!({"spec": {"csi": {"driver": "d"}}}),
            ("csidrivers", "d") => json!({"spec": {"tokenRequests": [{"audience": "vault"}]}}),
            _ => return None,
        }))
    };
    let check = |volume: Value, audience: &str, expected: bool| {
        let pod = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"volumes": [volume]}});
        assert_eq!(audience::is_named_by(&pod, audience, &known), expected, "{pod} {audience}");
    };
    let token = |token: Value| json!({"projected": {"sources": [{"serviceAccountToken": token}]}});
    check(token(json!({})), "", true);
    check(token(json!({"audience": "vault"})), "vault", true);
    check(token(json!({"audience": "vault"})), "", false);
    check(json!({"csi": {"driver": "d"}}), "vault", true);
    check(json!({"csi": {"driver": "e"}}), "vault", false);
    check(json!({"persistentVolumeClaim": {"claimName": "c"}}), "vault", true);
    check(json!({"name": "e", "ephemeral": {"volumeClaimTemplate": {}}}), "vault", true);
    check(json!({"emptyDir": {}}), "", false);
}

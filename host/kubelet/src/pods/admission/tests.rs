use serde_json::{Value, json};

use super::{Admitted, requests};

fn pod(uid: &str, cpu: &str) -> Value {
    json!({
        "metadata": {"uid": uid},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
    })
}

#[test]
fn room() {
    let node = Admitted::new([2000, 1 << 30, 1 << 30], 3);
    let check = |uid: &str, cpu: &str, refused: Option<(&str, &str)>| {
        let verdict = node.admit(&pod(uid, cpu), false).err();
        let expected = refused.map(|(reason, message)| {
            (reason.to_owned(), format!("Pod was rejected: Node didn't have enough resource: {message}"))
        });
        assert_eq!(verdict.map(|v| (v.reason, v.message)), expected, "{uid}");
    };
    check("a", "1500m", None);
    check("b", "1", Some(("OutOfcpu", "cpu, requested: 1000, used: 1500, capacity: 2000")));
    check("b", "500m", None);
    check("a", "1500m", None);
    check("c", "0", None);
    check("d", "0", Some(("OutOfpods", "pods, requested: 1, used: 3, capacity: 3")));
    node.release("c");
    check("d", "0", None);
    assert!(node.admit(&pod("e", "5"), true).is_ok(), "what ran before runs again");
}

#[test]
fn what_a_pod_asks_for() {
    let with = |cpu: &str, policy: &str| {
        let mut container = json!({"name": cpu, "resources": {"requests": {"cpu": cpu}}});
        if !policy.is_empty() {
            container["restartPolicy"] = policy.into();
        }
        container
    };
    let check = |init: Value, app: Value, expected: i64| {
        let pod = json!({"spec": {"initContainers": init, "containers": app, "overhead": {"cpu": "1m"}}});
        assert_eq!(requests(&pod)[0], expected + 1, "{pod}");
    };
    check(json!([]), json!([with("1", ""), with("500m", "")]), 1500);
    check(json!([with("2", "")]), json!([with("1", "")]), 2000);
    // A sidecar runs beside the init containers after it, and beside the others.
    check(json!([with("1", "Always"), with("2", "")]), json!([with("500m", "")]), 3000);
    check(json!([with("2", ""), with("1", "Always")]), json!([with("500m", "")]), 2000);
}

use super::*;

fn check_taints(what: &str, node: Value, ready: &str, expected: Option<&[(&str, &str)]>) {
    let taints = wanted_taints(&node, ready, "now");
    let seen: Option<Vec<(&str, &str)>> = taints
        .as_ref()
        .map(|taints| taints.iter().map(|taint| (taint.str_at(&["key"]), taint.str_at(&["effect"]))).collect());
    assert_eq!(seen.as_deref(), expected, "{what}");
}

#[test]
fn taints_follow_the_conditions() {
    let unreachable = [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")];
    check_taints("well", json!({}), "True", None);
    check_taints("unknown", json!({}), "Unknown", Some(&unreachable));
    check_taints("not ready", json!({}), "False", Some(&[(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]));
    let own = json!({"key": "mine", "effect": "NoSchedule"});
    let both = json!({"key": NOT_READY, "effect": "NoExecute"});
    let node = json!({"spec": {"taints": [own, both]}});
    check_taints("well again", node, "True", Some(&[("mine", "NoSchedule")]));
    let cordoned = json!({"spec": {"unschedulable": true}});
    let expected = [("node.kubernetes.io/unschedulable", "NoSchedule")];
    check_taints("cordoned", cordoned, "True", Some(&expected));
    let pressed = json!({"status": {"conditions": [{"type": "DiskPressure", "status": "True"}]}});
    let expected = [("node.kubernetes.io/disk-pressure", "NoSchedule")];
    check_taints("disk", pressed, "True", Some(&expected));
}

#[test]
fn pods_leave_after_their_tolerations() {
    let node = json!({"spec": {"taints": [
        {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": "2020-01-01T00:00:00Z"},
        {"key": UNREACHABLE, "effect": "NoSchedule"},
    ]}});
    let check = |tolerations: Value, expected: Option<Option<i64>>| {
        let pod = json!({"spec": {"tolerations": tolerations}});
        let verdict = evict_after(&node, &pod).map(|limit| limit.map(|(_, seconds)| seconds));
        assert_eq!(verdict, expected, "{tolerations}");
    };
    check(json!([]), Some(None));
    check(json!([{"operator": "Exists"}]), None);
    check(json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}]), None);
    check(json!([{"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}]), Some(Some(300)));
    check(json!([{"key": NOT_READY, "operator": "Exists"}]), Some(None));
    let pod = json!({"spec": {"tolerations": []}});
    assert_eq!(evict_after(&json!({}), &pod), None);
}

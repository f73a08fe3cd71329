use std::sync::Arc;

use super::*;

fn endpoints(subsets: Value) -> Value {
    json!({
        "metadata": {
            "name": "db", "namespace": "a", "uid": "e", "labels": {"app": "db"},
            "annotations": {"note": "x", "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
        },
        "subsets": subsets,
    })
}

/// The slices of Endpoints, each as `family ports endpoints`, in order.
fn told(subsets: Value) -> Vec<String> {
    let endpoints = endpoints(subsets);
    let made = changes(&endpoints, &Desired::of(&endpoints).groups, &[]);
    let join = |list: Vec<String>| list.join(",");
    let describe = |slice: &Value| {
        let mut ports: Vec<String> = slice.list_at(&["ports"]).iter().map(|port| port["port"].to_string()).collect();
        ports.sort();
        let endpoint = |endpoint: &Value| {
            let sign = if endpoint["conditions"]["ready"] == true { "" } else { "!" };
            format!("{sign}{}", endpoint["addresses"][0].as_str().unwrap_or("?"))
        };
        let endpoints = slice.list_at(&["endpoints"]).iter().map(endpoint).collect();
        format!("{} {} {}", slice.str_at(&["addressType"]), join(ports), join(endpoints))
    };
    let mut told: Vec<String> = made.create.iter().map(describe).collect();
    told.sort();
    told
}

#[test]
fn subsets_become_slices() {
    let check = |subsets: Value, expected: &[&str]| assert_eq!(told(subsets.clone()), expected, "{subsets}");
    let subset = |ready: &[&str], waiting: &[&str], ports: &[u16]| {
        let addresses = |list: &[&str]| list.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
        let ports: Vec<Value> = ports.iter().map(|port| json!({"port": port, "name": port.to_string()})).collect();
        json!({"addresses": addresses(ready), "notReadyAddresses": addresses(waiting), "ports": ports})
    };
    check(json!([]), &[]);
    check(json!([subset(&["10.0.0.1"], &["10.0.0.2"], &[80])]), &["IPv4 80 10.0.0.1,!10.0.0.2"]);
    check(json!([subset(&["10.0.0.1", "fd00::1"], &[], &[80])]), &["IPv4 80 10.0.0.1", "IPv6 80 fd00::1"]);
    check(json!([subset(&["10.0.0.1"], &[], &[])]), &["IPv4  10.0.0.1"]);
    // Subsets with the same addresses are one, those with the same ports too.
    let twice = json!([subset(&["10.0.0.1"], &[], &[80]), subset(&["10.0.0.1"], &[], &[81])]);
    check(twice, &["IPv4 80,81 10.0.0.1"]);
    let both = json!([subset(&["10.0.0.1"], &[], &[80]), subset(&["10.0.0.2"], &[], &[80])]);
    check(both, &["IPv4 80 10.0.0.1,10.0.0.2"]);
    let apart = json!([subset(&["10.0.0.1", "10.0.0.2"], &[], &[80]), subset(&["10.0.0.2"], &[], &[81])]);
    check(apart, &["IPv4 80 10.0.0.1,10.0.0.2", "IPv4 81 10.0.0.2"]);
    // Who is said to be ready and not to be is not.
    check(json!([subset(&["10.0.0.1"], &["10.0.0.1"], &[80])]), &["IPv4 80 !10.0.0.1"]);
    // Old forms of addresses; and what is none.
    check(json!([subset(&["010.0.0.01", "::ffff:10.0.0.2", "x"], &[], &[80])]), &["IPv4 80 10.0.0.1,10.0.0.2"]);
}

#[test]
fn what_does_not_fit_is_counted() {
    let addresses: Vec<Value> = (0..1005).map(|n| json!({"ip": format!("10.0.{}.{}", n / 250, n % 250)})).collect();
    let many = endpoints(json!([{"addresses": addresses, "ports": [{"port": 1}]}]));
    let desired = Desired::of(&many);
    assert_eq!((desired.invalid, desired.skipped, desired.groups[0].endpoints.len()), (0, 5, 1000));
    let wrong = endpoints(json!([{"addresses": [{"ip": "x"}, {"ip": "10.0.0.1"}]}]));
    let desired = Desired::of(&wrong);
    assert_eq!((desired.invalid, desired.skipped), (1, 1));
}

/// The slices as the server would have them after a first pass.
fn stored(endpoints: &Value) -> Vec<Object> {
    let made = changes(endpoints, &Desired::of(endpoints).groups, &[]);
    let name = |(index, mut slice): (usize, Value)| {
        slice = named(slice, &format!("db-{index}"));
        slice["metadata"]["uid"] = format!("s{index}").into();
        Arc::new(slice)
    };
    made.create.into_iter().enumerate().map(name).collect()
}

#[test]
fn slices_follow_their_endpoints() {
    let before = endpoints(json!([{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]));
    let check = |change: &dyn Fn(&mut Value), expected: [usize; 3]| {
        let mut after = before.clone();
        change(&mut after);
        let changes = changes(&after, &Desired::of(&after).groups, &stored(&before));
        assert_eq!([changes.create.len(), changes.update.len(), changes.delete.len()], expected, "{after}");
    };
    check(&|_| {}, [0, 0, 0]);
    check(&|after| after["metadata"]["labels"]["more"] = "y".into(), [0, 1, 0]);
    check(&|after| after["metadata"]["annotations"]["note"] = "y".into(), [0, 1, 0]);
    let trigger = "endpoints.kubernetes.io/last-change-trigger-time";
    check(&|after| after["metadata"]["annotations"][trigger] = "2026-02-01T00:00:00Z".into(), [0, 0, 0]);
    check(&|after| after["metadata"]["uid"] = "other".into(), [0, 1, 0]);
    check(&|after| after["subsets"][0]["addresses"][0]["ip"] = "10.0.0.9".into(), [0, 1, 0]);
    // Other ports take the slice over; another family cannot.
    check(&|after| after["subsets"][0]["ports"][0]["port"] = 81.into(), [0, 1, 0]);
    check(&|after| after["subsets"][0]["addresses"][0]["ip"] = "fd00::1".into(), [1, 0, 1]);
    check(&|after| after["subsets"] = json!([]), [0, 0, 1]);
}

#[test]
fn slices_carry_labels_and_annotations() {
    let of = endpoints(json!([{"addresses": [{"ip": "10.0.0.1", "hostname": "h", "nodeName": "n"}]}]));
    let slice = stored(&of).remove(0);
    assert_eq!(slice["metadata"]["labels"], json!({"app": "db", SERVICE_NAME: "db", MANAGED_BY: MANAGER}));
    assert_eq!(slice["metadata"]["annotations"], json!({"note": "x"}));
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
    let expected =
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "hostname": "h", "nodeName": "n"}]);
    assert_eq!(slice["endpoints"], expected);
}

#[test]
fn some_endpoints_are_not_mirrored() {
    let check = |metadata: Value, expected| assert_eq!(is_mirrored(&json!({"metadata": metadata})), expected);
    check(json!({}), true);
    check(json!({"labels": {SKIP_MIRROR: "true"}}), false);
    check(json!({"labels": {SKIP_MIRROR: "false"}}), true);
    check(json!({"annotations": {LEADER: "{}"}}), false);
}

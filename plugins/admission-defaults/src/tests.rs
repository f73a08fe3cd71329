//! What pods get, and which are refused.

use portcullis_sdk::testing::{project, tape};

use super::*;

/// Checks the values written, by path, or the refusal.
fn check(spec: Value, expected: Result<Value, &str>) {
    let get = |resource: &str, name: &str, _: &[&str]| {
        Ok(match (resource, name) {
            ("priorityclasses.scheduling.k8s.io", "high") => Some(tape(&json!([1234, "Never"]))),
            ("runtimeclasses.node.k8s.io", "vm") => Some(tape(&json!([{"cpu": "1"}, {"a": "b"}, [{"key": "vm"}]]))),
            _ => None,
        })
    };
    let document = json!({"object": {"spec": spec}, "request": {"operation": "CREATE"}});
    let mutation = mutate(&Config::default(), &Input::new(&project(&document, &PATHS)), &get);
    let found = match mutation.denied {
        Some(denial) => Err(denial.message),
        None => Ok(Value::Object(
            mutation
                .patch
                .into_iter()
                .map(|operation| {
                    (operation.path[6..].to_owned(), serde_json::from_str(&operation.value).expect("JSON"))
                })
                .collect(),
        )),
    };
    assert_eq!(found, expected.map_err(str::to_owned), "{spec}");
}

/// A pod that tolerates everything gets no tolerations, which keeps the other cases short.
fn pod(rest: Value) -> Value {
    let mut spec = json!({"tolerations": [{"operator": "Exists"}]});
    rest.as_object().expect("an object").iter().for_each(|(key, value)| spec[key] = value.clone());
    spec
}

/// Checks the only operation for a new object that is no pod.
fn check_other(resource: &str, object: Value, expected: Option<(&str, Value)>) {
    let request = json!({"operation": "CREATE", "resource": {"resource": resource}});
    let document = json!({"object": object, "request": request});
    let none = |_: &str, _: &str, _: &[&str]| Ok(None);
    let mutation = mutate(&Config::default(), &Input::new(&project(&document, &PATHS)), &none);
    let found = mutation.patch.into_iter().map(|op| (op.path, serde_json::from_str(&op.value).expect("JSON"))).next();
    assert_eq!(found, expected.map(|(path, value)| (path.to_owned(), value)), "{resource}");
}

#[test]
fn finalizers_and_taints() {
    let claims = "persistentvolumeclaims";
    let protection = json!(["a/b", "kubernetes.io/pvc-protection"]);
    let with = |finalizers: &Value| json!({"metadata": {"finalizers": finalizers}});
    check_other(claims, with(&json!(["a/b"])), Some(("/metadata/finalizers", protection.clone())));
    check_other(claims, with(&protection), None);
    let taint = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
    check_other("nodes", json!({"spec": {}}), Some(("/spec/taints", taint.clone())));
    check_other("nodes", json!({"spec": {"taints": taint}}), None);
}

#[test]
fn tolerations() {
    let lost = |name: &str| json!({"key": format!("node.kubernetes.io/{name}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let plain = |tolerations: Value| json!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority", "tolerations": tolerations});
    check(json!({}), Ok(plain(json!([lost("not-ready"), lost("unreachable")]))));
    let own = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "operator": "Exists"});
    check(json!({"tolerations": [own]}), Ok(plain(json!([own, lost("unreachable")]))));
    check(pod(json!({})), Ok(json!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority"})));
}

#[test]
fn priorities() {
    check(pod(json!({"priorityClassName": "high"})), Ok(json!({"priority": 1234, "preemptionPolicy": "Never"})));
    check(
        pod(json!({"priorityClassName": "system-node-critical"})),
        Ok(json!({"priority": 2_000_001_000, "preemptionPolicy": "PreemptLowerPriority"})),
    );
    check(pod(json!({"priorityClassName": "none"})), Err("no PriorityClass with name none was found"));
    check(
        pod(json!({"priorityClassName": "high", "priority": 7})),
        Err(
            "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 1234 from the given PriorityClass name",
        ),
    );
    check(
        pod(json!({"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"})),
        Err(
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority admission controller computed Never from the given PriorityClass name",
        ),
    );
}

#[test]
fn runtime_classes() {
    let with = |rest: Value| {
        let mut spec =
            pod(json!({"runtimeClassName": "vm", "priority": 0, "preemptionPolicy": "PreemptLowerPriority"}));
        rest.as_object().expect("an object").iter().for_each(|(key, value)| spec[key] = value.clone());
        spec
    };
    let tolerations = json!([{"operator": "Exists"}, {"key": "vm"}]);
    check(
        with(json!({})),
        Ok(json!({"overhead": {"cpu": "1"}, "nodeSelector": {"a": "b"}, "tolerations": tolerations})),
    );
    check(
        with(json!({"overhead": {"cpu": "2"}})),
        Err("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
    );
    check(
        with(json!({"nodeSelector": {"a": "z"}})),
        Err("conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = z"),
    );
    check(with(json!({"runtimeClassName": "none"})), Err("pod rejected: RuntimeClass \"none\" not found"));
    check(
        pod(json!({"overhead": {"cpu": "1"}})),
        Err("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
    );
}

#[test]
fn changed_objects() {
    let written = |resource: &str| -> Vec<String> {
        let request = json!({"operation": "UPDATE", "resource": {"resource": resource}});
        let document = json!({"object": {"spec": {}}, "request": request});
        let none = |_: &str, _: &str, _: &[&str]| Ok(None);
        let mutation = mutate(&Config::default(), &Input::new(&project(&document, &PATHS)), &none);
        mutation.patch.into_iter().map(|operation| operation.path).collect()
    };
    // A client that puts a pod without them does not mean to take them away.
    assert_eq!(written("pods"), ["/spec/tolerations"]);
    assert!(written("nodes").is_empty() && written("persistentvolumeclaims").is_empty());
}

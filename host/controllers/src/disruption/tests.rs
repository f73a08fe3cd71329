use super::*;

fn pods(ready: usize, unready: usize) -> Vec<Object> {
    let pod = |number: usize| {
        let status = if number < ready { "True" } else { "False" };
        Arc::new(json!({"metadata": {"name": format!("p{number}")},
            "status": {"conditions": [{"type": "Ready", "status": status}]}}))
    };
    (0..ready + unready).map(pod).collect()
}

fn check(what: &str, spec: Value, pods: &[Object], expected: Result<usize, String>, numbers: [i64; 4], reason: &str) {
    let budget = json!({"metadata": {"generation": 2}, "spec": spec});
    let status = status_of(&budget, pods, expected);
    let fields = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
    assert_eq!(fields.map(|field| status.int_at(&[field]).unwrap_or(-1)), numbers, "{what}");
    assert_eq!(status["conditions"][0]["reason"], reason, "{what}");
    assert_eq!(status["observedGeneration"], 2, "{what}");
}

#[test]
fn a_budget_says_how_many_may_go() {
    let least = |value: Value| json!({"minAvailable": value});
    let most = |value: Value| json!({"maxUnavailable": value});
    check("two of three", least(json!(2)), &pods(3, 0), Ok(3), [1, 3, 2, 3], "SufficientPods");
    check("one is ill", least(json!(2)), &pods(2, 1), Ok(3), [0, 2, 2, 3], "InsufficientPods");
    check("half, rounded up", least(json!("50%")), &pods(3, 0), Ok(3), [1, 3, 2, 3], "SufficientPods");
    check("of those wished for", least(json!("50%")), &pods(3, 0), Ok(10), [0, 3, 5, 10], "InsufficientPods");
    check("at most one", most(json!(1)), &pods(3, 0), Ok(3), [1, 3, 2, 3], "SufficientPods");
    check("at most a third", most(json!("30%")), &pods(3, 0), Ok(3), [1, 3, 2, 3], "SufficientPods");
    check("no pods", least(json!(0)), &[], Ok(0), [0, 0, 0, 0], "InsufficientPods");
    check("not known", most(json!(1)), &pods(1, 0), Err("why".into()), [0, 1, 0, 0], "SyncFailed");
}

#[test]
fn an_evicted_pod_counts_no_more() {
    let mut budget = json!({"metadata": {"generation": 1}, "spec": {"minAvailable": 1}});
    budget["status"]["disruptedPods"] = json!({"p0": time::now(), "p1": "2026-01-01T00:00:00Z", "gone": time::now()});
    let status = status_of(&budget, &pods(3, 0), Ok(3));
    assert_eq!((&status["currentHealthy"], &status["disruptionsAllowed"]), (&json!(2), &json!(1)));
    assert_eq!(
        status["disruptedPods"].as_object().map(|map| map.keys().cloned().collect()),
        Some(vec!["p0".to_owned()])
    );
}

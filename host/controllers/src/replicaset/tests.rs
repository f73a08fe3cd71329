use super::*;

fn pod(name: &str, node: &str, phase: &str, ready: bool, created: &str) -> Object {
    Arc::new(json!({
        "metadata": {"name": name, "uid": name, "creationTimestamp": created, "labels": {"app": "x"}},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    }))
}

fn check(what: &str, pods: &[Object], wanted: usize, expected: &[&str]) {
    let chosen = victims(pods.to_vec(), wanted);
    let names: Vec<&str> = chosen.iter().map(|pod| pod.name()).collect();
    assert_eq!(names, expected, "{what}");
}

#[test]
fn the_least_useful_pods_go_first() {
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let placed = pod("placed", "n1", "Pending", false, old);
    let unplaced = pod("unplaced", "", "Pending", false, old);
    let running = pod("running", "n1", "Running", true, old);
    let unready = pod("unready", "n2", "Running", false, old);
    let young = pod("young", "n2", "Running", true, new);
    check("no node", &[placed.clone(), unplaced.clone()], 1, &["unplaced"]);
    check("pending", &[running.clone(), placed], 1, &["placed"]);
    check("unready", &[running.clone(), unready.clone()], 1, &["unready"]);
    check("younger", &[running.clone(), young.clone()], 1, &["young"]);
    let crowd = pod("crowd", "n1", "Running", true, old);
    check("fuller node", &[young.clone(), running.clone(), crowd], 2, &["running"]);
    let mut cheap = (*running).clone();
    cheap["metadata"]["name"] = "cheap".into();
    cheap["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "-5"});
    check("cheaper", &[young, Arc::new(cheap)], 1, &["cheap"]);
    check("none", &[running], 1, &[]);
}

#[test]
fn status_counts_pods() {
    let set = json!({
        "metadata": {"generation": 3},
        "spec": {"template": {"metadata": {"labels": {"app": "x", "v": "1"}}}},
    });
    let pods =
        [pod("a", "n", "Running", true, ""), pod("b", "n", "Running", false, ""), pod("c", "n", "Failed", false, "")];
    let status = status_of(&set, &pods, None);
    let expected = json!({"replicas": 2, "observedGeneration": 3, "readyReplicas": 1, "availableReplicas": 1});
    assert_eq!(status, expected);
    let failed = status_of(&set, &[], Some(&ClientError::Transport("down".into())));
    assert_eq!(failed["conditions"][0]["reason"], "FailedCreate");
}

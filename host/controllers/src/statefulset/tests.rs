use super::*;

fn set(spec: Value) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "a", "uid": "s", "generation": 1},
        "spec": {"replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        set["spec"][field] = value.clone();
    }
    set
}

/// A pod by its number, its revision, and whether it is ready, unready, failed or going.
fn pod(number: i64, revision: &str, state: &str) -> Object {
    let mut pod = json!({
        "metadata": {"name": format!("db-{number}"), "uid": number.to_string(),
            "labels": {"controller-revision-hash": revision}},
        "status": {"phase": if state == "failed" { "Failed" } else { "Running" },
            "conditions": [{"type": "Ready", "status": if state == "ready" { "True" } else { "False" }}]},
    });
    if state == "going" {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    Arc::new(pod)
}

fn check(what: &str, spec: Value, pods: &[Object], expected: &[&str]) {
    let steps = plan::plan(&set(spec), pods, "new");
    let text = |step: &Step| match step {
        Step::Create { ordinal, current } => format!("+{ordinal}{}", if *current { " old" } else { "" }),
        Step::Delete(pod) => format!("-{}", pod.uid()),
    };
    assert_eq!(steps.iter().map(text).collect::<Vec<_>>(), expected, "{what}");
}

#[test]
fn pods_come_and_go_in_order() {
    let all = |revision: &str| (0..3).map(|number| pod(number, revision, "ready")).collect::<Vec<_>>();
    let plain = || json!({});
    check("the first", plain(), &[], &["+0"]);
    check("wait for it", plain(), &[pod(0, "new", "unready")], &[]);
    check("the next", plain(), &[pod(0, "new", "ready")], &["+1"]);
    check("a gap", plain(), &[pod(0, "new", "ready"), pod(2, "new", "ready")], &["+1"]);
    check("a failed one goes", plain(), &[pod(0, "new", "failed")], &["-0"]);
    check("all there", plain(), &all("new"), &[]);
    let parallel = || json!({"podManagementPolicy": "Parallel"});
    check("at once", parallel(), &[], &["+0", "+1", "+2"]);
    check("the last one goes first", json!({"replicas": 1}), &all("new"), &["-2"]);
    let leaving = [pod(0, "new", "ready"), pod(1, "new", "ready"), pod(2, "new", "going")];
    check("one after the other", json!({"replicas": 1}), &leaving, &[]);
    check("numbers from five", json!({"ordinals": {"start": 5}, "replicas": 1}), &[], &["+5"]);
}

#[test]
fn a_new_revision_rolls_from_the_top() {
    let rolling = |fields: Value| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": fields}});
    let [zero, one, two] = [pod(0, "old", "ready"), pod(1, "old", "ready"), pod(2, "old", "ready")];
    let old = [zero.clone(), one.clone(), two];
    check("the top one", rolling(json!({})), &old, &["-2"]);
    check("wait for it", rolling(json!({})), &[zero.clone(), one.clone(), pod(2, "new", "unready")], &[]);
    check("then the next", rolling(json!({})), &[zero.clone(), one.clone(), pod(2, "new", "ready")], &["-1"]);
    check("two at a time", rolling(json!({"maxUnavailable": 2})), &old, &["-2", "-1"]);
    check("only those over the partition", rolling(json!({"partition": 3})), &old, &[]);
    check("one under it keeps its revision", rolling(json!({"partition": 3})), &[zero, one], &["+2 old"]);
    check("on delete only", json!({"updateStrategy": {"type": "OnDelete"}}), &old, &[]);
}

#[test]
fn a_pod_keeps_its_identity() {
    let set = set(json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"x": 1}}]}));
    let template = json!({"metadata": {"labels": {"app": "db"}},
        "spec": {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}});
    let pod = identity::new_pod(&set, &template, "db-abc", 2);
    assert_eq!(
        (pod.name(), pod.str_at(&["spec", "hostname"]), pod.str_at(&["spec", "subdomain"])),
        ("db-2", "db-2", "db")
    );
    assert_eq!(pod.label("apps.kubernetes.io/pod-index"), Some("2"));
    assert_eq!(pod["spec"]["volumes"][1]["persistentVolumeClaim"]["claimName"], "data-db-2");
    assert_eq!(identity::claims(&set, 2)[0]["metadata"]["labels"], json!({"app": "db"}));
    let check = |name: &str, expected: Option<i64>| {
        assert_eq!(identity::ordinal(&set, &json!({"metadata": {"name": name}})), expected, "{name}");
    };
    check("db-10", Some(10));
    check("db-01", None);
    check("db-x", None);
    check("other-1", None);
}

#[test]
fn status_follows_the_revisions() {
    let revision = |name: &str| Arc::new(json!({"metadata": {"name": name}}));
    let history = History { all: vec![revision("old"), revision("new")], collisions: 0 };
    let mut set = set(json!({}));
    set["status"] = json!({"currentRevision": "old"});
    let half = status_of(&set, &[pod(0, "old", "ready"), pod(1, "new", "ready")], &history);
    assert_eq!((&half["currentRevision"], &half["updatedReplicas"]), (&json!("old"), &json!(1)));
    let done = status_of(&set, &[pod(0, "new", "ready"), pod(1, "new", "ready")], &history);
    assert_eq!((&done["currentRevision"], &done["currentReplicas"]), (&json!("new"), &json!(2)));
}

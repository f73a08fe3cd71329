use jiff::Timestamp;
use portcullis_client::ObjectExt;
use serde_json::{Value, json};

use super::{Facts, Verdict, status};
use crate::pods::plan::{Outcome, Runs};
use crate::pods::run::{Run, Termination};

/// A container's life in words: `new`, `run` (and ready), `unready`, `unstarted`, `N` (ended with code N), `back-off N`,
/// `pull` (its image cannot be had).
fn run(word: &str) -> Run {
    let mut run = Run::default();
    let ended = |code: &str| {
        let mut end = Termination::lost("wasm://x", None, "test began");
        (end.exit_code, end.reason) = (code.parse().unwrap(), "Error".into());
        end
    };
    match word {
        "new" => {}
        "run" | "unready" | "unstarted" => {
            run.begin("x".into(), "wasm", "sha256:1".into());
            (run.started, run.ready) = (word != "unstarted", word == "run");
        }
        "pull" => run.wait("ErrImagePull", "no such file", None),
        code => {
            run.begin("x".into(), "wasm", "sha256:1".into());
            run.end(ended(code.trim_start_matches("back-off ")));
            if code.starts_with("back-off") {
                run.wait("CrashLoopBackOff", "back-off 10s", None);
            }
        }
    }
    run
}

fn facts() -> Facts {
    Facts {
        host_ip: [127, 0, 0, 1].into(),
        pod_ip: Some([127, 244, 0, 2].into()),
        sandbox_ready: true,
        started_at: Timestamp::UNIX_EPOCH,
        verdict: None,
        stopped: false,
    }
}

fn made(policy: &str, init: &[&str], app: &[&str], facts: &Facts) -> Value {
    let names = |prefix: &str, words: &[&str]| {
        (0..words.len()).map(|number| json!({"name": format!("{prefix}{number}")})).collect::<Vec<Value>>()
    };
    let pod = json!({
        "metadata": {"name": "p", "generation": 1},
        "spec": {"restartPolicy": policy, "initContainers": names("i", init), "containers": names("c", app)},
    });
    let of = |prefix: &'static str, words: &[&str]| {
        words.iter().enumerate().map(|(n, word)| (format!("{prefix}{n}"), run(word))).collect::<Vec<_>>()
    };
    let runs: Runs = of("i", init).into_iter().chain(of("c", app)).collect();
    status(&pod, &runs, facts, &Value::Null)
}

#[test]
fn phases() {
    let check = |policy: &str, init: &[&str], app: &[&str], phase: &str| {
        let status = made(policy, init, app, &facts());
        assert_eq!(status["phase"], phase, "{policy} {init:?} {app:?}");
    };
    check("Always", &[], &["new"], "Pending");
    check("Always", &[], &["pull"], "Pending");
    check("Always", &[], &["run"], "Running");
    check("Always", &[], &["run", "new"], "Pending");
    check("Always", &[], &["unready"], "Running");
    check("Always", &[], &["1"], "Running");
    check("Always", &[], &["back-off 1"], "Running");
    check("OnFailure", &[], &["1"], "Running");
    check("OnFailure", &[], &["0"], "Succeeded");
    check("Never", &[], &["0", "1"], "Failed");
    check("Never", &[], &["run", "1"], "Running");
    check("Always", &["run"], &["new"], "Pending");
    check("Always", &["back-off 1"], &["new"], "Pending");
    check("Always", &["0"], &["run"], "Running");
    let ended = |app: &[&str], verdict: Option<Verdict>, phase: &str| {
        let facts = Facts { verdict, stopped: true, sandbox_ready: false, pod_ip: None, ..facts() };
        assert_eq!(made("Always", &[], app, &facts)["phase"], phase, "{app:?}");
    };
    // A pod that was deleted has stopped for good, whatever its policy says.
    ended(&["143"], None, "Failed");
    ended(&["0"], None, "Succeeded");
    ended(&["new"], None, "Failed");
    ended(&["0"], Some(Outcome::Failed.into()), "Failed");
}

#[test]
fn conditions() {
    let check = |policy: &str, init: &[&str], app: &[&str], expected: &[(&str, &str, &str, &str)]| {
        let status = made(policy, init, app, &facts());
        for (kind, value, reason, message) in expected {
            let found = status.list_at(&["conditions"]).iter().find(|c| c["type"] == *kind).unwrap();
            let text = |field: &str| found.str_at(&[field]).to_owned();
            assert_eq!(
                (text("status"), text("reason"), text("message")),
                ((*value).into(), (*reason).into(), (*message).into()),
                "{kind} {init:?} {app:?}"
            );
            assert_eq!(found["observedGeneration"], 1);
        }
    };
    let unready = |names: &str| format!("containers with unready status: [{names}]");
    check("Always", &[], &["run"], &[("Ready", "True", "", ""), ("ContainersReady", "True", "", "")]);
    check("Always", &[], &["run"], &[("PodReadyToStartContainers", "True", "", ""), ("PodScheduled", "True", "", "")]);
    let message = unready("c1");
    check("Always", &[], &["run", "unready"], &[("Ready", "False", "ContainersNotReady", &message)]);
    let message = unready("c0 c1");
    check("Always", &[], &["new", "unstarted"], &[("ContainersReady", "False", "ContainersNotReady", &message)]);
    check(
        "Always",
        &["run", "new"],
        &["new"],
        &[("Initialized", "False", "ContainersNotInitialized", "containers with incomplete status: [i0 i1]")],
    );
    check("Always", &["0"], &["run"], &[("Initialized", "True", "", "")]);
    check("Never", &[], &["0"], &[("Ready", "False", "PodCompleted", ""), ("Initialized", "True", "PodCompleted", "")]);
    check("Never", &[], &["1"], &[("Ready", "False", "PodFailed", "")]);
}

#[test]
fn container_statuses() {
    let of = |word: &str| made("Always", &[], &[word], &facts())["containerStatuses"][0].clone();
    let check =
        |word: &str, path: &str, expected: Value| assert_eq!(of(word).pointer(path), Some(&expected), "{word} {path}");
    check("new", "/state/waiting/reason", json!("ContainerCreating"));
    check("new", "/lastState", json!({}));
    check("pull", "/state/waiting", json!({"reason": "ErrImagePull", "message": "no such file"}));
    check("run", "/ready", json!(true));
    check("run", "/started", json!(true));
    check("run", "/containerID", json!("wasm://x"));
    check("run", "/imageID", json!("sha256:1"));
    check("unstarted", "/started", json!(false));
    check("3", "/state/terminated/exitCode", json!(3));
    check("3", "/state/terminated/containerID", json!("wasm://x"));
    check("back-off 3", "/state/waiting/reason", json!("CrashLoopBackOff"));
    check("back-off 3", "/lastState/terminated/exitCode", json!(3));
    let waiting = made("Always", &["new"], &["new"], &facts());
    assert_eq!(waiting["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
}

#[test]
fn what_else_a_status_says() {
    let verdict = Verdict { outcome: Outcome::Failed, reason: "DeadlineExceeded".into(), message: "too long".into() };
    let facts = Facts { verdict: Some(verdict), stopped: true, pod_ip: None, sandbox_ready: false, ..facts() };
    let ended = made("Always", &[], &["143"], &facts);
    assert_eq!((&ended["phase"], &ended["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    assert_eq!((&ended["hostIP"], ended.get("podIP")), (&json!("127.0.0.1"), None));
    assert_eq!(ended["startTime"], "1970-01-01T00:00:00Z");
    assert_eq!(ended["observedGeneration"], 1);
    let refused = made("Always", &[], &["new"], &facts);
    assert_eq!((&refused["phase"], refused.get("containerStatuses")), (&json!("Failed"), None));
    let gate =
        json!({"spec": {"readinessGates": [{"conditionType": "example.com/lb"}], "containers": [{"name": "c0"}]}});
    let runs = Runs::from([("c0".to_owned(), run("run"))]);
    let of = |pod: &Value| {
        let made = status(pod, &runs, &self::facts(), &Value::Null);
        made["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap().clone()
    };
    assert_eq!(of(&gate)["reason"], "ReadinessGatesNotReady");
    let mut met = gate;
    met["status"]["conditions"] = json!([{"type": "example.com/lb", "status": "True"}]);
    assert_eq!(of(&met)["status"], "True");
}

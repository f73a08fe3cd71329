use super::outcome::{judge, wanted};
use super::*;

fn job(spec: Value, status: Value) -> Object {
    Arc::new(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "work", "namespace": "a", "uid": "j"}, "spec": spec, "status": status,
    }))
}

/// A pod by its uid, phase, exit code and index.
fn pod(uid: &str, phase: &str, code: i64, index: Option<usize>) -> Object {
    let mut pod = json!({
        "metadata": {"name": uid, "uid": uid, "namespace": "a", "finalizers": [FINALIZER]},
        "status": {"phase": phase, "containerStatuses": [{"name": "c"}]},
    });
    if matches!(phase, "Succeeded" | "Failed") {
        pod["status"]["containerStatuses"][0]["state"] =
            json!({"terminated": {"exitCode": code, "finishedAt": portcullis_client::time::now()}});
    }
    if let Some(index) = index {
        pod["metadata"]["annotations"] = json!({INDEX: index.to_string()});
    }
    Arc::new(pod)
}

fn picture(job: Object, pods: Vec<Object>) -> Picture {
    let of = |phase: &'static str| {
        pods.iter().filter(move |pod| pod.str_at(&["status", "phase"]) == phase).cloned().collect::<Vec<_>>()
    };
    Picture {
        active: pods.iter().filter(|pod| is_active(pod)).cloned().collect(),
        succeeded: of("Succeeded"),
        failed: of("Failed"),
        pods: pods.clone(),
        job,
    }
}

fn check(what: &str, spec: Value, status: Value, pods: &[Object], verdict: &str, count: usize) {
    let picture = picture(job(spec, status), pods.to_vec());
    let reason = match judge(&picture) {
        Verdict::Goes => String::new(),
        Verdict::Succeeds(reason, _) => format!("+{reason}"),
        Verdict::Fails(reason, _) => format!("-{reason}"),
    };
    assert_eq!((reason.as_str(), wanted(&picture)), (verdict, count), "{what}");
}

#[test]
fn a_job_wants_pods_until_it_is_over() {
    let none = || json!({});
    let (run, done, broke) =
        (pod("r", "Running", 0, None), pod("s", "Succeeded", 0, None), pod("f", "Failed", 1, None));
    let three = || json!({"completions": 3, "parallelism": 2, "backoffLimit": 1});
    check("new", three(), none(), &[], "", 2);
    check("one done", three(), none(), &[done.clone(), run.clone()], "", 2);
    check("two counted", three(), json!({"succeeded": 2}), &[run.clone()], "", 1);
    check("enough", three(), json!({"succeeded": 2}), &[done.clone()], "+CompletionsReached", 0);
    check("one failure", three(), none(), &[broke.clone()], "", 2);
    check("too many", three(), json!({"failed": 1}), &[broke.clone()], "-BackoffLimitExceeded", 2);
    let noted = json!({"failed": 1, "uncountedTerminatedPods": {"failed": ["f"]}});
    let lenient = json!({"completions": 1, "parallelism": 1, "backoffLimit": 2});
    check("a noted pod counts once", lenient, noted, &[broke.clone()], "", 1);
    let queue = || json!({"parallelism": 3});
    check("a queue that runs", queue(), none(), &[run.clone(), done.clone()], "", 1);
    check("a queue that is empty", queue(), none(), &[done.clone()], "+CompletionsReached", 0);
    let late = json!({"parallelism": 1, "completions": 1, "activeDeadlineSeconds": 5});
    check("late", late, json!({"startTime": "2026-01-01T00:00:00Z"}), &[run], "-DeadlineExceeded", 1);
}

#[test]
fn indexes_are_done_once() {
    let spec = || json!({"completionMode": "Indexed", "completions": 4, "parallelism": 4});
    let (zero, two) = (pod("0", "Running", 0, Some(0)), pod("2", "Succeeded", 0, Some(2)));
    let all = picture(job(spec(), json!({"completedIndexes": "3"})), vec![zero.clone(), two.clone()]);
    assert_eq!(Indexes::of(&all).map(|indexes| indexes.missing(9)), Some(vec![1]));
    check("two to do", spec(), json!({"completedIndexes": "3"}), &[zero, two], "", 2);
    check("all done", spec(), json!({"completedIndexes": "0-3"}), &[], "+CompletionsReached", 0);
    let mut limited = spec();
    limited["backoffLimitPerIndex"] = 0.into();
    let broke = pod("1", "Failed", 1, Some(1));
    check("the rest goes on", limited.clone(), json!({}), &[broke.clone()], "", 3);
    check(
        "but it has failed",
        limited.clone(),
        json!({"completedIndexes": "0,2,3"}),
        &[broke.clone()],
        "-FailedIndexes",
        0,
    );
    limited["maxFailedIndexes"] = 0.into();
    check("at once", limited, json!({}), &[broke], "-MaxFailedIndexesExceeded", 3);
    let mut early = spec();
    early["successPolicy"] = json!({"rules": [{"succeededIndexes": "2-3", "succeededCount": 1}]});
    check("enough of them", early, json!({"completedIndexes": "2"}), &[], "+SuccessPolicy", 3);
    let check = |text: &str, back: &str| assert_eq!(indexes::render(&indexes::parse(text, 10)), back, "{text}");
    check("0-2,4,5,7", "0-2,4,5,7");
    check("8-20,x,3", "3,8,9");
    check("", "");
}

#[test]
fn failures_are_judged_by_their_policy() {
    let spec = |rule: Value| json!({"completions": 1, "parallelism": 1, "backoffLimit": 0, "podFailurePolicy": {"rules": [rule]}});
    let fits = |action: &str, operator: &str, code: i64| {
        spec(json!({"action": action, "onExitCodes": {"operator": operator, "values": [code]}}))
    };
    let broke = [pod("f", "Failed", 42, None)];
    check("a bug", fits("FailJob", "In", 42), json!({}), &broke, "-PodFailurePolicy", 1);
    check("no bug", fits("Ignore", "NotIn", 1), json!({}), &broke, "", 1);
    check("another", fits("Ignore", "In", 1), json!({}), &broke, "-BackoffLimitExceeded", 1);
    let mut evicted = (*broke[0]).clone();
    evicted["status"]["conditions"] = json!([{"type": "DisruptionTarget", "status": "True"}]);
    let rule = spec(json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}));
    check("not its fault", rule, json!({}), &[Arc::new(evicted)], "", 1);
}

#[test]
fn a_pod_is_noted_then_counted_then_the_job_is_complete() {
    let spec = json!({"completions": 1, "parallelism": 1});
    let first = picture(job(spec.clone(), json!({})), vec![pod("s", "Succeeded", 0, None)]);
    let mut status = status::status_of(&first, &judge(&first));
    assert_eq!(status["uncountedTerminatedPods"], json!({"succeeded": ["s"]}));
    assert!(!is_finished(&json!({"status": status})), "not before it is counted");
    assert!(status::settle(&mut status, &HashSet::new()));
    assert_eq!((&status["succeeded"], &status["uncountedTerminatedPods"]), (&json!(1), &json!({})));
    let last = picture(job(spec.clone(), status), vec![]);
    let status = status::status_of(&last, &judge(&last));
    assert!(is_finished(&json!({"status": status})));
    assert!(status["completionTime"].is_string() && status["startTime"].is_string());
    let paused = picture(job(json!({"suspend": true, "parallelism": 1}), json!({"startTime": "x"})), vec![]);
    let status = status::status_of(&paused, &judge(&paused));
    assert_eq!((status.get("startTime"), &status["conditions"][0]["type"]), (None, &json!("Suspended")));
}

#[test]
fn failures_slow_a_job_down() {
    let spec = json!({"completions": 1, "parallelism": 1});
    let check = |pods: Vec<Object>, least: f64, most: f64| {
        let wait = outcome::backoff(&picture(job(spec.clone(), json!({})), pods));
        assert!((least..=most).contains(&wait), "{wait}");
    };
    check(vec![], 0.0, 0.0);
    check(vec![pod("a", "Failed", 1, None)], 8.0, 10.0);
    check(vec![pod("a", "Failed", 1, None), pod("b", "Failed", 1, None)], 18.0, 20.0);
    check(vec![pod("a", "Succeeded", 0, None)], 0.0, 0.0);
}

use serde_json::{Value, json};

use super::{Outcome, Plan, Runs, is_initialized, plan};
use crate::pods::run::{Phase, Run, Termination};

/// What a container does, in a word: `-` not started, `run`, `up` (running, its startup probe succeeded), or the code
/// that it ended with.
fn run(word: &str) -> Run {
    let phase = match word {
        "-" => Phase::Created,
        "run" | "up" => Phase::Running { id: "x".into(), started_at: jiff::Timestamp::now() },
        code => {
            let mut end = Termination::lost("x", None, "test began");
            end.exit_code = code.parse().unwrap();
            Phase::Exited(end)
        }
    };
    Run { phase, started: word == "up", ..Run::default() }
}

/// Init containers (`s…` are sidecars) and containers by what they do, and what is to be done.
fn check(policy: &str, init: &[(&str, &str)], app: &[(&str, &str)], expected: Result<&[&str], Outcome>) {
    let spec = |(name, _): &(&str, &str)| {
        if name.starts_with('s') { json!({"name": name, "restartPolicy": "Always"}) } else { json!({"name": name}) }
    };
    let pod = json!({"spec": {
        "restartPolicy": policy,
        "initContainers": init.iter().map(spec).collect::<Vec<Value>>(),
        "containers": app.iter().map(|(name, _)| json!({"name": name})).collect::<Vec<Value>>(),
    }});
    let runs: Runs = init.iter().chain(app).map(|(name, word)| ((*name).to_owned(), run(word))).collect();
    let expected = match expected {
        Ok(names) => Plan::Start(names.to_vec()),
        Err(outcome) => Plan::End(outcome),
    };
    assert_eq!(plan(&pod, &runs), expected, "{policy} {init:?} {app:?}");
}

#[test]
fn containers_start_together_and_restart_by_policy() {
    check("Always", &[], &[("a", "-"), ("b", "-")], Ok(&["a", "b"]));
    check("Always", &[], &[("a", "run"), ("b", "0")], Ok(&["b"]));
    check("OnFailure", &[], &[("a", "run"), ("b", "0")], Ok(&[]));
    check("OnFailure", &[], &[("a", "1"), ("b", "0")], Ok(&["a"]));
    check("OnFailure", &[], &[("a", "0"), ("b", "0")], Err(Outcome::Succeeded));
    check("Never", &[], &[("a", "run"), ("b", "1")], Ok(&[]));
    check("Never", &[], &[("a", "0"), ("b", "1")], Err(Outcome::Failed));
    check("Never", &[], &[("a", "0")], Err(Outcome::Succeeded));
}

#[test]
fn init_containers_run_in_order() {
    check("Always", &[("i", "-"), ("j", "-")], &[("a", "-")], Ok(&["i"]));
    check("Always", &[("i", "run"), ("j", "-")], &[("a", "-")], Ok(&[]));
    check("Always", &[("i", "0"), ("j", "-")], &[("a", "-")], Ok(&["j"]));
    check("Always", &[("i", "0"), ("j", "0")], &[("a", "-")], Ok(&["a"]));
    check("Always", &[("i", "3"), ("j", "-")], &[("a", "-")], Ok(&["i"]));
    check("Never", &[("i", "3"), ("j", "-")], &[("a", "-")], Err(Outcome::Failed));
    // Once a container was started the init containers are past.
    check("Always", &[("i", "-")], &[("a", "1")], Ok(&["a"]));
}

#[test]
fn sidecars_start_in_order_and_stay() {
    check("Never", &[("s", "-"), ("i", "-")], &[("a", "-")], Ok(&["s"]));
    check("Never", &[("s", "run"), ("i", "-")], &[("a", "-")], Ok(&[]));
    check("Never", &[("s", "up"), ("i", "-")], &[("a", "-")], Ok(&["i"]));
    check("Never", &[("s", "0"), ("i", "run")], &[("a", "-")], Ok(&["s"]));
    check("Never", &[("s", "up"), ("i", "0")], &[("a", "-")], Ok(&["a"]));
    check("Never", &[("s", "1"), ("i", "0")], &[("a", "run")], Ok(&["s"]));
    check("Never", &[("s", "up")], &[("a", "0")], Err(Outcome::Succeeded));
    check("Never", &[("s", "1")], &[("a", "0")], Err(Outcome::Succeeded));
}

#[test]
fn initialization() {
    let pod = json!({"spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}]}});
    let runs = |i: &str, a: &str| Runs::from([("i".to_owned(), run(i)), ("a".to_owned(), run(a))]);
    assert!(!is_initialized(&pod, &runs("-", "-")));
    assert!(!is_initialized(&pod, &runs("1", "-")));
    assert!(is_initialized(&pod, &runs("0", "-")));
    assert!(is_initialized(&pod, &runs("-", "up")));
}

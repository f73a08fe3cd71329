use portcullis_machinery::definition::{Registry, RuntimeConfig};
use serde_json::{Value, json};

use super::{MANAGED, Step, step, wanted};

fn object(label: &str, priority: i64) -> Option<Value> {
    let labels = if label.is_empty() { json!({}) } else { json!({MANAGED: label}) };
    Some(json!({"metadata": {"labels": labels}, "spec": {"group": "g", "version": "v1", "versionPriority": priority}}))
}

/// The label and the priority of what is wanted and of what is there.
#[track_caller]
fn check(want: Option<(&str, i64)>, have: Option<(&str, i64)>, at_start: bool, settled: bool, expected: &Step) {
    let make = |given: Option<(&str, i64)>| given.and_then(|(label, priority)| object(label, priority));
    assert_eq!(step(make(want).as_ref(), make(have).as_ref(), at_start, settled), *expected, "{want:?} {have:?}");
}

#[test]
fn steps() {
    check(None, None, false, false, &Step::Nothing);
    check(Some(("onstart", 1)), None, false, false, &Step::Create);
    check(Some(("onstart", 1)), None, true, true, &Step::Nothing);
    check(Some(("true", 1)), None, false, true, &Step::Create);
    for wanted in [None, Some(("onstart", 1)), Some(("true", 1))] {
        check(wanted, Some(("", 2)), true, false, &Step::Nothing);
        check(wanted, Some(("other", 2)), true, false, &Step::Nothing);
        check(wanted, Some(("onstart", 2)), false, false, &Step::Nothing);
    }
    check(None, Some(("onstart", 2)), true, false, &Step::Delete);
    check(None, Some(("onstart", 2)), true, true, &Step::Nothing);
    check(None, Some(("true", 2)), false, true, &Step::Delete);
    check(Some(("onstart", 1)), Some(("onstart", 2)), true, false, &Step::Update);
    check(Some(("onstart", 1)), Some(("onstart", 1)), true, false, &Step::Nothing);
    check(Some(("true", 1)), Some(("true", 2)), false, true, &Step::Update);
    check(Some(("true", 1)), Some(("true", 1)), false, true, &Step::Nothing);
}

#[test]
fn every_version_that_is_served_has_one() {
    let all = wanted(&Registry::builtin(&RuntimeConfig::default()));
    assert_eq!(all["v1."]["spec"], json!({"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}));
    assert_eq!(all["v2.autoscaling"]["spec"]["versionPriority"], 30);
    assert_eq!(all["v1.apps"]["metadata"]["labels"][MANAGED], "onstart");
    // What aggregation itself is made of is not up for aggregation.
    assert!(!all.contains_key("v1.apiregistration.k8s.io"));
}

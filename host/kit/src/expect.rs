//! What a case expects, against what was answered.
//!
//! `expect` names what must be so; what it does not name may be anything, but for the verdict, which it always tells.
//! Objects are compared by the members that are named (`null` for one that must not be there), lists whole. A text stands
//! for any message that contains it; `{message: …}` for exactly that one. `expect: allowed` is short for
//! `expect: {allowed: true}`.

use portcullis_machinery::Value;
use portcullis_policy::Stage;
use serde_json::json;

/// The verdicts of a stage, one of which every case must name (or something that follows from it), and what else there is.
fn members(stage: Stage) -> (&'static [&'static str], &'static [&'static str]) {
    match stage {
        Stage::Validator => (&["allowed", "denied"], &["warnings", "audit"]),
        Stage::Mutator => (&["allowed", "denied", "patch", "object"], &["warnings", "audit"]),
        Stage::ObjectValidator => (&["allowed", "errors"], &["warnings"]),
        Stage::Authorizer => (&["allow", "deny", "noOpinion"], &[]),
        Stage::Authenticator => (&["authenticated", "noOpinion", "rejected"], &[]),
        Stage::Converter => (&["objects", "refused"], &[]),
        Stage::Scheduler => (&["scores", "excluded", "best"], &[]),
    }
}

/// Verdicts of every stage: the policy refuses its configuration, or gives no answer.
const FAILURES: [&str; 2] = ["configRefused", "fails"];

/// The members whose value is something that was said.
const SAID: [&str; 7] = ["denied", "deny", "noOpinion", "rejected", "refused", "configRefused", "fails"];

/// Whether an expectation says something that can be.
///
/// # Errors
/// In words for the case's author.
pub fn check(stage: Stage, expect: &Value) -> Result<(), String> {
    let (verdicts, more) = members(stage);
    let expect = whole(expect);
    let Value::Object(named) = &expect else { return Err("expect must be a word or an object".into()) };
    let known = |key: &str| verdicts.contains(&key) || more.contains(&key) || FAILURES.contains(&key);
    let all = || verdicts.iter().chain(more).chain(&FAILURES).copied().collect::<Vec<_>>().join(", ");
    if let Some(unknown) = named.keys().find(|key| !known(key)) {
        return Err(format!("expect has no {unknown:?} at this stage; it has {}", all()));
    }
    if named.keys().all(|key| more.contains(&key.as_str())) {
        return Err(format!("expect does not tell the verdict: it needs one of {}", verdicts.join(", ")));
    }
    Ok(())
}

/// An expectation without abbreviation.
fn whole(expect: &Value) -> Value {
    match expect {
        Value::String(word) => json!({word.as_str(): true}),
        other => other.clone(),
    }
}

/// How an answer differs from what was expected, as lines to show; none if it does not.
pub fn differences(expect: &Value, observed: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let expect = whole(expect);
    for (name, wanted) in expect.as_object().into_iter().flatten() {
        match observed.get(name) {
            None if !said_nothing(wanted) => {
                lines.push(format!("  - {}", show(name, wanted)));
                lines.push(format!("  + {}", verdict(observed)));
            }
            None => {}
            Some(found) if SAID.contains(&name.as_str()) => said(name, wanted, found, &mut lines),
            Some(found) => compare(name, wanted, found, &mut lines),
        }
    }
    lines
}

/// What is expected not to be there.
fn said_nothing(wanted: &Value) -> bool {
    matches!(wanted, Value::Null | Value::Bool(false))
}

fn show(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(true) => name.to_owned(),
        other => format!("{name}: {other}"),
    }
}

/// The verdict in an answer, for the line that tells it instead of the expected one.
fn verdict(observed: &Value) -> String {
    let (mut verdict, rest): (Vec<_>, Vec<_>) = observed
        .as_object()
        .into_iter()
        .flatten()
        .partition(|(name, _)| !["warnings", "audit", "patch", "object"].contains(&name.as_str()));
    verdict.extend(rest.into_iter().filter(|(name, value)| *name == "warnings" && **value != json!([])));
    verdict.into_iter().map(|(name, value)| show(name, value)).collect::<Vec<_>>().join(", ")
}

/// Something that was said: a text is contained in it, an object is compared.
fn said(path: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    match wanted {
        Value::Null | Value::Bool(false) => {
            lines.push(format!("  - no {path}"));
            lines.push(format!("  + {}", show(path, found)));
        }
        Value::Bool(true) => {}
        Value::String(part) => contains(path, part, found, lines),
        Value::Object(members) => {
            for (name, wanted) in members {
                match (name.as_str(), wanted) {
                    ("contains", Value::String(part)) => contains(path, part, found, lines),
                    _ => compare(&format!("{path}.{name}"), wanted, &found[name.as_str()], lines),
                }
            }
        }
        other => compare(path, other, found, lines),
    }
}

fn contains(path: &str, part: &str, found: &Value, lines: &mut Vec<String>) {
    let text = found["message"].as_str().unwrap_or_default();
    if !text.contains(part) {
        lines.push(format!("  - {path}.message contains {part:?}"));
        lines.push(format!("  + {path}.message: {text:?}"));
    }
}

/// Compares what is named, and adds a line for each difference.
fn compare(path: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                let path = format!("{path}.{name}");
                compare(&path, wanted, found.get(name).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            for index in 0..wanted.len().max(found.len()) {
                let path = format!("{path}[{index}]");
                match (wanted.get(index), found.get(index)) {
                    (Some(wanted), Some(found)) => compare(&path, wanted, found, lines),
                    (Some(wanted), None) => lines.push(format!("  - {path}: {wanted}")),
                    (None, Some(found)) => lines.push(format!("  + {path}: {found}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => {}
        (wanted, found) if wanted == found => {}
        (wanted, found) => {
            lines.push(format!("  - {path}: {}", absent(wanted)));
            lines.push(format!("  + {path}: {}", absent(found)));
        }
    }
}

fn absent(value: &Value) -> String {
    if value.is_null() { "(nothing)".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_compared() {
        let check = |expect: Value, observed: Value, lines: &[&str]| {
            assert_eq!(differences(&expect, &observed), lines, "{expect} against {observed}");
        };
        let allowed = json!({"allowed": true, "warnings": [], "audit": {"team": "red"}});
        let denied = json!({"denied": {"message": "no label", "code": 403, "causes": []}, "warnings": [], "audit": {}});
        check(json!("allowed"), allowed.clone(), &[]);
        check(json!({"allowed": true, "audit": {"team": "red"}}), allowed.clone(), &[]);
        check(json!({"denied": "label"}), denied.clone(), &[]);
        check(json!({"denied": {"message": "no label", "code": 403}}), denied.clone(), &[]);
        check(json!({"denied": {"contains": "label"}, "warnings": []}), denied.clone(), &[]);
        check(
            json!("allowed"),
            json!({"denied": {"message": "no"}, "warnings": ["w"], "audit": {}}),
            &["  - allowed", "  + denied: {\"message\":\"no\"}, warnings: [\"w\"]"],
        );
        check(
            json!({"denied": "other"}),
            denied.clone(),
            &["  - denied.message contains \"other\"", "  + denied.message: \"no label\""],
        );
        check(json!({"denied": "label"}), allowed.clone(), &["  - denied: \"label\"", "  + allowed"]);
        check(json!({"denied": {"code": 422}}), denied, &["  - denied.code: 422", "  + denied.code: 403"]);
        check(
            json!({"allowed": true, "warnings": ["a"]}),
            json!({"allowed": true, "warnings": ["b", "c"]}),
            &["  - warnings[0]: \"a\"", "  + warnings[0]: \"b\"", "  + warnings[1]: \"c\""],
        );
        let object = json!({"object": {"metadata": {"labels": {"a": "b"}}, "n": 1}, "allowed": true});
        check(json!({"object": {"metadata": {"labels": {"a": "b", "c": null}}, "n": 1.0}}), object.clone(), &[]);
        check(
            json!({"object": {"metadata": {"labels": {"a": null}}}}),
            object,
            &["  - object.metadata.labels.a: (nothing)", "  + object.metadata.labels.a: \"b\""],
        );
    }

    #[test]
    fn what_cannot_be_is_said() {
        let refused = |stage: Stage, expect: Value, part: &str| {
            let error = check(stage, &expect).expect_err("refused");
            assert!(error.contains(part), "{expect}: {error}");
        };
        refused(Stage::Validator, json!("allow"), "no \"allow\"");
        refused(Stage::Validator, json!({"warnings": []}), "does not tell the verdict");
        refused(Stage::Validator, json!(3), "a word or an object");
        refused(Stage::Scheduler, json!("allowed"), "scores, excluded, best");
        assert_eq!(check(Stage::Authorizer, &json!("noOpinion")), Ok(()));
        assert_eq!(check(Stage::Mutator, &json!({"object": {}})), Ok(()));
        assert_eq!(check(Stage::Converter, &json!({"fails": "x"})), Ok(()));
    }
}

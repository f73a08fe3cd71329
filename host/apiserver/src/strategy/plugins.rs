//! What a Plugin must look like to be stored. Whether it loads is found out afterwards and told in its status.

use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};
use portcullis_plugins::matching::Matcher;
use portcullis_plugins::mode::Mode;
use portcullis_plugins::spec::{GROUP, PluginSpec, SpecError};
use portcullis_policy::{Digest, Stage};

/// Checks a Plugin.
///
/// # Errors
/// 422 with a cause for each field that is wrong.
pub fn check(plugin: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    let name = object::name(plugin);
    if !is_subdomain(name) {
        let detail = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                      must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                      is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        causes.push(invalid("metadata.name", &Value::from(name), detail));
    }
    let stages: Vec<&str> = Stage::ALL.into_iter().map(Stage::as_str).collect();
    let modes = Mode::ALL.map(Mode::as_str);
    let enumerated: [(&str, &[&str], &[&str]); 5] = [
        ("spec.stage", &["spec", "stage"], stages.as_slice()),
        ("spec.failurePolicy", &["spec", "failurePolicy"], &["Fail", "Ignore"]),
        ("spec.mode", &["spec", "mode"], &modes),
        ("spec.logLevel", &["spec", "logLevel"], &["Debug", "Info", "Warn", "Error", "Off"]),
        ("spec.rollout.type", &["spec", "rollout", "type"], &["Immediate", "Canary"]),
    ];
    for (field, path, allowed) in enumerated {
        if let Some(found) = object::str_at(plugin, path).filter(|found| !allowed.contains(found)) {
            let list: Vec<String> = allowed.iter().map(|value| format!("{value:?}")).collect();
            let detail = format!("supported values: {}", list.join(", "));
            causes.push(Cause::field(FieldErrorType::NotSupported, field, &Value::from(found).to_string(), &detail));
        }
    }
    if causes.is_empty() {
        causes.extend(of_spec(plugin));
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, "Plugin", name, causes)) }
}

fn invalid(field: &str, value: &Value, detail: &str) -> Cause {
    Cause::field(FieldErrorType::Invalid, field, &value.to_string(), detail)
}

fn of_spec(plugin: &Value) -> Option<Cause> {
    let spec = PluginSpec::from_object(plugin).and_then(|spec| Matcher::new(&spec.matching).map(|_| spec));
    match spec {
        Ok(spec) => {
            let digest = spec.source.digest?;
            let error = digest.parse::<Digest>().err()?;
            Some(invalid("spec.source.digest", &Value::from(digest), &error.to_string()))
        }
        Err(SpecError::Field { field, message }) => {
            let pointer = format!("/{}", field.replace('.', "/"));
            Some(invalid(field, plugin.pointer(&pointer).unwrap_or(&Value::Null), &message))
        }
        Err(SpecError::Shape(error)) => {
            Some(invalid("spec", plugin.get("spec").unwrap_or(&Value::Null), &error.to_string()))
        }
    }
}

/// A DNS subdomain (RFC 1123): the name is part of a user's, and of a file's.
fn is_subdomain(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|byte| letter(*byte))
            && bytes.last().is_some_and(|byte| letter(*byte))
            && bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named() {
        let check = |name: &str, spec: Value, expected: &str| {
            let plugin = json!({"metadata": {"name": name}, "spec": spec});
            match check(&plugin) {
                Ok(()) => assert_eq!(expected, "", "{plugin}"),
                Err(status) => assert!(!expected.is_empty() && status.message.contains(expected), "{}", status.message),
            }
        };
        let good = json!({"stage": "validator", "source": {"file": "/a"}});
        check("a.b-c", good.clone(), "");
        for name in ["A", "a_b", "-a", "a.", "", "..", "a b"] {
            check(name, good.clone(), "metadata.name: Invalid value");
        }
        let with = |key: &str, value: Value| {
            let mut spec = good.clone();
            spec[key] = value;
            spec
        };
        check(
            "a",
            with("stage", json!("x")),
            "spec.stage: Unsupported value: \"x\": supported values: \"authenticator\", ",
        );
        check(
            "a",
            with("failurePolicy", json!("x")),
            "spec.failurePolicy: Unsupported value: \"x\": supported values: \"Fail\"",
        );
        check("a", with("source", json!({})), "spec.source: Invalid value: {}: exactly one");
        check(
            "a",
            with("source", json!({"digest": "x"})),
            "spec.source.digest: Invalid value: \"x\": \"x\" is not a digest",
        );
        check("a", with("limits", json!({"queueWait": "x"})), "spec.limits.queueWait: Invalid value: \"x\"");
        check(
            "a",
            with("limits", json!({"callsPerInstance": 0})),
            "spec.limits.callsPerInstance: Invalid value: 0: must be",
        );
        let mode =
            "spec.mode: Unsupported value: \"x\": supported values: \"Enforce\", \"Warn\", \"Audit\", \"Shadow\"";
        check("a", with("mode", json!("x")), mode);
        check(
            "a",
            with("logLevel", json!("x")),
            "spec.logLevel: Unsupported value: \"x\": supported values: \"Debug\"",
        );
        check("a", with("rollout", json!({"type": "x"})), "spec.rollout.type: Unsupported value: \"x\"");
        check("a", with("mode", json!("Audit")), "");
        for stage in ["authenticator", "authorizer", "scheduler", "converter"] {
            let mut spec = with("mode", json!("Audit"));
            spec["stage"] = json!(stage);
            check("a", spec, "spec.mode: Invalid value: \"Audit\": plugins of the stage");
        }
        let canary = |canary: Value| {
            let digest = format!("sha256:{}", "0".repeat(64));
            let mut spec = with("rollout", json!({"type": "Canary", "canary": canary}));
            spec["source"] = json!({"digest": digest});
            spec
        };
        check("a", canary(json!({"percent": 5})), "");
        check("a", canary(json!({"namespaces": ["x"], "promoteAfter": {"seconds": 5}, "maxDisagreements": 0})), "");
        check("a", canary(json!(null)), "spec.rollout.canary: Invalid value: null: must be given");
        check("a", canary(json!({})), "spec.rollout.canary: Invalid value: {}: exactly one of percent and namespaces");
        check(
            "a",
            canary(json!({"percent": 0})),
            "spec.rollout.canary.percent: Invalid value: 0: must be from 1 to 100",
        );
        check("a", canary(json!({"percent": 101})), "spec.rollout.canary.percent: Invalid value: 101");
        check("a", canary(json!({"percent": 5, "namespaces": ["x"]})), "exactly one of percent and namespaces");
        check("a", canary(json!({"percent": 5, "maxTraps": -1})), "spec.rollout.canary.maxTraps: Invalid value: -1");
        check(
            "a",
            canary(json!({"percent": 5, "promoteAfter": {"calls": -1}})),
            "promoteAfter.calls: Invalid value: -1",
        );
        let mut shadow = canary(json!({"percent": 5}));
        shadow["mode"] = json!("Shadow");
        check("a", shadow, "spec.rollout.type: Invalid value: \"Canary\": a plugin in the mode Shadow");
        let mut authorizer = canary(json!({"percent": 5}));
        authorizer["stage"] = json!("authorizer");
        check("a", authorizer, "spec.rollout.type: Invalid value: \"Canary\": plugins of the stage authorizer");
        check(
            "a",
            with("rollout", json!({"type": "Canary", "canary": {"percent": 5}})),
            "the content of a file may change",
        );
        let near = json!({"objectSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}});
        check("a", with("match", near), "spec.match.objectSelector: Invalid value");
    }
}

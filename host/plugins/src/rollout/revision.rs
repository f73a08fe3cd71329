//! Versions of a plugin, by name.
//!
//! A version is what of a Plugin's spec decides: everything but how it takes over and what it logs. Its name is made from
//! its content, so that every server gives the same version the same name, and a version that comes back is known again.

use portcullis_machinery::Value;
use portcullis_policy::Digest;

/// Members of a spec that are of no version.
const NOT_OF_A_VERSION: [&str; 2] = ["rollout", "logLevel"];
/// How much of a plugin's name is in that of its revisions, which must be a name itself.
const MAX_NAME: usize = 200;

/// The part of a spec that is a version.
pub fn content(spec: &Value) -> Value {
    let mut content = spec.clone();
    if let Some(members) = content.as_object_mut() {
        NOT_OF_A_VERSION.iter().for_each(|member| drop(members.remove(*member)));
        // What is meant where nothing is said must not make another version when it is said.
        if members.get("mode").is_some_and(|mode| mode == "Enforce") {
            members.remove("mode");
        }
    }
    sorted(&content)
}

/// The name of the version that a spec describes: `<plugin>-<10 hexadecimal digits>`.
pub fn name(plugin: &str, spec: &Value) -> String {
    let hex = Digest::of(content(spec).to_string().as_bytes()).to_hex();
    let plugin = plugin[..plugin.floor_char_boundary(MAX_NAME)].trim_end_matches(['-', '.']);
    format!("{plugin}-{}", &hex[..10])
}

/// Whether two versions differ in their mode alone.
pub fn same_but_mode(a: &Value, b: &Value) -> bool {
    let without = |spec: &Value| {
        let mut content = content(spec);
        content.as_object_mut().map(|members| members.remove("mode"));
        content
    };
    without(a) == without(b)
}

/// The same value with its members in order, whatever order they were written in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut entries: Vec<(&String, &Value)> = members.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_follows_from_what_decides() {
        let spec = json!({"stage": "validator", "source": {"digest": "a"}, "order": 0});
        let check = |key: &str, value: Value, same: bool| {
            let mut other = spec.clone();
            other[key] = value.clone();
            assert_eq!(name("teams", &spec) == name("teams", &other), same, "{key}: {value}");
        };
        check("rollout", json!({"type": "Canary"}), true);
        check("logLevel", json!("Debug"), true);
        check("source", json!({"digest": "b"}), false);
        check("config", json!({}), false);
        check("mode", json!("Audit"), false);
        check("mode", json!("Enforce"), true);
        let reordered: Value =
            serde_json::from_str(r#"{"order": 0, "source": {"digest": "a"}, "stage": "validator"}"#).unwrap();
        assert_eq!(name("teams", &spec), name("teams", &reordered));
        assert!(name(&"x".repeat(253), &spec).len() <= 253);
    }

    #[test]
    fn modes_are_told_apart() {
        let spec = json!({"stage": "validator", "mode": "Enforce"});
        assert!(same_but_mode(&spec, &json!({"stage": "validator", "mode": "Shadow", "rollout": {}})));
        assert!(!same_but_mode(&spec, &json!({"stage": "mutator", "mode": "Shadow"})));
    }
}

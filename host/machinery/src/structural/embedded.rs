//! Embedded resources (`x-kubernetes-embedded-resource`): each says what it is, and has metadata like any object.

use serde_json::Value;

use super::{Structural, member_path, meta};
use crate::status::{Cause, FieldErrorType};

/// What is wrong with the resources embedded in an object.
pub fn check(object: &Value, schema: &Structural) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(object, schema, "", &mut causes);
    causes
}

fn walk(value: &Value, schema: &Structural, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(members) => {
            if schema.embedded {
                head(value, path, causes);
            }
            for (key, value) in members {
                if let Some(child) = schema.member(key) {
                    walk(value, child, &member_path(path, key), causes);
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = &schema.items else { return };
            for (index, item) in list.iter().enumerate() {
                walk(item, items, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

fn head(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let at = |key: &str| member_path(path, key);
    let version = text("apiVersion");
    if version.is_empty() {
        causes.push(Cause::field(FieldErrorType::Required, at("apiVersion"), "", ""));
    } else if version.matches('/').count() > 1 {
        let detail = format!("unexpected GroupVersion string: {version}");
        causes.push(Cause::field(
            FieldErrorType::Invalid,
            at("apiVersion"),
            &Value::from(version).to_string(),
            &detail,
        ));
    }
    let kind = text("kind");
    if kind.is_empty() {
        causes.push(Cause::field(FieldErrorType::Required, at("kind"), "", ""));
    } else if let Some(why) = meta::dns1035_label_error(&kind.to_lowercase()) {
        let detail = format!("may have mixed case, but should otherwise match: {why}");
        causes.push(Cause::field(FieldErrorType::Invalid, at("kind"), &Value::from(kind).to_string(), &detail));
    }
    if let Some(metadata) = value.get("metadata").filter(|metadata| metadata.is_object()) {
        meta::check_embedded(metadata, &at("metadata"), causes);
    }
}

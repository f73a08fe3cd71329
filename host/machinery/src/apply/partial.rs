//! Partial objects that are merged into whole ones by the rules of apply, without anybody's coming to own anything: what
//! admission policies do.

use serde_json::Value;

use super::typed::{self, Grain};
use crate::schema::{SchemaRef, Shape};

/// Why a partial object cannot be merged in. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartialError {
    /// It does not have its type's form.
    #[error("failed to convert patch object to typed object: {0}")]
    Untyped(String),
    /// It has values that can only be replaced as a whole. Whoever sets a part of one does not expect the rest to go.
    #[error("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {0}")]
    Atomic(String),
}

/// Merges a partial object into a whole one.
///
/// # Errors
/// If it does not fit the type, or has parts that cannot be merged.
pub fn merge_in(live: &Value, partial: &Value, schema: &SchemaRef) -> Result<Value, PartialError> {
    let mut errors = Vec::new();
    typed::check(partial, Some(schema), "", &mut errors);
    if !errors.is_empty() {
        return Err(PartialError::Untyped(super::joined(&errors)));
    }
    let mut atomic = Vec::new();
    find_atomic(partial, Some(schema), "", "", &mut atomic);
    if !atomic.is_empty() {
        return Err(PartialError::Atomic(atomic.join(", ")));
    }
    Ok(typed::merge(live, partial, Some(schema), ""))
}

/// The paths of lists, maps and structs that have one owner.
fn find_atomic(value: &Value, schema: Option<&SchemaRef>, field: &str, path: &str, found: &mut Vec<String>) {
    let grain = typed::grain(schema, field, value);
    match value {
        Value::Object(members) => {
            if matches!(grain, Grain::Leaf) {
                found.push(path.to_owned());
            }
            // Below a whole the types are still known.
            let Some(Shape::Object(_)) = schema.map(|schema| &schema.shape) else { return };
            for (key, value) in members {
                if let Some(child) = schema.and_then(|schema| schema.child(key)) {
                    find_atomic(value, Some(child), key, &format!("{path}.{key}"), found);
                }
            }
        }
        Value::Array(items) => {
            if matches!(grain, Grain::Leaf) {
                found.push(path.to_owned());
            }
            let of = schema.and_then(|schema| schema.items());
            for (index, item) in items.iter().enumerate() {
                find_atomic(item, of, "", &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::builtin::schema;

    /// What merging gives, or the error's text.
    fn check(partial: Value, expected: Result<Value, &str>) {
        let schema = schema("io.k8s.api.core.v1.Pod").expect("pods have a type");
        let live = json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "a", "image": "i", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}],
            "nodeSelector": {"disk": "ssd"}, "serviceAccountName": "s",
        }});
        let made = merge_in(&live, &partial, &schema).map(|made| made["spec"].clone());
        assert_eq!(made.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{partial}");
    }

    #[test]
    fn partial_objects_are_merged() {
        let spec = |containers: Value| {
            Ok(json!({"containers": containers, "nodeSelector": {"disk": "ssd"}, "serviceAccountName": "s"}))
        };
        let env = || json!([{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]);
        check(
            json!({"spec": {"containers": [{"name": "b", "image": "j"}]}}),
            spec(json!([{"name": "a", "image": "i", "env": env()}, {"name": "b", "image": "j"}])),
        );
        check(
            json!({"spec": {"containers": [{"name": "a", "env": [{"name": "Y", "value": "3"}]}]}}),
            spec(
                json!([{"name": "a", "image": "i", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}]}]),
            ),
        );
        let atomic = "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ";
        check(json!({"spec": {"nodeSelector": {"a": "b"}}}), Err(&format!("{atomic}.spec.nodeSelector")));
        check(
            json!({"spec": {"containers": [{"name": "a", "command": ["x"], "args": []}]}}),
            Err(&format!("{atomic}.spec.containers[0].args, .spec.containers[0].command")),
        );
        let untyped = "failed to convert patch object to typed object: ";
        check(json!({"spec": {"nothing": 1}}), Err(&format!("{untyped}.spec.nothing: field not declared in schema")));
    }
}

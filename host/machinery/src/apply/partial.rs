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

//! Pruning: what a schema does not know is dropped, and reported for strict validation.

use serde_json::Value;

use super::{Additional, Structural, member_path};
use crate::codec::TypeError;
use crate::schema::builtin;

/// What every resource has beside what its schema says.
const HEAD: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Brings an instance into its type's form: fields that the schema does not know are dropped, and the metadata, its own
/// and that of embedded resources, gets the form of the built-in type. Gives the paths of what was dropped.
///
/// # Errors
/// If the metadata has a value of the wrong type.
pub fn prune(object: &mut Value, schema: &Structural) -> Result<Vec<String>, TypeError> {
    let mut walk = Prune { dropped: Vec::new() };
    walk.metadata(object, "")?;
    walk.value(object, Some(schema), true, "");
    walk.embedded(object, schema, "")?;
    walk.dropped.sort();
    Ok(walk.dropped)
}

struct Prune {
    dropped: Vec<String>,
}

impl Prune {
    fn value(&mut self, value: &mut Value, schema: Option<&Structural>, root: bool, path: &str) {
        match value {
            Value::Object(members) => members.retain(|key, value| {
                if HEAD.contains(&key.as_str()) && (root || schema.is_some_and(|schema| schema.embedded)) {
                    return true;
                }
                let at = member_path(path, key);
                let Some(schema) = schema else {
                    self.dropped.push(at);
                    return false;
                };
                match (schema.properties.get(key), &schema.additional) {
                    (Some(property), _) => self.value(value, Some(property), false, &at),
                    (None, Additional::Schema(values)) => self.value(value, Some(values), false, &at),
                    (None, _) if schema.preserve_unknown => {}
                    (None, Additional::Allowed(_)) => self.value(value, None, false, &at),
                    (None, Additional::Unset) => {
                        self.dropped.push(at);
                        return false;
                    }
                }
                true
            }),
            Value::Array(items) => {
                let preserve = schema.is_some_and(|schema| schema.preserve_unknown && schema.items.is_none());
                if preserve {
                    return;
                }
                let schema = schema.and_then(|schema| schema.items.as_deref());
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, schema, false, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    /// The metadata of the objects that are embedded anywhere below.
    fn embedded(&mut self, value: &mut Value, schema: &Structural, path: &str) -> Result<(), TypeError> {
        match value {
            Value::Object(members) => {
                for (key, value) in members.iter_mut() {
                    let Some(child) = schema.member(key) else { continue };
                    let at = member_path(path, key);
                    if child.embedded {
                        self.metadata(value, &at)?;
                    }
                    self.embedded(value, child, &at)?;
                }
            }
            Value::Array(list) => {
                let Some(items) = &schema.items else { return Ok(()) };
                for (index, item) in list.iter_mut().enumerate() {
                    let at = format!("{path}[{index}]");
                    if items.embedded {
                        self.metadata(item, &at)?;
                    }
                    self.embedded(item, items, &at)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn metadata(&mut self, object: &mut Value, path: &str) -> Result<(), TypeError> {
        let Some(metadata) = object.get_mut("metadata") else { return Ok(()) };
        let Some(schema) = builtin::schema(&builtin::published("meta.ObjectMeta")) else { return Ok(()) };
        let mut unknown = Vec::new();
        if metadata.is_null() {
            *metadata = serde_json::json!({});
        }
        for text in crate::codec::conform(metadata, &schema)? {
            unknown.extend(text.strip_prefix("unknown field \"").and_then(|t| t.strip_suffix('"')).map(str::to_owned));
        }
        let at = member_path(path, "metadata");
        self.dropped.extend(unknown.into_iter().map(|field| format!("{at}.{field}")));
        Ok(())
    }
}

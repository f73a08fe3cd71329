//! What `x-kubernetes-list-type` promises: the items of a set, and the keys of a map, are there once.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Structural, member_path};
use crate::schema::ListType;
use crate::status::{Cause, FieldErrorType};

/// Doubled items, each at its second place.
pub fn duplicates(object: &Value, schema: &Structural) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(object, schema, "", &mut causes);
    causes
}

fn walk(value: &Value, schema: &Structural, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if let Some(child) = schema.member(key) {
                    walk(value, child, &member_path(path, key), causes);
                }
            }
        }
        Value::Array(list) => {
            let mut seen = HashSet::new();
            for (index, item) in list.iter().enumerate() {
                let identity = match schema.list_type {
                    Some(ListType::Set) => item.clone(),
                    Some(ListType::Map) => keys(item, schema),
                    _ => break,
                };
                if !seen.insert(identity.to_string()) {
                    let at = format!("{path}[{index}]");
                    causes.push(Cause::field(FieldErrorType::Duplicate, at, &identity.to_string(), ""));
                }
            }
            let Some(items) = &schema.items else { return };
            for (index, item) in list.iter().enumerate() {
                walk(item, items, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

fn keys(item: &Value, schema: &Structural) -> Value {
    let mut keys = Map::new();
    for key in &schema.map_keys {
        let default = || schema.items.as_ref()?.properties.get(key)?.default.as_ref();
        if let Some(value) = item.get(key).or_else(default) {
            keys.insert(key.clone(), value.clone());
        }
    }
    Value::Object(keys)
}

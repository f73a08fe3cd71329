//! The defaults of custom resources: at decoding, on reading from the store, and wherever an object was changed.

use serde_json::{Map, Value};

use super::{Additional, Structural};

/// Fills in what was left out, then drops nulls that nothing allows and no default replaces.
pub fn apply(object: &mut Value, schema: &Structural) {
    fill(object, schema);
    drop_nulls(object, schema);
}

fn is_stray_null(value: &Value, schema: &Structural) -> bool {
    value.is_null() && !schema.nullable
}

fn fill(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(members) => {
            for (key, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                if members.get(key).is_none_or(|value| is_stray_null(value, property)) {
                    members.insert(key.clone(), default.clone());
                }
            }
            for (key, value) in members.iter_mut() {
                let Some(child) = schema.member(key) else { continue };
                replace_null(value, child);
                fill(value, child);
            }
        }
        Value::Array(list) => {
            let Some(items) = &schema.items else { return };
            for item in list {
                replace_null(item, items);
                fill(item, items);
            }
        }
        _ => {}
    }
}

fn replace_null(value: &mut Value, schema: &Structural) {
    if let Some(default) = &schema.default
        && is_stray_null(value, schema)
    {
        value.clone_from(default);
    }
}

fn drop_nulls(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(members) => {
            drop_members(members, schema);
            for (key, value) in members.iter_mut() {
                if let Some(child) = schema.member(key) {
                    drop_nulls(value, child);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                list.iter_mut().for_each(|item| drop_nulls(item, items));
            }
        }
        _ => {}
    }
}

fn drop_members(members: &mut Map<String, Value>, schema: &Structural) {
    members.retain(|key, value| {
        if !value.is_null() {
            return true;
        }
        match (schema.properties.get(key), &schema.additional) {
            (Some(child), _) => child.nullable || child.default.is_some(),
            (None, Additional::Schema(child)) => child.nullable || child.default.is_some(),
            (None, _) => true,
        }
    });
}

//! JSON merge patch (RFC 7386).

use super::json_kind;
use crate::Status;
use serde_json::{Map, Value};

/// Applies a JSON merge patch, already decoded. Errors: 400 if the patch is not an object.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, Status> {
    require_object(patch)?;
    let mut result = document.clone();
    merge(&mut result, patch);
    Ok(result)
}

/// Both merge patches are objects; the answer to anything else is the reference decoder's.
pub(super) fn require_object(patch: &Value) -> Result<(), Status> {
    if patch.is_object() || patch.is_null() {
        return Ok(());
    }
    let what = json_kind(patch);
    let why =
        format!("error decoding patch: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}");
    Err(Status::bad_request(why))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        if !patch.is_null() {
            *target = patch.clone();
        }
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            members.remove(key);
        } else {
            merge(members.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

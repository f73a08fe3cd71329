//! Objects from what the expressions of mutations give.

use portcullis_cel::Val;
use portcullis_cel::value::Message;
use portcullis_machinery::patch::PatchFailure;
use portcullis_machinery::schema::SchemaRef;
use portcullis_machinery::{Status, Value, apply, codec, object, patch};
use serde_json::json;

use super::Failure;

/// Merges a partial object into the whole one.
///
/// # Errors
/// What is wrong with the partial object.
pub fn apply(value: &Val<'_>, live: &Value, schema: Option<&SchemaRef>) -> Result<Value, String> {
    let Val::Message(message) = value else {
        return Err(format!("unsupported return type from ApplyConfiguration expression: {}", value.type_name()));
    };
    check_names(message)?;
    let mut configuration = value.to_json();
    for key in ["apiVersion", "kind"] {
        if let Some(own) = live.get(key) {
            configuration[key] = own.clone();
        }
    }
    let Some(schema) = schema else {
        let (version, kind) = (object::api_version(live), object::kind(live));
        let (group, version) = portcullis_machinery::definition::split_api_version(version);
        return Err(format!(
            "error applying patch: failed to convert patch object to typed object: no corresponding type for \
             {group}/{version}, Kind={kind}"
        ));
    };
    apply::merge_in(live, &configuration, schema).map_err(|error| format!("error applying patch: {error}"))
}

/// That each part of a partial object is of the type that its place has: `Object.spec` under `spec`.
fn check_names(message: &Message<'_>) -> Result<(), String> {
    let mut wrong = Vec::new();
    // The outermost may be a part itself: it says where it belongs.
    names(&Val::Message(message.clone().into()), &message.name, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(format!("type mismatch: {}", wrong.join("\n"))) }
}

fn names(value: &Val<'_>, wanted: &str, wrong: &mut Vec<String>) {
    match value {
        Val::Message(message) => {
            if *message.name != *wanted {
                wrong.push(format!(
                    "unexpected type name {:?}, expected {wanted:?}, which matches field name path from root Object type",
                    message.name
                ));
            }
            for (key, field) in &message.fields {
                names(field, &format!("{wanted}.{key}"), wrong);
            }
        }
        Val::List(items) => items.iter().for_each(|item| names(item, wanted, wrong)),
        Val::Map(entries) => entries.iter().for_each(|(_, value)| names(value, wanted, wrong)),
        _ => {}
    }
}

/// Applies the operations of a JSON patch. A test that fails leaves the object as it is.
///
/// # Errors
/// What is wrong with the patch, or with what it makes of the object.
pub fn json(value: &Val<'_>, live: &Value, schema: Option<&SchemaRef>) -> Result<Value, Failure> {
    let operations = value.items().unwrap_or_default();
    let operations = operations.iter().map(operation).collect::<Result<Vec<Value>, String>>();
    let operations = operations.map_err(Failure::Policy)?;
    let mut made = match patch::json_operations(live, &operations) {
        Ok(made) => made,
        Err(PatchFailure::Test(_)) => return Ok(live.clone()),
        Err(failure) => return Err(Failure::Policy(format!("JSON Patch: {failure}"))),
    };
    let internal = |why: String| Failure::Request(Status::internal(why));
    if !made.is_object() {
        return Err(internal("json: cannot unmarshal a patched object that is none".to_owned()));
    }
    // What the object is stays known, even if a patch takes it away.
    for key in ["apiVersion", "kind"] {
        if made.get(key).is_none()
            && let Some(own) = live.get(key)
        {
            made[key] = own.clone();
        }
    }
    if let Some(schema) = schema {
        let unknown = codec::conform(&mut made, schema).map_err(|error| internal(error.to_string()))?;
        if !unknown.is_empty() {
            return Err(internal(format!("strict decoding error: {}", unknown.join(", "))));
        }
    }
    Ok(made)
}

fn operation(value: &Val<'_>) -> Result<Value, String> {
    let Val::Message(message) = value else {
        let kind = value.type_name();
        return Err(format!(
            "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of {kind}"
        ));
    };
    let text = |name: &str| match message.field(name) {
        Some(Val::String(text)) => text.to_string(),
        _ => String::new(),
    };
    let mut operation = json!({"op": text("op"), "path": text("path")});
    let from = text("from");
    if !from.is_empty() {
        operation["from"] = from.into();
    }
    operation["value"] = match message.field("value") {
        None => Value::Null,
        Some(value) => {
            if let Val::Message(part) = value {
                check_names(part)?;
            }
            value.to_json()
        }
    };
    Ok(operation)
}

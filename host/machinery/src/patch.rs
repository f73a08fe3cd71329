//! The three kinds of patches: JSON patch (RFC 6902), JSON merge patch (RFC 7386), and the API's strategic merge patch.
//! Server-side apply is in [`crate::apply`].

mod json;
mod merge;
mod strategic;
mod text;
mod unstructured;

pub use json::{PatchFailure, json_operations, json_patch};
pub use merge::merge_patch;
pub use strategic::strategic_merge;
pub use text::{as_patched, touched_by};
pub use unstructured::conversion_error;

use crate::Status;
use serde_json::Value;

/// The 400 for a patch that is not JSON, with the text of the reference's decoder where the two agree on what is wrong.
pub fn decode_error(error: &serde_json::Error) -> Status {
    if error.is_eof() {
        Status::bad_request("error decoding patch: unexpected end of JSON input")
    } else {
        Status::bad_request(format!("error decoding patch: {error}"))
    }
}

/// What the reference's decoder calls a JSON value in its errors.
fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value as the reference prints it inside messages: `map[spec:map[request:3]]`.
pub fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;

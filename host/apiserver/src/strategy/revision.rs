//! The data of ControllerRevisions, which the reference keeps and compares as text.
//!
//! A revision's data must not change, and there a space more is a change: a revision that was made with spaces in its data
//! cannot be patched, since a patch's outcome is written without. So the text is stored as it was sent, and a change is
//! measured by it. Objects that came as YAML or as messages have the text that the server writes itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use portcullis_machinery::codec::Media;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::handlers::Scope;
use crate::handlers::patch::PatchKind;
use crate::handlers::update::Source;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Whether the request writes ControllerRevisions.
fn applies(scope: &Scope) -> bool {
    scope.definition.kind == "ControllerRevision" && scope.group() == "apps" && scope.sub().is_empty()
}

fn text_of(json: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Document>(json).ok()?.data.map(RawValue::get)
}

/// The text of the data in a body, if it is of this kind and JSON.
pub fn sent(scope: &Scope, body: &[u8], media: Media) -> Option<Arc<str>> {
    (applies(scope) && media == Media::Json).then(|| text_of(body).map(Arc::from)).flatten()
}

/// The stored form with the data as this text.
pub fn with_text(stored: Bytes, text: Option<&str>) -> Bytes {
    let (Some(text), Some(written)) = (text, text_of(&stored)) else { return stored };
    if text == written {
        return stored;
    }
    // The one is a part of the other, so this is where it begins.
    let start = written.as_ptr() as usize - stored.as_ptr() as usize;
    let mut out = BytesMut::with_capacity(stored.len() + text.len());
    out.extend_from_slice(&stored[..start]);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&stored[start + written.len()..]);
    out.freeze()
}

/// The text that a stored revision has.
pub fn stored<'a>(scope: &Scope, wire: &'a [u8]) -> Option<&'a str> {
    applies(scope).then(|| text_of(wire)).flatten()
}

/// Adds to what validation found that the data is another text.
///
/// # Errors
/// As `checked`, or 422 for other data.
pub fn check(
    scope: &Scope,
    source: &Source,
    stored: Option<&str>,
    new: &Value,
    checked: Result<(), Status>,
) -> Result<(), Status> {
    let Some(stored) = stored else { return checked };
    let data = new.get("data").unwrap_or(&Value::Null);
    let untouched = || serde_json::from_str::<Value>(stored).is_ok_and(|stored| stored == *data);
    let given = match source {
        Source::Replace(_) => scope.raw_data.as_deref().map(str::to_owned),
        // These carry what they do not touch as it is, without spaces.
        Source::Patch(patch) if matches!(patch.kind, PatchKind::Json | PatchKind::Merge) && untouched() => {
            Some(compact(stored))
        }
        Source::Patch(_) => Some(compact(&data.to_string())),
        Source::Change(_) | Source::Admitted(_) | Source::Part(_) => None,
    };
    if given.is_none_or(|given| given == stored) {
        return checked;
    }
    let cause = Cause::field(FieldErrorType::Invalid, "data", &data.to_string(), "field is immutable");
    let mut causes = match checked {
        Ok(()) => Vec::new(),
        Err(status) if status.reason == "Invalid" => status.details.map(|details| details.causes).unwrap_or_default(),
        Err(status) => return Err(status),
    };
    if !causes.contains(&cause) {
        causes.push(cause);
    }
    Err(Status::invalid("apps", "ControllerRevision", &scope.name, causes))
}

/// JSON as the reference writes it: no spaces, and what could be taken for HTML escaped.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(compact("{ \"a b\" : [1, \"\\\" <\"]}"), "{\"a b\":[1,\"\\\" \\u003c\"]}");
        let stored = Bytes::from_static(b"{\"kind\":\"X\",\"data\":{\"a\":1},\"revision\":1}");
        let spaced = with_text(stored.clone(), Some("{\"a\": 1}"));
        assert_eq!(spaced, "{\"kind\":\"X\",\"data\":{\"a\": 1},\"revision\":1}");
        assert_eq!(text_of(&spaced), Some("{\"a\": 1}"));
        assert_eq!(with_text(stored.clone(), None), stored);
    }
}

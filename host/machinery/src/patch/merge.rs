//! JSON merge patch (RFC 7386).

use crate::Status;
use serde_json::Value;

/// Applies a JSON merge patch, already decoded. Errors: 400 if the patch is not an object.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, Status> {
    let _ = (document, patch);
    todo!()
}

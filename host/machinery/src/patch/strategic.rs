//! Strategic merge patch (API reference, "Notes on the strategic merge patch").

use crate::Status;
use crate::schema::SchemaRef;
use serde_json::Value;

/// Applies a strategic merge patch, already decoded, to an object of the type `schema`. Errors: 400 for a patch that is
/// malformed, 500 where the reference answers so (an unknown directive).
pub fn strategic_merge(document: &Value, patch: &Value, schema: &SchemaRef) -> Result<Value, Status> {
    let _ = (document, patch, schema);
    todo!()
}

//! Server-side apply and field ownership (`metadata.managedFields`; KEP-555).

use crate::Status;
use crate::schema::SchemaRef;
use jiff::Timestamp;
use serde_json::Value;

/// Who writes, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The manager's name: `fieldManager=`, or what the User-Agent says before its first `/`.
    pub manager: &'a str,
    /// The subresource written through; empty for the object itself.
    pub subresource: &'a str,
    /// The version of the request's object, such as `apps/v1`.
    pub api_version: &'a str,
    /// The object's type.
    pub schema: &'a SchemaRef,
    /// Fields that this endpoint does not write (`status` on the main resource, all but `status` on the status
    /// subresource), as paths of object keys: they are never owned through it.
    pub reset_fields: &'a [&'a [&'a str]],
    /// The time of the write.
    pub now: Timestamp,
}

/// Applies a configuration: merges it into the live object (an object with nothing but its identity if it is to be
/// created), removes what this manager applied before and does not any more, and keeps the owners up to date. With
/// `force`, fields of other managers are taken over; without it they are a 409 with a cause for each.
pub fn apply(live: &Value, configuration: &Value, force: bool, writer: &Writer<'_>) -> Result<Value, Status> {
    let _ = (live, configuration, force, writer);
    todo!()
}

/// Brings the owners up to date after an ordinary write (create, update, patch): `new` is about to be stored over
/// `live`, and may carry the `managedFields` that the client sent (an empty list resets them). A failure to understand
/// them never fails the write.
pub fn track_update(live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let _ = (live, new, writer);
    todo!()
}

//! An object as a write has left it, with the bytes that were stored where those are what a reader gets.

use std::ops::Deref;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use portcullis_machinery::codec::Media;
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::cache::Wire;

use super::Scope;
use super::transform::respond_object;
use crate::customresources::conversion;
use crate::negotiation::Transform;
use crate::respond;

/// See the module. It reads as the object.
#[derive(Debug)]
pub struct Stored {
    object: Value,
    wire: Option<Wire>,
}

impl From<Value> for Stored {
    /// What is not as it was stored, or was not stored at all.
    fn from(object: Value) -> Self {
        Self { object, wire: None }
    }
}

impl Deref for Stored {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.object
    }
}

impl Stored {
    /// What a write of `bytes` at `revision` has left; `object` is what they say, in the request's version.
    pub fn at(scope: &Scope, mut object: Value, bytes: &Bytes, revision: u64) -> Self {
        object::set_version(&mut object, revision);
        let same = !conversion::may_convert(&scope.definition);
        Self { object, wire: if same { Wire::new(bytes, revision).ok() } else { None } }
    }

    /// The object.
    pub fn into_value(self) -> Value {
        self.object
    }

    /// The answer with it: the stored bytes where the client wants them as they are.
    ///
    /// # Errors
    /// 406 if the client asked for a list.
    pub fn respond(&self, scope: &Scope, code: u16) -> Result<Response<Body>, Status> {
        let output = &scope.output;
        match &self.wire {
            Some(wire) if output.transform == Transform::None && output.media == Media::Json => {
                Ok(respond::json_bytes(code, output, wire.bytes()))
            }
            _ => respond_object(scope, code, &self.object),
        }
    }
}

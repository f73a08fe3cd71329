//! Bytes to objects and back: JSON and YAML, strictness as the API's `fieldValidation`, and the normal form that the
//! reference gives an object by decoding it into its own types.

use crate::Status;
use crate::schema::SchemaRef;
use bytes::Bytes;
use serde_json::Value;

/// What to do about unknown and duplicate fields (`fieldValidation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Say nothing.
    Ignore,
    /// Answer with a warning for each (the server's default).
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object; of a key that was there twice, the last value.
    pub object: Value,
    /// What strict validation refuses and lenient validation warns of, in the order of the body:
    /// `unknown field "spec.foo"`, `duplicate field "spec.replicas"`.
    pub strict_errors: Vec<String>,
}

/// Why an object does not fit its type; the text is the reference decoder's
/// (`json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

/// Parses a body. Duplicate keys are in `strict_errors`. Syntax errors are `Err` with the decoder's message; the caller
/// knows the kind and makes them a 400 with [`undecodable`].
pub fn decode(body: &[u8], media: Media) -> Result<Decoded, TypeError> {
    let _ = (body, media);
    unimplemented!()
}

/// Makes `object` what the reference's types make of it: unknown fields dropped (and returned as
/// `unknown field "…"`), zero values written or left out as the types say, quantities, times and bytes in normal form.
pub fn conform(object: &mut Value, schema: &SchemaRef) -> Result<Vec<String>, TypeError> {
    let _ = (object, schema);
    unimplemented!()
}

/// [`decode`] and [`conform`] in one, with the strict errors of both in the order of the body.
pub fn decode_as(body: &[u8], media: Media, schema: &SchemaRef) -> Result<Decoded, TypeError> {
    let _ = (body, media, schema);
    unimplemented!()
}


/// 400 for [`FieldValidation::Strict`].
pub fn strict_failure(kind: &str, version: &str, strict_errors: &[String]) -> Status {
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}",
        strict_errors.join(", ")
    ))
}

/// The form on the wire and in the store: compact JSON that begins with `kind`, `apiVersion` and `metadata`.
pub fn encode(object: &Value) -> Bytes {
    let _ = object;
    unimplemented!()
}

/// 400: a body that cannot be decoded as `kind`, in the reference's words.
pub fn undecodable(kind: &str, version: &str, error: &TypeError) -> Status {
    Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"))
}

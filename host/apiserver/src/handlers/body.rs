//! Reads a request's body and makes an object of it.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use portcullis_machinery::codec::{self, FieldValidation, Media};
use portcullis_machinery::schema::SchemaRef;
use portcullis_machinery::{Status, Value, object};

use crate::context::RequestContext;

/// Where built-in kinds are registered, as clients of the reference read it in errors about kinds that are not.
pub const SCHEME: &str = " in scheme \"pkg/api/legacyscheme/scheme.go:30\"";

/// Reads the whole body.
///
/// # Errors
/// 413 if it is over the limit, 400 if it breaks off.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Status> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Status::request_too_large(format!("Request entity too large: limit is {limit}")))
        }
        Err(error) => Err(Status::bad_request(format!("the body could not be read: {error}"))),
    }
}

/// The kind of object that a body is expected to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its group.
    pub group: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its type.
    pub schema: &'a SchemaRef,
}

/// Decodes a body as the expected kind. Body and URL must agree on kind and version; either may be left out.
///
/// # Errors
/// 400 in the decoder's words.
pub fn decode(
    cx: &RequestContext,
    body: &[u8],
    media: Media,
    expected: Expected<'_>,
    validation: FieldValidation,
) -> Result<Value, Status> {
    let kind = expected.kind;
    let unrecognized = |error: &str| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse \
             error: {error} ({})",
            summary(body)
        ))
    };
    let decoded = codec::decode(body, media).map_err(|error| unrecognized(&error.0))?;
    let mut value = decoded.object;
    if !value.is_object() {
        let found = match &value {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            _ => "",
        };
        let go = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
                  \"json:\\\"kind,omitempty\\\"\" }";
        if found.is_empty() {
            value = Value::Object(serde_json::Map::new());
        } else {
            return Err(unrecognized(&format!("json: cannot unmarshal {found} into Go value of type {go}")));
        }
    }
    let custom = expected.schema.custom().is_some();
    if custom {
        crate::customresources::routes::check_head(&value, body, &summary(body), expected)?;
    }
    let wanted = portcullis_machinery::definition::api_version(expected.group, expected.version);
    let (given_kind, given_version) = (said(&value, body, "kind"), said(&value, body, "apiVersion"));
    let kind_fits = given_kind.is_empty() || given_kind == kind || custom;
    let version_fits = given_version.is_empty() || given_version == wanted;
    if !kind_fits || !version_fits {
        let shown = if given_kind.is_empty() { kind } else { &given_kind };
        let (_, version) = portcullis_machinery::definition::split_api_version(if given_version.is_empty() {
            &wanted
        } else {
            &given_version
        });
        let in_version = if given_version.is_empty() { &wanted } else { &given_version };
        return Err(Status::bad_request(format!(
            "{shown} in version \"{version}\" cannot be handled as a {kind}: no kind \"{shown}\" is registered for \
             version \"{in_version}\"{SCHEME}"
        )));
    }
    if object::kind(&value).is_empty() {
        object::set_at(&mut value, &["kind"], kind);
    }
    if object::api_version(&value).is_empty() {
        object::set_at(&mut value, &["apiVersion"], wanted.as_str());
    }
    let unknown = codec::conform(&mut value, expected.schema)
        .map_err(|error| codec::undecodable(kind, expected.version, &error))?;
    let strict = codec::strict_errors(body, media, decoded.strict_errors, unknown);
    report(cx, kind, expected.version, &strict, validation)?;
    Ok(value)
}

/// What the body says of its kind or version. Which of the two it is, the reference tells without regard to case.
fn said(value: &Value, body: &[u8], key: &str) -> String {
    let keys = value.as_object().into_iter().flat_map(|members| members.keys());
    let same: Vec<&str> = keys.map(String::as_str).filter(|name| name.eq_ignore_ascii_case(key)).collect();
    let found = match same.as_slice() {
        [] => None,
        [only] => value.get(*only),
        several => codec::last_key(body, several).and_then(|last| value.get(last)),
    };
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Warns of unknown and duplicate fields, or refuses them, as the request asked.
///
/// # Errors
/// 400 for strict validation.
pub fn report(
    cx: &RequestContext,
    kind: &str,
    version: &str,
    strict_errors: &[String],
    validation: FieldValidation,
) -> Result<(), Status> {
    match validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => strict_errors.iter().for_each(|error| cx.warn(error.clone())),
        FieldValidation::Strict if strict_errors.is_empty() => {}
        FieldValidation::Strict => return Err(codec::strict_failure(kind, version, strict_errors)),
    }
    Ok(())
}

/// The beginning of a body, for an error's text: as text if it looks like JSON, else in hex.
fn summary(body: &[u8]) -> String {
    const LONGEST: usize = 30;
    let head = &body[..body.len().min(LONGEST)];
    let text = match body.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(head).into_owned(),
        Some(_) => hex::encode(head),
    };
    if body.len() > LONGEST { format!("{text} ...") } else { text }
}

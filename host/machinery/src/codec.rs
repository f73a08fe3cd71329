//! Bytes to objects and back: JSON and YAML, strictness as the API's `fieldValidation`, and the normal form that the
//! reference gives an object by decoding it into its own types.

mod conform;
mod parse;
pub mod protobuf;
#[cfg(test)]
mod tests;

use crate::Status;
use crate::schema::SchemaRef;
use bytes::Bytes;
use serde::Serializer as _;
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
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object; of a key that was there twice, the last value.
    pub object: Value,
    /// What strict validation refuses and lenient validation warns of, in the order of the body:
    /// `unknown field "spec.foo"`, `duplicate field "spec.replicas"`; of YAML, `line 9: key "foo" already set in map`.
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
    match media {
        Media::Json => parse::json(body),
        Media::Yaml => parse::yaml(body),
        Media::Protobuf => protobuf::decode(body),
    }
}

/// Makes `object` what the reference's types make of it: unknown fields dropped (and returned as
/// `unknown field "…"`), zero values written or left out as the types say, quantities, times and bytes in normal form.
pub fn conform(object: &mut Value, schema: &SchemaRef) -> Result<Vec<String>, TypeError> {
    conform::conform(object, schema)
}

/// [`decode`] and [`conform`] in one.
pub fn decode_as(body: &[u8], media: Media, schema: &SchemaRef) -> Result<Decoded, TypeError> {
    let mut decoded = decode(body, media)?;
    let unknown = conform(&mut decoded.object, schema)?;
    decoded.strict_errors = strict_errors(body, media, decoded.strict_errors, unknown);
    Ok(decoded)
}

/// Of several keys, the one that comes last in a body; keys of the whole document only.
pub fn last_key<'a>(body: &[u8], keys: &[&'a str]) -> Option<&'a str> {
    let places = parse::places(body, keys.iter().map(|key| (*key).to_owned()));
    keys.iter().copied().max_by_key(|key| places.get(*key).copied().unwrap_or(0))
}

/// The path that an error of strict decoding is about.
fn path_of(error: &str) -> &str {
    error.split_once(" field \"").and_then(|(_, path)| path.strip_suffix('"')).unwrap_or_default()
}

/// Duplicate and unknown fields as one list in the order of the body. What is in an unknown field is not looked at.
pub fn strict_errors(body: &[u8], media: Media, duplicate: Vec<String>, unknown: Vec<String>) -> Vec<String> {
    let inside = |path: &str| {
        unknown.iter().map(|error| path_of(error)).any(|unknown| {
            path.strip_prefix(unknown).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    let mut errors: Vec<String> = match media {
        Media::Yaml if !duplicate.is_empty() => vec![yaml_errors(&duplicate)],
        _ => duplicate.into_iter().filter(|error| !inside(path_of(error))).collect(),
    };
    errors.extend(unknown);
    if errors.len() > 1 && media == Media::Json {
        let places = parse::places(body, errors.iter().map(|error| path_of(error).to_owned()));
        errors.sort_by_key(|error| places.get(path_of(error)).copied().unwrap_or(usize::MAX));
    }
    errors
}

/// What strict validation says of the keys that are doubled in YAML: one text for all of them.
pub fn yaml_errors(lines: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "))
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
    encode_without(object, None)
}

/// The form in the store: as [`encode`], without a resourceVersion, which is the revision of the write.
pub fn encode_stored(object: &Value) -> Bytes {
    encode_without(object, Some("resourceVersion"))
}

/// Encodes without one member of the metadata.
fn encode_without(object: &Value, left_out: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(8 << 10);
    let Value::Object(members) = object else {
        return serde_json::to_vec(object).unwrap_or_default().into();
    };
    out.push(b'{');
    const FIRST: [&str; 3] = ["kind", "apiVersion", "metadata"];
    let first = FIRST.iter().filter_map(|key| members.get_key_value(*key));
    let rest = members.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    for (at, (key, value)) in first.chain(rest).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        // Writing JSON into memory cannot fail: keys are strings and there is no I/O.
        let _ = serde_json::to_writer(&mut out, key);
        out.push(b':');
        match (value, left_out) {
            (Value::Object(metadata), Some(left_out)) if key == "metadata" => {
                let kept = metadata.iter().filter(|(key, _)| *key != left_out);
                let mut serializer = serde_json::Serializer::new(&mut out);
                let _ = serializer.collect_map(kept);
            }
            _ => {
                let _ = serde_json::to_writer(&mut out, value);
            }
        }
    }
    out.push(b'}');
    out.into()
}

/// 400: a body that cannot be decoded as `kind`, in the reference's words.
pub fn undecodable(kind: &str, version: &str, error: &TypeError) -> Status {
    Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"))
}

//! ConfigMaps and Secrets.

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::{Errors, Field, Review, formats, values};

/// The most that either may hold, in bytes.
const LIMIT: usize = 1 << 20;
/// Types of Secrets, and the keys that they must have.
const TYPES: [(&str, &[&str]); 4] = [
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];
const DATA: Field = Field::new("data");

/// What base64 text stands for; bad text is the schema's business.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for six in text.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

/// How many bytes base64 text stands for.
fn decoded_len(value: ValueRef) -> usize {
    value.str_or_empty().trim_end_matches('=').len() * 3 / 4
}

/// A ConfigMap.
pub(super) fn config_map(review: &Review, errors: &mut Errors) {
    let (data, binary) = (review.object.get("data"), review.object.get("binaryData"));
    let binary_data = Field::new("binaryData");
    if review.update {
        immutable(review, &["data", "binaryData"], errors);
    }
    let mut size = 0;
    for (key, value) in data.entries() {
        errors.invalid_each(DATA.key(key), key, formats::config_key(key));
        if !binary.get(key).is_absent() {
            errors.invalid(DATA.key(key), key, "duplicate of key present in binaryData");
        }
        size += value.str_or_empty().len();
    }
    for (key, value) in binary.entries() {
        errors.invalid_each(binary_data.key(key), key, formats::config_key(key));
        size += decoded_len(value);
    }
    if size > LIMIT {
        // The reference reports this for the whole, and prints an empty path so.
        errors.too_long("[]", LIMIT);
    }
}

/// A Secret.
pub(super) fn secret(review: &Review, errors: &mut Errors) {
    let (kind, data) = (review.object.get("type").str_or_empty(), review.object.get("data"));
    if review.update {
        if !review.old.get("type").is_str(kind) {
            errors.invalid("type", kind, IMMUTABLE);
        }
        immutable(review, &["data"], errors);
    }
    let mut size = 0;
    for (key, value) in data.entries() {
        errors.invalid_each(DATA.key(key), key, formats::config_key(key));
        size += decoded_len(value);
    }
    if size > LIMIT {
        errors.too_long(DATA, LIMIT);
    }
    let is_docker = kind.starts_with("kubernetes.io/dockerc");
    for key in TYPES.iter().filter(|(name, _)| *name == kind).flat_map(|(_, keys)| *keys) {
        let value = data.get(key);
        if value.is_absent() || kind == "kubernetes.io/ssh-auth" && value.str_or_empty().is_empty() {
            errors.required(DATA.key(key), "");
        } else if is_docker && serde_json::from_slice::<serde_json::Map<_, _>>(&decode(value.str_or_empty())).is_err() {
            errors.invalid(DATA.key(key), "<secret contents redacted>", json_error(&decode(value.str_or_empty())));
        }
    }
    if kind == "kubernetes.io/basic-auth" && data.get("username").is_absent() && data.get("password").is_absent() {
        errors.required(DATA.key("username"), "");
        errors.required(DATA.key("password"), "");
    }
    let account = "kubernetes.io/service-account.name";
    if kind == "kubernetes.io/service-account-token" && review.annotation(account).is_empty() {
        errors.required(Field::new("metadata").child("annotations").key(account), "");
    }
}

/// What the reference's decoder says of text that is no JSON object.
pub(crate) fn json_error(text: &[u8]) -> String {
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => "unexpected end of JSON input".to_owned(),
        Some(b'{' | b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
            let error = serde_json::from_slice::<serde_json::Value>(text).err();
            let end = error.is_some_and(|error| error.is_eof());
            if end { "unexpected end of JSON input".to_owned() } else { "invalid character".to_owned() }
        }
        Some(byte) => format!("invalid character '{}' looking for beginning of value", char::from(*byte)),
    }
}

/// Once `immutable` is set, neither it nor what it protects may change.
fn immutable(review: &Review, fields: &[&str], errors: &mut Errors) {
    if review.old.get("immutable").as_bool() != Some(true) {
        return;
    }
    if review.object.get("immutable").as_bool() != Some(true) {
        errors.forbidden("immutable", "field is immutable when `immutable` is set");
    }
    for field in fields {
        if !values::same(review.object.get(field), review.old.get(field)) {
            errors.forbidden(*field, "field is immutable when `immutable` is set");
        }
    }
}

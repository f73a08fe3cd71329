//! ConfigMaps and Secrets.

use portcullis_sdk::ValueRef;

use crate::{Errors, Review, formats, meta};

/// The most that either may hold, in bytes.
const LIMIT: usize = 1 << 20;
/// Types of Secrets, and the keys that they must have.
const TYPES: [(&str, &[&str]); 4] = [
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];

/// How many bytes base64 text stands for.
fn decoded(value: ValueRef) -> usize {
    let text = value.str_or_empty();
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(text.len() / 4 * 3)
}

/// A ConfigMap.
pub(super) fn config_map(review: &Review, errors: &mut Errors) {
    let (data, binary) = (review.object.get("data"), review.object.get("binaryData"));
    if review.update {
        immutable(review, &["data", "binaryData"], errors);
    }
    let mut size = 0;
    for (key, value) in data.entries() {
        errors.invalid_each(&format!("data[{key}]"), key, formats::config_key(key));
        if !binary.get(key).is_absent() {
            errors.invalid(format!("data[{key}]"), key, "duplicate of key present in binaryData");
        }
        size += value.str_or_empty().len();
    }
    for (key, value) in binary.entries() {
        errors.invalid_each(&format!("binaryData[{key}]"), key, formats::config_key(key));
        size += decoded(value);
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
            errors.invalid("type", kind, "field is immutable");
        }
        immutable(review, &["data"], errors);
    }
    let mut size = 0;
    for (key, value) in data.entries() {
        errors.invalid_each(&format!("data[{key}]"), key, formats::config_key(key));
        size += decoded(value);
    }
    if size > LIMIT {
        errors.too_long("data", LIMIT);
    }
    for key in TYPES.iter().filter(|(name, _)| *name == kind).flat_map(|(_, keys)| *keys) {
        if data.get(key).is_absent() {
            errors.required(format!("data[{key}]"), "");
        }
    }
    if kind == "kubernetes.io/basic-auth" && data.get("username").is_absent() && data.get("password").is_absent() {
        errors.required("data[username]", "");
        errors.required("data[password]", "");
    }
    let account = review.object.get("metadata").get("annotations").get("kubernetes.io/service-account.name");
    if kind == "kubernetes.io/service-account-token" && account.str_or_empty().is_empty() {
        errors.required("metadata.annotations[kubernetes.io/service-account.name]", "");
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
        let (new, old) = (review.object.get(field), review.old.get(field));
        if !(new.is_empty() && old.is_empty()) && !meta::same(new, old) {
            errors.forbidden(*field, "field is immutable when `immutable` is set");
        }
    }
}

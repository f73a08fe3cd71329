//! Comparing values as the API means them: an empty list says no more than none, and two quantities are the same if
//! they amount to the same.

use portcullis_sdk::ValueRef;
use portcullis_sdk::tape::Kind;

use crate::quantity::Quantity;

/// Whether nothing is said: absent, `null`, or empty.
pub fn is_blank(value: ValueRef) -> bool {
    match value.kind() {
        Kind::Absent | Kind::Null => true,
        Kind::Array | Kind::Object => value.is_empty(),
        Kind::String => value.is_str(""),
        Kind::Bool => value.as_bool() == Some(false),
        Kind::Number => false,
    }
}

/// Whether two values say the same.
pub fn same(one: ValueRef, other: ValueRef) -> bool {
    match (one.kind(), other.kind()) {
        (Kind::Object, Kind::Object) => {
            one.entries().all(|(key, value)| same(value, other.get(key)))
                && other.entries().all(|(key, value)| !one.get(key).is_absent() || is_blank(value))
        }
        (Kind::Array, Kind::Array) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| same(one, other))
        }
        (Kind::String, Kind::String) => one.str_or_empty() == other.str_or_empty(),
        (Kind::Bool, Kind::Bool) => one.as_bool() == other.as_bool(),
        (Kind::Number, Kind::Number) => one.as_i64() == other.as_i64() && one.as_f64() == other.as_f64(),
        _ => is_blank(one) && is_blank(other),
    }
}

/// Whether two maps of quantities say the same.
pub fn same_quantities(one: ValueRef, other: ValueRef) -> bool {
    one.len() == other.len()
        && one.entries().all(|(name, value)| {
            let other = other.get(name);
            !other.is_none() && (same(value, other) || Quantity::read(value) == Quantity::read(other))
        })
}

/// Whether the two differ at most in the members `free`.
pub fn same_but(one: ValueRef, other: ValueRef, free: &[&str]) -> bool {
    let keys = |of: ValueRef, with: ValueRef| {
        of.entries().all(|(key, value)| free.contains(&key) || same(value, with.get(key)))
    };
    keys(one, other) && keys(other, one)
}

//! Conversions between types.

use jiff::Timestamp;

use super::{Outcome, failed, parse_duration, time};
use crate::value::Val;

/// A number as the language prints it.
fn double_text(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf".into() } else { "-Inf".into() } } else { value.to_string() }
}

/// A scalar as text.
pub fn to_text(value: &Val<'_>) -> Option<String> {
    Some(match value {
        Val::String(text) => text.to_string(),
        Val::Type(name) => name.to_string(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Uint(value) => value.to_string(),
        Val::Double(value) => double_text(*value),
        Val::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok()?,
        Val::Timestamp(at) => at.to_string(),
        Val::Duration(span) => time::duration_text(*span),
        Val::Ip(ip) => ip.to_string(),
        Val::Cidr(net) => net.to_string(),
        Val::Quantity(quantity) => quantity.to_string(),
        Val::Semver(version) => version.to_string(),
        Val::Url(url) => url.text.clone(),
        Val::Format(name) => (*name).to_owned(),
        _ => return None,
    })
}

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let [value] = args else { return None };
    let bad = |kind: &str| Some(failed(format!("type conversion error from '{}' to '{kind}'", value.type_name())));
    match (name, value) {
        ("int", Val::Int(_)) | ("uint", Val::Uint(_)) | ("double", Val::Double(_)) | ("bool", Val::Bool(_)) => {
            Some(Ok(value.clone()))
        }
        ("int", Val::Uint(v)) => Some(whole(i64::try_from(*v).ok())),
        ("int", Val::Double(v)) => Some(whole((v.abs() < 9.2e18).then_some(*v as i64))),
        ("int", Val::Timestamp(at)) => Some(Ok(Val::Int(at.as_second()))),
        ("int", Val::String(text)) => text.parse().map_or_else(|_| bad("int"), |v| Some(Ok(Val::Int(v)))),
        ("uint", Val::Int(v)) => Some(unsigned(u64::try_from(*v).ok())),
        ("uint", Val::Double(v)) => Some(unsigned((*v >= 0.0 && *v < 1.8e19).then_some(*v as u64))),
        ("uint", Val::String(text)) => text.parse().map_or_else(|_| bad("uint"), |v| Some(Ok(Val::Uint(v)))),
        ("double", Val::Int(v)) => Some(Ok(Val::Double(*v as f64))),
        ("double", Val::Uint(v)) => Some(Ok(Val::Double(*v as f64))),
        ("double", Val::String(text)) => text.parse().map_or_else(|_| bad("double"), |v| Some(Ok(Val::Double(v)))),
        ("bool", Val::String(text)) => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(Ok(Val::Bool(true))),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(Ok(Val::Bool(false))),
            _ => bad("bool"),
        },
        ("string", value) => match to_text(value) {
            Some(text) => Some(Ok(Val::String(text.into()))),
            None => bad("string"),
        },
        ("bytes", Val::Bytes(_)) => Some(Ok(value.clone())),
        ("bytes", Val::String(text)) => Some(Ok(Val::Bytes(text.as_bytes().into()))),
        ("timestamp", Val::Timestamp(_)) | ("duration", Val::Duration(_)) => Some(Ok(value.clone())),
        ("timestamp", Val::Int(seconds)) => Timestamp::from_second(*seconds)
            .map_or_else(|_| bad("google.protobuf.Timestamp"), |at| Some(Ok(Val::Timestamp(at)))),
        ("timestamp", Val::String(text)) => {
            text.parse().map_or_else(|_| bad("google.protobuf.Timestamp"), |at| Some(Ok(Val::Timestamp(at))))
        }
        ("duration", Val::Int(span)) => Some(Ok(Val::Duration(*span))),
        ("duration", Val::String(text)) => {
            parse_duration(text).map_or_else(|| bad("google.protobuf.Duration"), |span| Some(Ok(Val::Duration(span))))
        }
        _ => None,
    }
}

fn whole<'a>(value: Option<i64>) -> Outcome<'a> {
    value.map_or_else(|| failed("integer overflow"), |value| Ok(Val::Int(value)))
}

fn unsigned<'a>(value: Option<u64>) -> Outcome<'a> {
    value.map_or_else(|| failed("unsigned integer overflow"), |value| Ok(Val::Uint(value)))
}

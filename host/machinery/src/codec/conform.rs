//! The normal form: what is left of an object once it has been through the reference's own types.

use std::fmt::Write as _;

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::Value;

use super::TypeError;
use crate::object;
use crate::quantity::Quantity;
use crate::schema::{Emit, Field, ObjectShape, Schema, SchemaRef, Shape};
use crate::structural;

/// The most unknown fields that are reported.
const MAX_REPORTED: usize = 100;

/// The way from the root to a value.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    /// A key of a map, which errors about types leave out.
    MapKey(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn write(&self, text: &mut String, indices: bool) {
        match self {
            Path::Root => {}
            Path::Key(parent, key) => {
                parent.write(text, indices);
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Path::MapKey(parent, _) if !indices => parent.write(text, indices),
            Path::MapKey(parent, key) => Path::Key(parent, key).write(text, indices),
            Path::Index(parent, index) => {
                parent.write(text, indices);
                if indices {
                    let _ = write!(text, "[{index}]");
                }
            }
        }
    }

    fn text(&self, indices: bool) -> String {
        let mut text = String::new();
        self.write(&mut text, indices);
        text
    }
}

struct Conform {
    unknown: Vec<String>,
}

/// See [`super::conform`].
pub(super) fn conform(object: &mut Value, schema: &SchemaRef) -> Result<Vec<String>, TypeError> {
    if let Some(custom) = schema.custom() {
        let dropped = structural::prune::prune(object, custom.structural())?;
        return Ok(dropped.into_iter().take(MAX_REPORTED).map(|path| format!("unknown field \"{path}\"")).collect());
    }
    let mut conform = Conform { unknown: Vec::new() };
    conform.value(object, schema, &Path::Root, "")?;
    Ok(conform.unknown)
}

/// What the reference's decoder calls a value that it did not expect.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(number) => format!("number {number}"),
        Value::String(_) => "string".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
    }
}

/// `PodSpec` of `v1.PodSpec`.
fn bare(go_type: &str) -> &str {
    go_type.rsplit('.').next().unwrap_or(go_type)
}

fn mismatch(value: &Value, schema: &Schema, path: &Path<'_>, owner: &str) -> TypeError {
    let place = path.text(false);
    // The number itself is named only where another number would have done.
    let numeric = matches!(schema.shape, Shape::Int32 | Shape::Int64 | Shape::Number | Shape::IntOrString);
    let wanted = match &schema.shape {
        // What these are read from.
        Shape::Time | Shape::MicroTime | Shape::Duration => "string",
        Shape::IntOrString => "int32",
        _ => &schema.go_type,
    };
    let described = if value.is_number() && !numeric { "number".to_owned() } else { described(value) };
    if place.is_empty() {
        return TypeError(format!("json: cannot unmarshal {described} into Go value of type {wanted}"));
    }
    TypeError(format!(
        "json: cannot unmarshal {described} into Go struct field {}.{place} of type {wanted}",
        bare(owner),
    ))
}

/// The type that declares a member: that of the embedded structure, where a structure has it of one.
fn declaring<'a>(owner: &'a str, member: &str) -> &'a str {
    match (bare(owner), member) {
        ("Volume", member) if member != "name" => "VolumeSource",
        (
            "PersistentVolumeSpec",
            "capacity"
            | "accessModes"
            | "claimRef"
            | "persistentVolumeReclaimPolicy"
            | "storageClassName"
            | "mountOptions"
            | "volumeMode"
            | "nodeAffinity"
            | "volumeAttributesClassName",
        ) => owner,
        ("PersistentVolumeSpec", _) => "PersistentVolumeSource",
        ("IngressRule", "http") => "IngressRuleValue",
        ("Probe", "exec" | "httpGet" | "tcpSocket" | "grpc") => "ProbeHandler",
        ("EphemeralContainer", member) if member != "targetContainerName" => "EphemeralContainerCommon",
        (
            "ConfigMapKeySelector"
            | "SecretKeySelector"
            | "ConfigMapVolumeSource"
            | "ConfigMapProjection"
            | "SecretProjection"
            | "ConfigMapEnvSource"
            | "SecretEnvSource",
            "name",
        ) => "LocalObjectReference",
        ("RuleWithOperations" | "NamedRuleWithOperations", "apiGroups" | "apiVersions" | "resources" | "scope") => {
            "Rule"
        }
        ("NamedRuleWithOperations", "operations") => "RuleWithOperations",
        _ => owner,
    }
}

/// Whether a value is what the type starts out as.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

impl Conform {
    fn value(&mut self, value: &mut Value, schema: &Schema, path: &Path<'_>, owner: &str) -> Result<(), TypeError> {
        let is_amounts = &*schema.go_type == "v1.ResourceList";
        let fits = match (&schema.shape, &mut *value) {
            (Shape::Object(shape), Value::Object(_)) => return self.object(value, schema, shape, path),
            (Shape::Object(_), other @ Value::Null) => {
                *other = Value::Object(serde_json::Map::new());
                return self.value(value, schema, path, owner);
            }
            (Shape::Map(values), Value::Object(members)) => {
                for (key, value) in members.iter_mut() {
                    if value.is_null() {
                        *value = if matches!(values.shape, Shape::Bytes) { "".into() } else { zero(values) };
                    }
                    self.value(value, values, &Path::MapKey(path, key), owner)?;
                    if is_amounts {
                        round(value);
                    }
                }
                true
            }
            (Shape::List(list), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if item.is_null() {
                        *item = zero(&list.items);
                    }
                    self.value(item, &list.items, &Path::Index(path, index), owner)?;
                }
                true
            }
            (Shape::String, Value::String(_)) | (Shape::Bool, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => {
                true
            }
            (Shape::Int32, Value::Number(number)) => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            (Shape::Int64, Value::Number(number)) => number.as_i64().is_some(),
            (Shape::IntOrString, Value::String(_)) => true,
            (Shape::IntOrString, Value::Number(number)) => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            (Shape::Quantity, _) => return quantity(value),
            (Shape::Time, Value::String(text)) => {
                *value = Value::String(object::rfc3339(time(text)?));
                true
            }
            (Shape::MicroTime, Value::String(text)) => {
                *value = Value::String(object::rfc3339_micro(micro_time(text)?));
                true
            }
            (Shape::Duration, Value::String(_)) => true,
            (
                Shape::Map(_) | Shape::List(_) | Shape::Time | Shape::MicroTime | Shape::Bytes | Shape::RawObject,
                Value::Null,
            ) => true,
            (Shape::Bytes, Value::String(text)) => return bytes(text),
            (Shape::RawObject | Shape::Any, _) => true,
            _ => false,
        };
        if fits { Ok(()) } else { Err(mismatch(value, schema, path, owner)) }
    }

    fn object(
        &mut self,
        value: &mut Value,
        schema: &Schema,
        shape: &ObjectShape,
        path: &Path<'_>,
    ) -> Result<(), TypeError> {
        let Value::Object(members) = value else { return Ok(()) };
        // Nearly always everything is kept, and then the members need not be moved about.
        let mut dropped = Vec::new();
        for (key, value) in members.iter_mut() {
            if !self.member(key, value, schema, shape, path)? {
                dropped.push(key.clone());
            }
        }
        for key in dropped {
            members.remove(&key);
        }
        for field in shape.fields() {
            if field.emit == Emit::Always && !members.contains_key(&*field.name) {
                let mut value = if field.go_pointer { Value::Null } else { zero(&field.schema) };
                if value.is_object() {
                    self.value(&mut value, &field.schema, path, &schema.go_type)?;
                }
                members.insert(field.name.to_string(), value);
            }
        }
        Ok(())
    }

    /// Brings a member of an object into its form; says whether it is kept.
    fn member(
        &mut self,
        key: &str,
        value: &mut Value,
        schema: &Schema,
        shape: &ObjectShape,
        path: &Path<'_>,
    ) -> Result<bool, TypeError> {
        let Some(field) = schema.field(key) else {
            if !shape.preserve_unknown && self.unknown.len() < MAX_REPORTED {
                self.unknown.push(format!("unknown field \"{}\"", Path::Key(path, key).text(true)));
            }
            return Ok(shape.preserve_unknown);
        };
        if value.is_null() {
            return Ok(field.emit == Emit::Always && (field.go_pointer || matches!(field.schema.shape, Shape::Any)));
        }
        let owner = declaring(&schema.go_type, key);
        self.value(value, &field.schema, &Path::Key(path, key), owner)?;
        // Stored and read again, an empty one is none.
        if field.emit == Emit::Always && matches!(field.schema.shape, Shape::List(_) | Shape::Map(_)) && is_zero(value)
        {
            *value = Value::Null;
        }
        Ok(keep(field, value))
    }
}

/// Whether a value that is there is written.
fn keep(field: &Field, value: &Value) -> bool {
    field.emit != Emit::NonZero || !is_zero(value)
}

/// What the reference writes for a type's zero value.
fn zero(schema: &Schema) -> Value {
    match &schema.shape {
        Shape::Object(_) => Value::Object(serde_json::Map::new()),
        Shape::String | Shape::Duration => Value::String(String::new()),
        Shape::Quantity => Value::String("0".into()),
        Shape::Int32 | Shape::Int64 | Shape::Number | Shape::IntOrString => Value::from(0),
        Shape::Bool => Value::Bool(false),
        Shape::Map(_)
        | Shape::List(_)
        | Shape::Time
        | Shape::MicroTime
        | Shape::Bytes
        | Shape::RawObject
        | Shape::Any => Value::Null,
    }
}

fn quantity(value: &mut Value) -> Result<(), TypeError> {
    let text = match &*value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match Quantity::rewrite(&text) {
        Ok(canonical) => {
            *value = Value::String(canonical.into_owned());
            Ok(())
        }
        Err(error) => Err(TypeError(error.to_string())),
    }
}

/// Amounts of resources are whole thousandths; finer ones are rounded up.
fn round(value: &mut Value) {
    if let Ok(quantity) = Quantity::from_json(value)
        && let Some(rounded) = quantity.rounded_to_milli()
    {
        *value = Value::String(rounded.canonical());
    }
}

const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
const MICROSECONDS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Like [`time`], with exactly six digits after the point.
fn micro_time(text: &str) -> Result<Timestamp, TypeError> {
    let at = parse_time(text).ok_or_else(|| not_a_time(text, MICROSECONDS))?;
    let rest = text.get(19..).unwrap_or_default();
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits == 6 {
        return Ok(at);
    }
    Err(TypeError(format!("parsing time {text:?} as {MICROSECONDS:?}: cannot parse {rest:?} as \".000000\"")))
}

fn time(text: &str) -> Result<Timestamp, TypeError> {
    parse_time(text).ok_or_else(|| not_a_time(text, SECONDS))
}

/// RFC 3339 wants the T, the seconds and an offset; the general parser would take less.
fn parse_time(text: &str) -> Option<Timestamp> {
    let shaped = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    text.parse().ok().filter(|_| shaped)
}

/// Says which part of the layout the text does not follow, as clients of the reference read it.
fn not_a_time(text: &str, layout: &str) -> TypeError {
    const PARTS: [(&str, usize); 11] = [
        ("2006", 4),
        ("-", 1),
        ("01", 2),
        ("-", 1),
        ("02", 2),
        ("T", 1),
        ("15", 2),
        (":", 1),
        ("04", 2),
        (":", 1),
        ("05", 2),
    ];
    let mut rest = text;
    for (part, length) in PARTS {
        let number = part.len() > 1;
        let fits = rest
            .get(..length)
            .is_some_and(|found| if number { found.bytes().all(|byte| byte.is_ascii_digit()) } else { found == part });
        if !fits {
            return TypeError(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"));
        }
        rest = &rest[length..];
    }
    let fraction = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let Some(rest) = after_zone(fraction) else {
        return TypeError(format!("parsing time {text:?} as {layout:?}: cannot parse {fraction:?} as \"Z07:00\""));
    };
    if !rest.is_empty() {
        return TypeError(format!("parsing time {text:?}: extra text: {rest:?}"));
    }
    TypeError(format!("parsing time {text:?}: {}", out_of_range(text)))
}

/// What follows the zone at the beginning of a text.
fn after_zone(text: &str) -> Option<&str> {
    let Some(offset) = text.strip_prefix(['+', '-']) else { return text.strip_prefix('Z') };
    let (zone, rest) = offset.split_at_checked(5)?;
    let shaped = zone.bytes().enumerate().all(|(at, byte)| if at == 2 { byte == b':' } else { byte.is_ascii_digit() });
    shaped.then_some(rest)
}

/// The text has the form of a time and is none: which of its numbers is too large.
fn out_of_range(text: &str) -> String {
    let number = |at: std::ops::Range<usize>| text.get(at).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    let part = match () {
        () if !(1..=12).contains(&number(5..7)) => "month",
        () if number(11..13) > 23 => "hour",
        () if number(14..16) > 59 => "minute",
        () if number(17..19) > 59 => "second",
        () => "day",
    };
    format!("{part} out of range")
}

fn bytes(text: &str) -> Result<(), TypeError> {
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => text.len() / 4 * 4,
            };
            Err(TypeError(format!("illegal base64 data at input byte {at}")))
        }
    }
}

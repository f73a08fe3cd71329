//! Reading messages.

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Arity, MAGIC, TABLE, message_of};
use crate::codec::{Decoded, TypeError};
use crate::object;
use crate::schema::builtin;

/// How deep messages may nest.
const MAX_DEPTH: usize = 100;

fn malformed(what: &str) -> TypeError {
    TypeError(format!("proto: {what}"))
}

/// One field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, TypeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or_else(|| malformed("unexpected EOF"))?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("integer overflow"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], TypeError> {
        let length = usize::try_from(length).map_err(|_| malformed("unexpected EOF"))?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("unexpected EOF"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, TypeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).map_err(|_| malformed("illegal tag"))?;
        let fixed = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let wire = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Number(fixed(self.take(8)?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(fixed(self.take(4)?)),
            _ => return Err(malformed("illegal wireType")),
        };
        Ok(Some((tag, wire)))
    }
}

/// Reads a body.
pub(in crate::codec) fn decode(body: &[u8]) -> Result<Decoded, TypeError> {
    let envelope = body.strip_prefix(MAGIC).ok_or_else(|| malformed("the body does not begin with the magic bytes"))?;
    let (mut type_meta, mut raw) = (Value::Null, &[][..]);
    let mut reader = Reader(envelope);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Bytes(bytes)) => type_meta = message("machinery.runtime.TypeMeta", bytes, 0)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (api_version, kind) = (object::api_version(&type_meta).to_owned(), object::kind(&type_meta).to_owned());
    let name = message_of(&api_version, &kind)
        .ok_or_else(|| TypeError(format!("no kind {kind:?} is registered for version {api_version:?}")))?;
    let mut object = message(&name, raw, 0)?;
    if let Value::Object(members) = &mut object {
        members.insert("apiVersion".into(), api_version.into());
        members.insert("kind".into(), kind.into());
    }
    Ok(Decoded { object, strict_errors: Vec::new() })
}

fn message(name: &str, bytes: &[u8], depth: usize) -> Result<Value, TypeError> {
    if depth > MAX_DEPTH {
        return Err(malformed("exceeded max recursion depth"));
    }
    let fields = TABLE.get(name).ok_or_else(|| malformed("a message of an unknown type"))?;
    let mut members = Map::new();
    let mut reader = Reader(bytes);
    while let Some((tag, wire)) = reader.next()? {
        // What a newer client knows and this server does not is dropped, as unknown fields are.
        let Some(field) = fields.get(&tag) else { continue };
        match field.arity {
            Arity::One => drop(members.insert(field.name.into(), value(&field.kind, wire, depth)?)),
            Arity::Inline => match value(&field.kind, wire, depth)? {
                Value::Object(own) => members.extend(own),
                _ => return Err(malformed("an embedded field that is no message")),
            },
            Arity::Repeated => {
                let value = value(&field.kind, wire, depth)?;
                match members.entry(field.name).or_insert_with(|| Value::Array(Vec::new())) {
                    Value::Array(items) => items.push(value),
                    _ => return Err(malformed("a field that is a list and is not")),
                }
            }
            Arity::Map => {
                let Wire::Bytes(entry) = wire else { return Err(malformed("wrong wireType for a map")) };
                let (key, value) = entry_of(&field.kind, entry, depth)?;
                match members.entry(field.name).or_insert_with(|| Value::Object(Map::new())) {
                    Value::Object(entries) => drop(entries.insert(key, value)),
                    _ => return Err(malformed("a field that is a map and is not")),
                }
            }
        }
    }
    special(name, members)
}

fn entry_of(kind: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), TypeError> {
    let (mut key, mut found) = (String::new(), None);
    let mut reader = Reader(bytes);
    while let Some((tag, wire)) = reader.next()? {
        match (tag, wire) {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, wire) => found = Some(value(kind, wire, depth)?),
            _ => {}
        }
    }
    let value = match found {
        Some(value) => value,
        None => value(kind, Wire::Bytes(&[]), depth)?,
    };
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Result<String, TypeError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| malformed("string field contains invalid UTF-8"))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "protobuf's integers are bit patterns")]
fn value(kind: &str, wire: Wire<'_>, depth: usize) -> Result<Value, TypeError> {
    Ok(match (kind, wire) {
        ("string", Wire::Bytes(bytes)) => Value::String(text(bytes)?),
        ("bytes", Wire::Bytes(bytes)) => Value::String(base64::engine::general_purpose::STANDARD.encode(bytes)),
        ("bool", Wire::Number(number)) => Value::Bool(number != 0),
        ("int32", Wire::Number(number)) => Value::from(number as i32),
        ("int64", Wire::Number(number)) => Value::from(number as i64),
        ("double", Wire::Number(number)) => Value::from(f64::from_bits(number)),
        (name, Wire::Bytes(bytes)) => message(name, bytes, depth + 1)?,
        _ => return Err(malformed("wrong wireType")),
    })
}

/// Messages whose JSON is not an object of their fields.
fn special(name: &str, mut members: Map<String, Value>) -> Result<Value, TypeError> {
    let number = |members: &Map<String, Value>, key: &str| members.get(key).and_then(Value::as_i64).unwrap_or(0);
    let raw = |members: &mut Map<String, Value>, key: &str| -> Result<Value, TypeError> {
        let encoded = members.remove(key).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| TypeError(error.to_string()))
    };
    Ok(match name {
        "machinery.api.resource.Quantity" => members.remove("string").unwrap_or_else(|| "0".into()),
        "machinery.apis.meta.v1.Time" | "machinery.apis.meta.v1.MicroTime" => {
            let (seconds, nanos) = (number(&members, "seconds"), number(&members, "nanos"));
            let nanos = i32::try_from(nanos).map_err(|_| malformed("nanos out of range"))?;
            let at = Timestamp::new(seconds, nanos).map_err(|error| TypeError(error.to_string()))?;
            let micro = name.ends_with("MicroTime");
            // The zero time of the reference's language stands for none, and so does a message without fields.
            if members.is_empty() || seconds <= -62_135_596_800 {
                Value::Null
            } else if micro {
                object::rfc3339_micro(at).into()
            } else {
                object::rfc3339(at).into()
            }
        }
        "machinery.apis.meta.v1.Duration" => format!("{}ns", number(&members, "duration")).into(),
        "machinery.util.intstr.IntOrString" => match number(&members, "type") {
            0 => number(&members, "intVal").into(),
            _ => members.remove("strVal").unwrap_or_else(|| "".into()),
        },
        "machinery.runtime.RawExtension" | "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON" => {
            raw(&mut members, "raw")?
        }
        "machinery.apis.meta.v1.FieldsV1" => raw(&mut members, "Raw")?,
        "api.authentication.v1.ExtraValue" | "api.authorization.v1.ExtraValue" | "api.certificates.v1.ExtraValue" => {
            members.remove("items").unwrap_or_else(|| Value::Array(Vec::new()))
        }
        name => match name.strip_prefix(super::EXTENSIONS) {
            // Unions that JSON writes as one of their members.
            Some("JSONSchemaPropsOrBool") => match members.remove("schema") {
                Some(schema) => written(schema)?,
                None => members.remove("allows").unwrap_or(Value::Bool(false)),
            },
            Some("JSONSchemaPropsOrArray") => match (members.remove("schema"), members.remove("jSONSchemas")) {
                (Some(schema), _) => written(schema)?,
                (None, Some(Value::Array(schemas))) => {
                    schemas.into_iter().map(written).collect::<Result<Vec<_>, _>>()?.into()
                }
                (None, _) => json!([]),
            },
            Some("JSONSchemaPropsOrStringArray") => match members.remove("schema") {
                Some(schema) => written(schema)?,
                None => members.remove("property").unwrap_or_else(|| json!([])),
            },
            _ => Value::Object(members),
        },
    })
}

/// A schema inside a union as JSON writes it; the types know no unions, so that it is not brought in form with the rest.
fn written(mut schema: Value) -> Result<Value, TypeError> {
    if let Some(type_) = builtin::schema("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps") {
        crate::codec::conform(&mut schema, &type_)?;
    }
    Ok(schema)
}

//! JSON to tape and back.

use portcullis_tape::{Builder, Kind, Tape, ValueRef};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Why a document does not become a tape.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The text is not JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The document is too deep or too long.
    #[error("{0}")]
    Tape(#[from] portcullis_tape::Error),
}

/// JSON text to tape, in one pass. Of members with the same key the last one counts.
pub fn from_json_slice(text: &[u8]) -> Result<Vec<u8>, TapeError> {
    let mut builder = Builder::with_capacity(text.len() + text.len() / 2);
    let mut input = serde_json::Deserializer::from_slice(text);
    Seed(&mut builder).deserialize(&mut input)?;
    input.end()?;
    Ok(builder.finish()?)
}

/// A value to tape.
pub fn from_value(value: &Value) -> Result<Vec<u8>, TapeError> {
    let mut builder = Builder::with_capacity(1024);
    write_value(&mut builder, value);
    Ok(builder.finish()?)
}

/// Writes a value as the builder's next one.
pub fn write_value(builder: &mut Builder, value: &Value) {
    match value {
        Value::Null => builder.null(),
        Value::Bool(value) => builder.bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => builder.i64(number),
            (None, Some(number)) => builder.u64(number),
            (None, None) => builder.f64(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => builder.string(text),
        Value::Array(items) => {
            builder.begin_array();
            items.iter().for_each(|item| write_value(builder, item));
            builder.end_array();
        }
        Value::Object(members) => {
            builder.begin_object();
            for (key, value) in members {
                builder.key(key);
                write_value(builder, value);
            }
            builder.end_object();
        }
    }
}

/// A tape's value as a JSON value; *absent* becomes `null`.
pub fn to_value(value: ValueRef<'_>) -> Value {
    match value.kind() {
        Kind::Absent | Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(value.as_bool() == Some(true)),
        Kind::Number => match (value.as_i64(), value.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => value.as_f64().and_then(Number::from_f64).map_or(Value::Null, Value::Number),
        },
        Kind::String => value.str_or_empty().into(),
        Kind::Array => value.iter().map(to_value).collect(),
        Kind::Object => {
            value.entries().map(|(key, value)| (key.to_owned(), to_value(value))).collect::<Map<_, _>>().into()
        }
    }
}

/// A tape as JSON text; *absent* becomes `null`.
pub fn to_json(tape: Tape<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(tape.bytes().len());
    write_json(&mut out, tape.root());
    out
}

/// Appends a tape's value as JSON text.
pub(super) fn write_json(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value.kind() {
        Kind::Array => {
            out.push(b'[');
            for (index, item) in value.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json(out, item);
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            for (index, (key, member)) in value.entries().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_scalar(out, &key);
                out.push(b':');
                write_json(out, member);
            }
            out.push(b'}');
        }
        Kind::String => write_scalar(out, &value.str_or_empty()),
        _ => write_scalar(out, &to_value(value)),
    }
}

/// Appends something as JSON text. Writing scalars to memory cannot fail.
pub(super) fn write_scalar(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

/// Deserializes the next value straight into a builder.
struct Seed<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

/// A key goes to the builder as it is read, without a copy where it has no escapes.
struct KeySeed<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E>(self, key: &str) -> Result<(), E> {
        self.0.key(key);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.null();
        Ok(())
    }
    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.bool(value);
        Ok(())
    }
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.i64(value);
        Ok(())
    }
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.u64(value);
        Ok(())
    }
    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.f64(value);
        Ok(())
    }
    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.string(value);
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.begin_array();
        while items.next_element_seed(Seed(self.0))?.is_some() {}
        self.0.end_array();
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.begin_object();
        while members.next_key_seed(KeySeed(self.0))?.is_some() {
            members.next_value_seed(Seed(self.0))?;
        }
        self.0.end_object();
        Ok(())
    }
}

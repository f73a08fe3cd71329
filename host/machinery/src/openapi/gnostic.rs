//! OpenAPI 2 in protobuf: the form that kubectl and other clients in its language read
//! (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`, the message `openapi.v2.Document`).
//!
//! The messages come from the table `facts/openapi-v2.tsv`; the unions among them are known here. A document is put
//! together of its parts, so that the whole of it is never in memory as a tree.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Part;
use crate::codec::protobuf::back::{Back, FIXED64};

/// The table; its first lines say how it is written.
const MESSAGES: &str = include_str!("../../facts/openapi-v2.tsv");
/// The name that stands for extensions in the table, and begins theirs.
const EXTENSION: &str = "x-";

#[derive(Clone, Copy)]
enum Kind {
    String,
    Bool,
    Int,
    Double,
    Any,
    /// One type or several.
    Type,
    /// A schema or several.
    Items,
    Parameter,
    Responses,
    /// A schema or a boolean.
    Additional,
    /// A schema, as one of the two that an answer may have.
    SchemaItem,
    Message(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arity {
    One,
    Repeated,
    Map,
}

struct Field {
    tag: u32,
    name: &'static str,
    arity: Arity,
    kind: Kind,
}

/// The fields of each message in the order of their tags.
static TABLE: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let mut table: HashMap<&str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in MESSAGES.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('>') {
            current = name;
            continue;
        }
        let mut columns = line.split('\t');
        let (Some(tag), Some(name), Some(kind)) = (columns.next(), columns.next(), columns.next()) else { continue };
        let (arity, kind) = match kind.split_at_checked(1) {
            Some(("*", rest)) => (Arity::Repeated, rest),
            Some(("%", rest)) => (Arity::Map, rest),
            _ => (Arity::One, kind),
        };
        let kind = match kind {
            "string" => Kind::String,
            "bool" => Kind::Bool,
            "int64" => Kind::Int,
            "double" => Kind::Double,
            "any" => Kind::Any,
            "type" => Kind::Type,
            "items" => Kind::Items,
            "parameter" => Kind::Parameter,
            "responses" => Kind::Responses,
            "additional" => Kind::Additional,
            "schema" => Kind::SchemaItem,
            message => Kind::Message(message),
        };
        if let Ok(tag) = tag.parse() {
            table.entry(current).or_default().push(Field { tag, name, arity, kind });
        }
    }
    table
});

fn message(out: &mut Back, name: &str, value: &Value) {
    let Some(members) = value.as_object() else { return };
    for field in TABLE.get(name).into_iter().flatten().rev() {
        if field.name == EXTENSION {
            extensions(out, field.tag, members);
            continue;
        }
        match (field.arity, members.get(field.name)) {
            (_, None | Some(Value::Null)) => {}
            (Arity::One, Some(value)) => one(out, field.tag, field.kind, value),
            (Arity::Repeated, Some(value)) => {
                value.as_array().into_iter().flatten().rev().for_each(|item| one(out, field.tag, field.kind, item));
            }
            (Arity::Map, Some(value)) => out.nested(field.tag, |out| {
                for (key, value) in value.as_object().into_iter().flatten().rev() {
                    named(out, 1, key, |out| one(out, 2, field.kind, value));
                }
            }),
        }
    }
}

/// An entry of a map: its name, and the value that `write` writes as field 2.
fn named(out: &mut Back, tag: u32, name: &str, write: impl FnOnce(&mut Back)) {
    out.nested(tag, |out| {
        write(out);
        out.text(1, name);
    });
}

fn extensions(out: &mut Back, tag: u32, members: &Map<String, Value>) {
    for (key, value) in members.iter().filter(|(key, _)| key.starts_with(EXTENSION)).rev() {
        named(out, tag, key, |out| one(out, 2, Kind::Any, value));
    }
}

/// One value; what is zero is left out, as proto3 has it.
fn one(out: &mut Back, tag: u32, kind: Kind, value: &Value) {
    match kind {
        Kind::String => {
            if let Some(text) = value.as_str() {
                out.text(tag, text);
            }
        }
        Kind::Bool => {
            if value == &Value::Bool(true) {
                out.number(tag, 1);
            }
        }
        Kind::Int => {
            if let Some(number) = value.as_i64().filter(|number| *number != 0) {
                out.number(tag, number);
            }
        }
        Kind::Double => {
            if let Some(number) = value.as_f64().filter(|number| *number != 0.0) {
                out.bytes(&number.to_bits().to_le_bytes());
                out.key(tag, FIXED64);
            }
        }
        // The text is read as YAML, which JSON is.
        Kind::Any => out.nested(tag, |out| out.text(2, &value.to_string())),
        Kind::Type => out.nested(tag, |out| each(value, |item| one(out, 1, Kind::String, item))),
        Kind::Items => out.nested(tag, |out| each(value, |item| one(out, 1, Kind::Message("Schema"), item))),
        Kind::Parameter => out.nested(tag, |out| parameter(out, value)),
        Kind::Responses => out.nested(tag, |out| responses(out, value)),
        Kind::Additional => out.nested(tag, |out| match value {
            // A choice is written even if it is the false one.
            Value::Bool(allowed) => out.number(2, i64::from(*allowed)),
            schema => one(out, 1, Kind::Message("Schema"), schema),
        }),
        Kind::SchemaItem => out.nested(tag, |out| one(out, 1, Kind::Message("Schema"), value)),
        Kind::Message(name) => out.nested(tag, |out| message(out, name, value)),
    }
}

/// The items of a list from the last to the first, or the one thing that is there instead.
fn each(value: &Value, mut visit: impl FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().rev().for_each(visit),
        other => visit(other),
    }
}

fn parameter(out: &mut Back, value: &Value) {
    if value.get("$ref").is_some() {
        return one(out, 2, Kind::Message("JsonReference"), value);
    }
    out.nested(1, |out| match value["in"].as_str().unwrap_or_default() {
        "body" => one(out, 1, Kind::Message("BodyParameter"), value),
        "header" => out.nested(2, |out| one(out, 1, Kind::Message("header"), value)),
        "formData" => out.nested(2, |out| one(out, 2, Kind::Message("query"), value)),
        "path" => out.nested(2, |out| one(out, 4, Kind::Message("path"), value)),
        _ => out.nested(2, |out| one(out, 3, Kind::Message("query"), value)),
    });
}

fn responses(out: &mut Back, value: &Value) {
    let Some(members) = value.as_object() else { return };
    extensions(out, 2, members);
    for (code, value) in members.iter().filter(|(code, _)| !code.starts_with(EXTENSION)).rev() {
        named(out, 1, code, |out| {
            out.nested(2, |out| match value.get("$ref") {
                Some(_) => one(out, 2, Kind::Message("JsonReference"), value),
                None => one(out, 1, Kind::Message("Response"), value),
            });
        });
    }
}

/// A document in the making.
pub struct Document {
    info: Value,
    paths: Vec<u8>,
    definitions: Vec<u8>,
}

impl Document {
    /// One without parts.
    pub fn new(info: Value) -> Self {
        Self { info, paths: Vec::new(), definitions: Vec::new() }
    }

    /// Adds a path or a type.
    pub fn add(&mut self, part: Part<'_>) {
        let mut out = Back::with_capacity(1024);
        match part {
            Part::Path(path, item) => {
                named(&mut out, 2, path, |out| one(out, 2, Kind::Message("PathItem"), item));
                self.paths.extend(out.finish());
            }
            Part::Definition(name, schema) => {
                named(&mut out, 1, name, |out| one(out, 2, Kind::Message("Schema"), schema));
                self.definitions.extend(out.finish());
            }
        }
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Back::with_capacity(self.paths.len() + self.definitions.len() + 256);
        out.nested(9, |out| out.bytes(&self.definitions));
        out.nested(8, |out| out.bytes(&self.paths));
        one(&mut out, 2, Kind::Message("Info"), &self.info);
        out.text(1, "2.0");
        out.finish()
    }
}

#[cfg(test)]
mod tests;

//! Writing messages.
//!
//! Messages are written from their end to their beginning ([`super::back`]). As in the reference, fields come in the order
//! of their tags, maps in that of their keys, and a scalar that the reference's type holds by value is written even if it
//! is zero.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::back::{Back, FIXED64};
use super::{Arity, EXTENSIONS, MAGIC, TABLE, message_of};
use crate::object;
use crate::schema::{SchemaRef, builtin};

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Bytes,
    Bool,
    Int,
    Double,
    Quantity,
    Time,
    MicroTime,
    Duration,
    IntOrString,
    /// JSON text in a message's first field.
    Raw,
    /// A list of texts as a message.
    Strings,
    SchemaOrBool,
    SchemaOrArray,
    SchemaOrStrings,
    /// The message of this number.
    Message(usize),
}

struct Field {
    tag: u32,
    name: &'static str,
    arity: Arity,
    kind: Kind,
    /// Whether it is left out if it is not there.
    optional: bool,
}

/// All messages, with their fields in the order of their tags.
struct Plans {
    numbers: HashMap<&'static str, usize>,
    messages: Vec<Vec<Field>>,
}

static PLANS: LazyLock<Plans> = LazyLock::new(plans);

/// `io.k8s.api.core.v1.Pod` of `api.core.v1.Pod`.
fn published(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("machinery.") {
        return format!("io.k8s.apimachinery.pkg.{rest}");
    }
    match message.strip_prefix("k8s.io.") {
        Some(rest) => format!("io.k8s.{}", rest.replace("apiextensions_apiserver", "apiextensions-apiserver"))
            .replace("kube_", "kube-"),
        None => format!("io.k8s.{message}"),
    }
}

fn plans() -> Plans {
    let mut names: Vec<&'static str> = TABLE.keys().map(String::as_str).collect();
    names.sort_unstable();
    let numbers: HashMap<&'static str, usize> =
        names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
    // An embedded message has no type of its own where its fields are the parent's in JSON.
    let mut parents: HashMap<&str, &str> = HashMap::new();
    for (owner, fields) in TABLE.iter() {
        for field in fields.values().filter(|field| field.arity == Arity::Inline) {
            parents.insert(&field.kind, owner);
        }
    }
    let type_of = |name: &str| -> Option<SchemaRef> {
        let mut at = name;
        loop {
            if let Some(schema) = builtin::schema(&published(at)) {
                return Some(schema);
            }
            at = parents.get(at)?;
        }
    };
    let messages = names.iter().map(|name| {
        let schema = type_of(name);
        let mut fields: Vec<Field> = (TABLE[*name].iter())
            .map(|(tag, field)| Field {
                tag: *tag,
                name: field.name,
                arity: field.arity,
                kind: kind_of(&field.kind, &numbers),
                optional: schema
                    .as_ref()
                    .and_then(|schema| schema.field(field.name))
                    .is_some_and(|field| field.go_pointer),
            })
            .collect();
        fields.sort_by_key(|field| field.tag);
        fields
    });
    let messages = messages.collect();
    Plans { numbers, messages }
}

fn kind_of(kind: &str, numbers: &HashMap<&'static str, usize>) -> Kind {
    match kind {
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "bool" => Kind::Bool,
        "int32" | "int64" => Kind::Int,
        "double" => Kind::Double,
        "machinery.api.resource.Quantity" => Kind::Quantity,
        "machinery.apis.meta.v1.Time" => Kind::Time,
        "machinery.apis.meta.v1.MicroTime" => Kind::MicroTime,
        "machinery.apis.meta.v1.Duration" => Kind::Duration,
        "machinery.util.intstr.IntOrString" => Kind::IntOrString,
        "machinery.runtime.RawExtension" | "machinery.apis.meta.v1.FieldsV1" => Kind::Raw,
        "machinery.apis.meta.v1.Verbs"
        | "api.authentication.v1.ExtraValue"
        | "api.authorization.v1.ExtraValue"
        | "api.certificates.v1.ExtraValue" => Kind::Strings,
        other => match other.strip_prefix(EXTENSIONS) {
            Some("JSON") => Kind::Raw,
            Some("JSONSchemaPropsOrBool") => Kind::SchemaOrBool,
            Some("JSONSchemaPropsOrArray") => Kind::SchemaOrArray,
            Some("JSONSchemaPropsOrStringArray") => Kind::SchemaOrStrings,
            _ => numbers.get(other).map_or(Kind::Raw, |number| Kind::Message(*number)),
        },
    }
}

static NOTHING: Value = Value::Null;

fn fields(out: &mut Back, number: usize, value: &Value) {
    for field in PLANS.messages[number].iter().rev() {
        if field.arity == Arity::Inline {
            if let Kind::Message(inner) = field.kind {
                out.nested(field.tag, |out| fields(out, inner, value));
            }
            continue;
        }
        let found = value.get(field.name).unwrap_or(&NOTHING);
        match (field.arity, found) {
            (Arity::Repeated, Value::Array(items)) => {
                items.iter().rev().for_each(|item| one(out, field.tag, field.kind, item));
            }
            (Arity::Map, Value::Object(entries)) => map(out, field, entries),
            (Arity::Repeated | Arity::Map, _) => {}
            (_, Value::Null) if field.optional || matches!(field.kind, Kind::Bytes) => {}
            (_, found) => one(out, field.tag, field.kind, found),
        }
    }
}

fn map(out: &mut Back, field: &Field, entries: &Map<String, Value>) {
    let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in sorted.into_iter().rev() {
        out.nested(field.tag, |out| {
            if !(value.is_null() && field.kind == Kind::Bytes) {
                one(out, 2, field.kind, value);
            }
            out.text(1, key);
        });
    }
}

/// One value as a field, whatever its kind; a value that does not fit its kind counts as zero.
fn one(out: &mut Back, tag: u32, kind: Kind, value: &Value) {
    let text = || value.as_str().unwrap_or_default();
    match kind {
        Kind::String => out.text(tag, text()),
        Kind::Bytes => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text()).unwrap_or_default();
            out.nested(tag, |out| out.bytes(&bytes));
        }
        Kind::Bool => out.number(tag, i64::from(value.as_bool().unwrap_or(false))),
        Kind::Int => out.number(tag, value.as_i64().unwrap_or(0)),
        Kind::Double => {
            out.bytes(&value.as_f64().unwrap_or(0.0).to_bits().to_le_bytes());
            out.key(tag, FIXED64);
        }
        Kind::Quantity => match value {
            Value::String(text) => out.nested(tag, |out| out.text(1, text)),
            Value::Number(number) => out.nested(tag, |out| out.text(1, &number.to_string())),
            _ => out.nested(tag, |out| out.text(1, "0")),
        },
        Kind::Time | Kind::MicroTime => out.nested(tag, |out| {
            if let Ok(at) = text().parse::<Timestamp>() {
                let micros = i64::from(at.subsec_nanosecond()) / 1000 * 1000;
                out.number(2, if kind == Kind::MicroTime { micros } else { 0 });
                out.number(1, at.as_second());
            }
        }),
        Kind::Duration => out.nested(tag, |out| out.number(1, nanoseconds(text()).unwrap_or(0))),
        Kind::IntOrString => out.nested(tag, |out| {
            out.text(3, text());
            out.number(2, value.as_i64().unwrap_or(0));
            out.number(1, i64::from(value.is_string()));
        }),
        Kind::Raw => out.nested(tag, |out| {
            if !value.is_null() {
                let json = serde_json::to_vec(value).unwrap_or_default();
                out.nested(1, |out| out.bytes(&json));
            }
        }),
        Kind::Strings => out.nested(tag, |out| {
            value.as_array().into_iter().flatten().rev().for_each(|item| one(out, 1, Kind::String, item));
        }),
        Kind::SchemaOrBool => out.nested(tag, |out| {
            if value.is_object() {
                schema(out, 2, value);
            }
            out.number(1, i64::from(value.as_bool().unwrap_or(true)));
        }),
        Kind::SchemaOrArray => out.nested(tag, |out| match value {
            Value::Array(items) => items.iter().rev().for_each(|item| schema(out, 2, item)),
            _ => schema(out, 1, value),
        }),
        Kind::SchemaOrStrings => out.nested(tag, |out| match value {
            Value::Array(items) => items.iter().rev().for_each(|item| one(out, 2, Kind::String, item)),
            _ => schema(out, 1, value),
        }),
        Kind::Message(number) => out.nested(tag, |out| fields(out, number, value)),
    }
}

fn schema(out: &mut Back, tag: u32, value: &Value) {
    if let Some(number) = PLANS.numbers.get(&*format!("{EXTENSIONS}JSONSchemaProps")) {
        out.nested(tag, |out| fields(out, *number, value));
    }
}

/// The nanoseconds of a duration such as `1h30m` or `1.5s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale = match unit {
            "ns" | "" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    #[allow(clippy::cast_possible_truncation, reason = "a float beyond the range becomes the range's end")]
    Some((sign * sum) as i64)
}

/// Whether a kind has a message. Custom resources have none.
pub fn can_encode(api_version: &str, kind: &str) -> bool {
    message_of(api_version, kind).is_some()
}

/// An object as the message of its kind, without an envelope; `None` if the kind has none.
pub fn message(object: &Value) -> Option<Vec<u8>> {
    let name = message_of(object::api_version(object), object::kind(object))?;
    let number = *PLANS.numbers.get(&*name)?;
    let mut out = Back::with_capacity(1024);
    fields(&mut out, number, object);
    Some(out.finish())
}

/// A message in its envelope: the form on the wire.
pub fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Bytes {
    let mut out = Back::with_capacity(message.len() + 64);
    // Neither an encoding nor a type of the content is given; the reference writes that down.
    out.text(4, "");
    out.text(3, "");
    out.nested(2, |out| out.bytes(message));
    out.nested(1, |out| {
        out.text(2, kind);
        out.text(1, api_version);
    });
    out.bytes(MAGIC);
    out.finish().into()
}

/// An object in the form on the wire; `None` if its kind has no message.
pub fn encode(object: &Value) -> Option<Bytes> {
    // Some documents of discovery do not say their version.
    let api_version = match object::api_version(object) {
        "" => "v1",
        version => version,
    };
    Some(envelope(api_version, object::kind(object), &message(object)?))
}

/// A list in the form on the wire, of its metadata and its items' messages.
pub fn list<'a>(
    api_version: &str,
    kind: &str,
    metadata: &Value,
    items: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Option<Bytes> {
    let number = *PLANS.numbers.get("machinery.apis.meta.v1.ListMeta")?;
    let mut out = Back::with_capacity(4096);
    for item in items.rev() {
        out.nested(2, |out| out.bytes(item));
    }
    out.nested(1, |out| fields(out, number, metadata));
    Some(envelope(api_version, kind, &out.finish()))
}

/// A frame of a watch: the event's length in four bytes, and a `WatchEvent` with the object in its envelope.
pub fn watch_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Back::with_capacity(object.len() + 32);
    out.nested(2, |out| out.nested(1, |out| out.bytes(object)));
    out.text(1, kind);
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    out.bytes(&length.to_be_bytes());
    out.finish()
}

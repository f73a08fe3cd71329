//! Why a patched object does not fit its type, in the words that the reference has after a strategic merge patch: it
//! converts the merged tree into its types without going through text.

use serde_json::Value;

use crate::quantity::Quantity;
use crate::schema::{Schema, Shape};

/// What is wrong with the first value that does not fit; `None` if all do.
pub fn conversion_error(value: &Value, schema: &Schema) -> Option<String> {
    let source = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    };
    let unknown = |kind: &str| Some(format!("unrecognized type: {kind}"));
    match (&schema.shape, value) {
        (Shape::Object(_), Value::Object(members)) => members
            .iter()
            .find_map(|(key, value)| schema.field(key).and_then(|field| conversion_error(value, &field.schema))),
        (Shape::Object(_), _) => Some(format!("cannot restore struct from: {source}")),
        (Shape::Map(values), Value::Object(members)) => {
            members.values().find_map(|value| conversion_error(value, values))
        }
        (Shape::Map(_), _) => Some(format!("cannot restore map from {source}")),
        (Shape::List(list), Value::Array(items)) => items.iter().find_map(|item| conversion_error(item, &list.items)),
        (Shape::Bytes, Value::String(_)) => None,
        (Shape::List(_) | Shape::Bytes, _) => Some(format!("cannot restore slice from {source}")),
        (Shape::String, Value::String(_)) | (Shape::Bool, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => None,
        (Shape::Int32 | Shape::Int64, Value::Number(_)) => None,
        // Numbers are convertible to text in the reference's language, though not in a way that it wants here.
        (Shape::String, Value::Number(number)) if !number.is_f64() => {
            Some(format!("cannot convert int64 to {}", schema.go_type))
        }
        (Shape::String, _) => unknown("string"),
        (Shape::Bool, _) => unknown("bool"),
        (Shape::Number, _) => unknown("float64"),
        (Shape::Int32, _) => unknown("int32"),
        (Shape::Int64, _) => unknown("int64"),
        (Shape::Quantity, value) => Quantity::from_json(value).err().map(|error| error.to_string()),
        _ => None,
    }
}

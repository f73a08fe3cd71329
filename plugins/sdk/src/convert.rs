//! From the tape to JSON, for values that go on to the host or into a patch.

use portcullis_tape::{Kind, ValueRef};
use serde_json::Value;

/// The value as JSON; absent becomes `null`.
pub fn to_json(value: ValueRef) -> Value {
    match value.kind() {
        Kind::Absent | Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(value.as_bool().unwrap_or_default()),
        Kind::Number => match (value.as_i64(), value.as_u64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => number.into(),
            _ => value.as_f64().unwrap_or_default().into(),
        },
        Kind::String => Value::String(value.str_or_empty().to_owned()),
        Kind::Array => value.iter().map(to_json).collect(),
        Kind::Object => value.entries().map(|(key, value)| (key.to_owned(), to_json(value))).collect(),
    }
}

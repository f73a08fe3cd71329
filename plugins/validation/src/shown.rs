//! How a value looks in a message. Most are shown as the JSON they came as. Objects of some types are shown with all
//! their fields, in a fixed order and under the names that the reference's own types have: clients see those, and tools
//! compare them, so they are facts of the interface; `shown/types.txt` lists them.

use portcullis_sdk::tape::{Builder, Tape};
use portcullis_sdk::{ValueRef, to_json};
use serde_json::Value;

pub mod diff;
mod types;

/// A value for a message.
pub trait Shown {
    /// As JSON text.
    fn shown(&self) -> String;
}

/// A value of one of the types in `types.txt`.
pub struct Typed<'a>(pub &'static str, pub ValueRef<'a>);

impl Shown for Typed<'_> {
    fn shown(&self) -> String {
        let mut out = String::new();
        types::write(&mut out, self.0, self.1, None);
        out
    }
}

impl Typed<'_> {
    /// The value on many lines, indented by one space for each level.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        types::write(&mut out, self.0, self.1, Some(0));
        out
    }
}

/// The same for a value that is no tape.
pub fn pretty_json(name: &'static str, value: &Value) -> String {
    let mut text = String::new();
    with_json(value, |value| text = Typed(name, value).pretty());
    text
}

/// Looks at JSON as at any other value.
pub fn with_json(value: &Value, look: impl FnOnce(ValueRef)) {
    let mut tape = Builder::new();
    put(&mut tape, value);
    // What came from a tape fits into one.
    if let Ok(bytes) = tape.finish() {
        look(Tape::trusted(&bytes).root());
    }
}

fn put(tape: &mut Builder, value: &Value) {
    match value {
        Value::Null => tape.null(),
        Value::Bool(value) => tape.bool(*value),
        Value::String(text) => tape.string(text),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => tape.i64(value),
            (_, Some(value)) => tape.u64(value),
            _ => tape.f64(number.as_f64().unwrap_or_default()),
        },
        Value::Array(items) => {
            tape.begin_array();
            items.iter().for_each(|item| put(tape, item));
            tape.end_array();
        }
        Value::Object(members) => {
            tape.begin_object();
            for (key, value) in members {
                tape.key(key);
                put(tape, value);
            }
            tape.end_object();
        }
    }
}

impl Shown for ValueRef<'_> {
    fn shown(&self) -> String {
        to_json(*self).to_string()
    }
}

impl Shown for str {
    fn shown(&self) -> String {
        Value::from(self).to_string()
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.as_str().shown()
    }
}

impl Shown for i64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

/// `null`.
pub struct Nothing;

impl Shown for Nothing {
    fn shown(&self) -> String {
        "null".to_owned()
    }
}

//! For the native tests of policies: inputs from JSON, packed as the host packs them.

use portcullis_tape::Builder;
use serde_json::Value;

/// Packs a document's values at `paths`, as the host does for a declaration: absent where there is none, and an array
/// of all that is found for a path with `*`.
pub fn project(document: &Value, paths: &[&str]) -> Vec<u8> {
    let mut tape = Builder::new();
    tape.begin_array();
    for path in paths {
        let segments: Vec<String> =
            path.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
        let mut found = Vec::new();
        find(document, &segments, &mut found);
        if segments.iter().any(|segment| segment == "*") {
            tape.begin_array();
            found.into_iter().for_each(|value| write(&mut tape, value));
            tape.end_array();
        } else {
            match found.first() {
                Some(value) => write(&mut tape, value),
                None => tape.absent(),
            }
        }
    }
    tape.end_array();
    tape.finish().expect("a document within the limits of a tape")
}

/// A tape whose root is this value.
pub fn tape(value: &Value) -> Vec<u8> {
    let mut tape = Builder::new();
    write(&mut tape, value);
    tape.finish().expect("a document within the limits of a tape")
}

fn find<'a>(value: &'a Value, segments: &[String], found: &mut Vec<&'a Value>) {
    let Some((segment, rest)) = segments.split_first() else { return found.push(value) };
    match value {
        Value::Object(members) if segment == "*" => members.values().for_each(|value| find(value, rest, found)),
        Value::Array(items) if segment == "*" => items.iter().for_each(|value| find(value, rest, found)),
        Value::Object(members) => members.get(segment).into_iter().for_each(|value| find(value, rest, found)),
        Value::Array(items) => {
            let item = segment.parse::<usize>().ok().and_then(|index| items.get(index));
            item.into_iter().for_each(|value| find(value, rest, found));
        }
        _ => {}
    }
}

fn write(tape: &mut Builder, value: &Value) {
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
            items.iter().for_each(|item| write(tape, item));
            tape.end_array();
        }
        Value::Object(members) => {
            tape.begin_object();
            for (key, value) in members {
                tape.key(key);
                write(tape, value);
            }
            tape.end_object();
        }
    }
}

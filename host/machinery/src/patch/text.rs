//! The text that a patched object has in the reference's errors. What a patch does not touch stands there as the type
//! declares it; the objects that it goes through are written with their keys sorted.

use serde_json::{Map, Value};

use crate::path::parse_pointer;
use crate::schema::{SchemaRef, Shape};

/// The text of a patched object. `touched` has the shape of what the patch went through: for a merge patch it is the patch.
pub fn as_patched(object: &Value, schema: &SchemaRef, touched: &Value) -> String {
    let mut out = String::new();
    write(&mut out, object, Some(schema), Some(touched));
    out
}

/// What the operations of a JSON patch go through.
pub fn touched_by(operations: &Value) -> Value {
    let mut touched = Value::Object(Map::new());
    for operation in operations.as_array().into_iter().flatten() {
        for field in ["path", "from"] {
            let Some(Ok(path)) = operation.get(field).and_then(Value::as_str).map(parse_pointer) else { continue };
            let mut at = &mut touched;
            for segment in path {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                let Value::Object(members) = at else { break };
                at = members.entry(segment).or_insert(Value::Null);
            }
        }
    }
    touched
}

fn write(out: &mut String, value: &Value, schema: Option<&SchemaRef>, touched: Option<&Value>) {
    let inner = |touched: &Value, key: &str| touched.get(key).cloned();
    match (value, touched) {
        (Value::Object(members), Some(touched @ Value::Object(_))) => {
            let child = |key: &str| schema.and_then(|schema| schema.child(key)).cloned();
            let entries = members.iter().map(|(key, value)| (key.as_str(), value, child(key), inner(touched, key)));
            object(out, entries);
        }
        (Value::Array(items), touched) if schema.is_some_and(|schema| schema.items().is_some()) => {
            let items_schema = schema.and_then(|schema| schema.items());
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let touched = touched.and_then(|touched| inner(touched, &at.to_string()));
                write(out, item, items_schema, touched.as_ref());
            }
            out.push(']');
        }
        // What the patch brought is as it is there.
        (_, Some(_)) => out.push_str(&value.to_string()),
        (Value::Object(members), None) => match schema.map(|schema| &schema.shape) {
            Some(Shape::Object(shape)) => {
                let known = shape.declared().filter_map(|field| {
                    Some((&*field.name, members.get(&*field.name)?, Some(field.schema.clone()), None))
                });
                let unknown = members.iter().filter(|(key, _)| shape.declared().all(|field| *field.name != **key));
                object(out, known.chain(unknown.map(|(key, value)| (key.as_str(), value, None, None))));
            }
            Some(Shape::Map(values)) => {
                object(out, members.iter().map(|(key, value)| (key.as_str(), value, Some(values.clone()), None)));
            }
            _ => out.push_str(&value.to_string()),
        },
        (_, None) => out.push_str(&value.to_string()),
    }
}

fn object<'a>(out: &mut String, entries: impl Iterator<Item = (&'a str, &'a Value, Option<SchemaRef>, Option<Value>)>) {
    out.push('{');
    for (at, (key, value, schema, touched)) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key).to_string());
        out.push(':');
        write(out, value, schema.as_ref(), touched.as_ref());
    }
    out.push('}');
}

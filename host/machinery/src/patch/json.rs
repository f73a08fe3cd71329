//! JSON patch (RFC 6902).

use super::decode_error;
use crate::Status;
use crate::path::{array_index, parse_pointer};
use crate::status::StatusDetails;
use serde_json::Value;

/// The most operations that a patch may have, as in the reference.
const MAX_OPERATIONS: usize = 10_000;
/// How much a patch may add by copying, in bytes of JSON, so that repeated copies cannot blow an object up.
const MAX_COPIED: usize = 3 << 20;

/// Applies a JSON patch, given as the body of the request. Errors: 400 for a body that is no patch, 413 for too many
/// operations, 422 for a patch that cannot be applied.
pub fn json_patch(document: &Value, patch: &[u8]) -> Result<Value, Status> {
    let patch: Value = serde_json::from_slice(patch).map_err(|error| decode_error(&error))?;
    let Value::Array(operations) = patch else {
        let what = super::json_kind(&patch);
        let why =
            format!("error decoding patch: json: cannot unmarshal {what} into Go value of type []handlers.jsonPatchOp");
        return Err(Status::bad_request(why));
    };
    if operations.len() > MAX_OPERATIONS {
        let why =
            format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len());
        return Err(Status::request_too_large(why));
    }
    let mut result = document.clone();
    let mut copied = 0;
    for operation in &operations {
        apply(&mut result, operation, &mut copied).ok_or_else(rejected)?;
    }
    Ok(result)
}

/// What the reference answers whenever an operation fails: it names neither the operation nor the reason.
fn rejected() -> Status {
    Status::failure(422, "Invalid", "the server rejected our request due to an error in our request")
        .with_details(StatusDetails::default())
}

fn apply(document: &mut Value, operation: &Value, copied: &mut usize) -> Option<()> {
    let pointer = |field: &str| parse_pointer(operation.get(field)?.as_str()?).ok();
    let path = pointer("path")?;
    match operation.get("op")?.as_str()? {
        "add" => add(document, &path, operation.get("value")?.clone()),
        "remove" => remove(document, &path).map(drop),
        "replace" => {
            *get_mut(document, &path)? = operation.get("value")?.clone();
            Some(())
        }
        "move" => {
            let from = pointer("from")?;
            // A value cannot move into itself.
            if path.len() > from.len() && path.starts_with(&from) {
                return None;
            }
            let value = remove(document, &from)?;
            add(document, &path, value)
        }
        "copy" => {
            let value = get_mut(document, &pointer("from")?)?.clone();
            *copied += value.to_string().len();
            if *copied > MAX_COPIED {
                return None;
            }
            add(document, &path, value)
        }
        "test" => {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            let found = get_mut(document, &path).map_or(&Value::Null, |found| found);
            if same(found, expected) { Some(()) } else { None }
        }
        _ => None,
    }
}

/// Equality as RFC 6902 has it: numbers are compared as numbers.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn get_mut<'a>(document: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(document, |at, segment| match at {
        Value::Object(members) => members.get_mut(segment),
        Value::Array(items) => {
            let index = index(segment, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    })
}

/// An index; the reference also counts negative ones from the end.
fn index(segment: &str, len: usize) -> Option<usize> {
    match segment.strip_prefix('-') {
        Some(back) => len.checked_sub(array_index(back)?.max(1)),
        None => array_index(segment),
    }
}

fn add(document: &mut Value, path: &[String], value: Value) -> Option<()> {
    let Some((last, parents)) = path.split_last() else {
        *document = value;
        return Some(());
    };
    match get_mut(document, parents)? {
        Value::Object(members) => {
            members.insert(last.clone(), value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            // Adding may go one past the end, so negative indices count from there.
            let at = index(last, items.len() + 1)?;
            if at > items.len() {
                return None;
            }
            items.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &[String]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    match get_mut(document, parents)? {
        Value::Object(members) => members.remove(last),
        Value::Array(items) => {
            let at = index(last, items.len())?;
            if at < items.len() { Some(items.remove(at)) } else { None }
        }
        _ => None,
    }
}

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
    json_operations(document, &operations).map_err(|_| rejected())
}

/// Why an operation of a JSON patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchFailure {
    /// A `test` found another value than it wanted.
    #[error("testing value {0} failed: test failed")]
    Test(String),
    /// What the operation is about is not there, or the operation is none. The text is the reference's.
    #[error("{0}")]
    Operation(String),
}

/// Applies the operations of a JSON patch.
///
/// # Errors
/// For the first operation that cannot be applied.
pub fn json_operations(document: &Value, operations: &[Value]) -> Result<Value, PatchFailure> {
    let mut result = document.clone();
    let mut copied = 0;
    for operation in operations {
        apply(&mut result, operation, &mut copied)?;
    }
    Ok(result)
}

/// What the reference answers whenever an operation of a request's patch fails: it names neither the operation nor the
/// reason.
fn rejected() -> Status {
    Status::failure(422, "Invalid", "the server rejected our request due to an error in our request")
        .with_details(StatusDetails::default())
}

fn failed<T>(text: String) -> Result<T, PatchFailure> {
    Err(PatchFailure::Operation(text))
}

fn apply(document: &mut Value, operation: &Value, copied: &mut usize) -> Result<(), PatchFailure> {
    let word = |field: &str| operation.get(field).and_then(Value::as_str).unwrap_or_default();
    let op = word("op");
    if !matches!(op, "add" | "remove" | "replace" | "move" | "copy" | "test") {
        return failed(format!("Unexpected kind: {op}"));
    }
    let pointer = |field: &str| match parse_pointer(word(field)) {
        Ok(pointer) if operation.get(field).is_some_and(Value::is_string) => Ok(pointer),
        _ => failed(format!("{op} operation failed to decode {field}: missing value")),
    };
    let path = pointer("path")?;
    let text = word("path");
    let given = || operation.get("value").ok_or_else(|| missing("operation, missing value field"));
    match op {
        "add" => {
            let value = given()?.clone();
            let gone = || missing(&format!("add operation does not apply: doc is missing path: {text:?}"));
            add(document, &path, value, gone).map_err(|why| wrapped("add", text, why))
        }
        "remove" => {
            let gone = || missing(&format!("remove operation does not apply: doc is missing path: {text:?}"));
            remove(document, &path, gone).map_err(|why| wrapped("remove", text, why)).map(drop)
        }
        "replace" => {
            let value = given()?.clone();
            let gone = || missing(&format!("replace operation does not apply: doc is missing key: {text}"));
            // The reference replaces what an object does not have, too.
            if let Some((last, parents)) = path.split_last()
                && let Some(Value::Object(members)) = get_mut(document, parents)
            {
                members.insert(last.clone(), value);
                return Ok(());
            }
            *get_mut(document, &path).ok_or_else(gone)? = value;
            Ok(())
        }
        "move" => {
            let from = pointer("from")?;
            // A value cannot move into itself.
            if path.len() > from.len() && path.starts_with(&from) {
                return failed(format!("move operation does not apply: {text} is below its source"));
            }
            let gone =
                || missing(&format!("move operation does not apply: doc is missing from path: {}", word("from")));
            let value = remove(document, &from, gone).map_err(|why| wrapped("move", word("from"), why))?;
            let gone = || missing(&format!("move operation does not apply: doc is missing destination path: {text}"));
            add(document, &path, value, gone).map_err(|why| wrapped("move", text, why))
        }
        "copy" => {
            let gone =
                || missing(&format!("copy operation does not apply: doc is missing from path: {}", word("from")));
            let value = get_mut(document, &pointer("from")?).ok_or_else(gone)?.clone();
            *copied += value.to_string().len();
            if *copied > MAX_COPIED {
                return failed(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}"
                ));
            }
            let gone = || missing(&format!("copy operation does not apply: doc is missing destination path: {text}"));
            add(document, &path, value, gone)
        }
        _ => {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            if let Some((_, parents)) = path.split_last()
                && get_mut(document, parents).is_none()
            {
                return Err(missing(&format!("test operation does not apply: is missing path: {text}")));
            }
            let found = get_mut(document, &path).map_or(&Value::Null, |found| found);
            if same(found, expected) { Ok(()) } else { Err(PatchFailure::Test(text.to_owned())) }
        }
    }
}

fn missing(what: &str) -> PatchFailure {
    PatchFailure::Operation(format!("{what}: missing value"))
}

/// A failure at a place, unless the place itself is missing.
fn wrapped(op: &str, path: &str, why: PatchFailure) -> PatchFailure {
    match why {
        PatchFailure::Operation(text) if !text.contains("does not apply") => {
            PatchFailure::Operation(format!("error in {op} for path: '{path}': {text}"))
        }
        other => other,
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

fn invalid_index(segment: &str) -> PatchFailure {
    let index = segment.parse::<i64>();
    PatchFailure::Operation(match index {
        Ok(index) => format!("Unable to access invalid index: {index}: invalid index referenced"),
        Err(_) => {
            format!(
                "value was not a proper array index: '{segment}': strconv.Atoi: parsing {segment:?}: invalid syntax"
            )
        }
    })
}

fn add(
    document: &mut Value,
    path: &[String],
    value: Value,
    gone: impl Fn() -> PatchFailure,
) -> Result<(), PatchFailure> {
    let Some((last, parents)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match get_mut(document, parents) {
        Some(Value::Object(members)) => {
            members.insert(last.clone(), value);
        }
        Some(Value::Array(items)) if last == "-" => items.push(value),
        Some(Value::Array(items)) => {
            // Adding may go one past the end, so negative indices count from there.
            let at = index(last, items.len() + 1).filter(|at| *at <= items.len());
            items.insert(at.ok_or_else(|| invalid_index(last))?, value);
        }
        _ => return Err(gone()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String], gone: impl Fn() -> PatchFailure) -> Result<Value, PatchFailure> {
    let Some((last, parents)) = path.split_last() else { return Err(gone()) };
    match get_mut(document, parents) {
        Some(Value::Object(members)) => {
            members.remove(last).ok_or_else(|| missing(&format!("Unable to remove nonexistent key: {last}")))
        }
        Some(Value::Array(items)) => {
            let at = index(last, items.len()).filter(|at| *at < items.len());
            Ok(items.remove(at.ok_or_else(|| invalid_index(last))?))
        }
        _ => Err(gone()),
    }
}

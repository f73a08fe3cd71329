//! What is asked of the answer to a conversion, whoever gave it: the rules of the reference's ConversionReview.

use portcullis_machinery::{Value, object};

/// Checks converted objects against those that were sent, and gives them back with the metadata that they had: only
/// labels and annotations are the converter's to change.
///
/// # Errors
/// What is wrong, in the reference's words after `who` was asked.
pub fn accept(sent: &[Value], converted: Vec<Value>, wanted: &str, who: &str) -> Result<Vec<Value>, String> {
    if converted.len() != sent.len() {
        return Err(format!("{who} returned {} objects, expected {}", converted.len(), sent.len()));
    }
    let several = sent.len() > 1;
    let mut accepted = Vec::with_capacity(converted.len());
    for (index, (original, mut converted)) in sent.iter().zip(converted).enumerate() {
        let invalid = if several { "invalid converted object" } else { "invalid object" };
        let at = |what: &str| format!("{who} returned {what} at index {index}");
        // Of a single object the later checks do not say where it is.
        let plain = |what: &str| if several { at(what) } else { format!("{who} returned {what}") };
        let expect = |what: &str, expected: &str, found: &str| match expected == found {
            true => Ok(()),
            false => Err(format!("{}: invalid {what} (expected {expected}, received {found})", at(invalid))),
        };
        if !converted.is_object() {
            return Err(format!("{}: it is no object", at(invalid)));
        }
        expect("groupVersion", wanted, object::api_version(&converted))?;
        expect("kind", object::kind(original), object::kind(&converted))?;
        same(original, &converted).map_err(|why| format!("{}: {why}", plain(invalid)))?;
        let place = if several { at("invalid metadata in object") } else { plain("invalid metadata") };
        restore(original, &mut converted).map_err(|why| format!("{place}: {why}"))?;
        accepted.push(converted);
    }
    Ok(accepted)
}

fn same(original: &Value, converted: &Value) -> Result<(), String> {
    for (what, read) in
        [("name", object::name as fn(&Value) -> &str), ("namespace", object::namespace), ("UID", object::uid)]
    {
        let (expected, found) = (read(original), read(converted));
        if expected != found {
            return Err(format!("must have the same {what}: {expected} != {found}"));
        }
    }
    Ok(())
}

/// The name that errors give the type of a value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Gives a converted object the metadata of the original, but for its own labels and annotations.
fn restore(original: &Value, converted: &mut Value) -> Result<(), String> {
    let answered = match converted.get_mut("metadata").map(Value::take) {
        None => return Err("missing metadata in converted object".to_owned()),
        Some(Value::Object(members)) => members,
        Some(other) => return Err(format!("invalid metadata of type {} in converted object", type_of(&other))),
    };
    let mut metadata = object::meta(original).cloned().unwrap_or_default();
    for (field, check) in [("labels", labels as fn(&str, &str) -> Option<String>), ("annotations", annotations)] {
        let given = match answered.get(field) {
            None | Some(Value::Null) => {
                metadata.remove(field);
                continue;
            }
            Some(Value::Object(given)) => given,
            Some(other) => {
                return Err(format!("invalid metadata.{field} of type {} in converted object", type_of(other)));
            }
        };
        for (key, value) in given {
            let Some(text) = value.as_str() else {
                let found = type_of(value);
                return Err(format!("metadata.{field}[{key}] must be a string, but is {found} in converted object"));
            };
            let had = metadata.get(field).and_then(|had| had.get(key));
            if had != Some(value)
                && let Some(wrong) = check(key, text)
            {
                return Err(wrong);
            }
        }
        metadata.insert(field.to_owned(), Value::Object(given.clone()));
    }
    converted["metadata"] = Value::Object(metadata);
    Ok(())
}

fn labels(key: &str, value: &str) -> Option<String> {
    let metadata = serde_json::json!({"name": "x", "labels": {key: value}});
    first(&metadata)
}

fn annotations(key: &str, value: &str) -> Option<String> {
    let metadata = serde_json::json!({"name": "x", "annotations": {key: value}});
    first(&metadata)
}

fn first(metadata: &Value) -> Option<String> {
    let causes = portcullis_machinery::structural::meta::check(metadata, false);
    causes.into_iter().next().map(|cause| format!("{}: {}", cause.field, cause.message))
}

#[cfg(test)]
mod tests;

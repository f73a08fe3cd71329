//! Where the scale of an object is: by its definition for custom resources, else where all built-in kinds have it.

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};

fn path(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// The number of replicas wanted, and their number and selector as the status has them. `None` if the kind has its scale
/// where the built-in kinds have it.
///
/// # Errors
/// 500 if the object does not say how many are wanted, as the reference answers.
pub fn read(definition: &ResourceDefinition, owner: &Value) -> Option<Result<(i64, i64, String), Status>> {
    let paths = definition.custom.as_ref()?.scale.as_ref()?;
    let Some(wanted) = object::i64_at(owner, &path(&paths.spec_replicas)) else {
        let field = paths.spec_replicas.join(".");
        return Some(Err(Status::internal(format!("the spec replicas field \".{field}\" does not exist"))));
    };
    let found = object::i64_at(owner, &path(&paths.status_replicas)).unwrap_or(0);
    let selector = paths.selector.as_ref().and_then(|keys| object::str_at(owner, &path(keys))).unwrap_or_default();
    Some(Ok((wanted, found, selector.to_owned())))
}

/// Writes the number of replicas that is wanted.
pub fn write(definition: &ResourceDefinition, owner: &mut Value, replicas: i64) {
    match definition.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        Some(paths) => object::set_at(owner, &path(&paths.spec_replicas), replicas),
        None => object::set_at(owner, &["spec", "replicas"], replicas),
    }
}

/// What is wrong with the scale of an instance.
pub fn check(definition: &ResourceDefinition, instance: &Value) -> Vec<Cause> {
    let Some(paths) = definition.custom.as_ref().and_then(|custom| custom.scale.as_ref()) else { return Vec::new() };
    let numbers = [&paths.spec_replicas, &paths.status_replicas];
    let mut causes: Vec<Cause> = numbers
        .into_iter()
        .filter_map(|keys| {
            let number = object::i64_at(instance, &path(keys))?;
            let why = match number {
                i64::MIN..0 => "should be a non-negative integer".to_owned(),
                number if number > i64::from(i32::MAX) => format!("should be less than or equal to {}", i32::MAX),
                _ => return None,
            };
            Some(Cause::field(FieldErrorType::Invalid, format!(".{}", keys.join(".")), &number.to_string(), &why))
        })
        .collect();
    let selector = paths.selector.as_ref().and_then(|keys| Some((keys, object::str_at(instance, &path(keys))?)));
    if let Some((keys, text)) = selector
        && text.len() > 256 * 1024
    {
        let field = format!(".{}", keys.join("."));
        causes.push(Cause::field(FieldErrorType::Invalid, field, "\"\"", "should be less than 256 KiB"));
    }
    causes
}

//! Names: generated ones, and the checks that hold for the path of every object.

use portcullis_machinery::{Status, Value, object};
use rand::Rng as _;

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
const LONGEST: usize = 63;

/// A name made of `metadata.generateName`: at most 63 bytes, with five random characters at its end.
pub fn generate(base: &str) -> String {
    let mut cut = base.len().min(LONGEST - SUFFIX);
    while !base.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut name = base[..cut].to_owned();
    name.push_str(&random_suffix(SUFFIX));
    name
}

/// Random characters without vowels and without digits that look like them.
pub fn random_suffix(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// What keeps a text from being part of a path.
pub fn path_segment_error(name: &str) -> Option<String> {
    if matches!(name, "." | "..") {
        return Some(format!("may not be '{name}'"));
    }
    ['/', '%'].into_iter().find(|c| name.contains(*c)).map(|c| format!("may not contain '{c}'"))
}

/// Makes the object's namespace that of the request.
///
/// # Errors
/// 400 if the object says another one.
pub fn fit_namespace(object: &mut Value, expected: &str) -> Result<(), Status> {
    let given = object::namespace(object);
    if given == expected {
        return Ok(());
    }
    if expected.is_empty() {
        object::meta_mut(object).remove("namespace");
    } else if given.is_empty() {
        object::meta_mut(object).insert("namespace".into(), expected.into());
    } else {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Checks that an object in an update has the name of the path.
///
/// # Errors
/// 400.
pub fn check_name(object: &Value, name: &str) -> Result<(), Status> {
    let given = object::name(object);
    if given.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if given != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

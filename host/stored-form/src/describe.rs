//! What a stored value is, without its keys.

use crate::{providers, resource};

/// A form of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As this server writes it, or nothing that has a form.
    Plain,
    /// Encrypted.
    Encrypted,
    /// As another API server has written it.
    Foreign,
}

/// The form of the value at a key.
///
/// # Errors
/// If it is none: then nobody can read it.
pub fn describe(key: &str, value: &[u8]) -> Result<Form, String> {
    if providers::is_encrypted(value) {
        return Ok(Form::Encrypted);
    }
    let Some(of) = resource::of_key(key) else { return Ok(Form::Plain) };
    match of.stored {
        Some(stored) if !value.starts_with(stored.head.as_bytes()) => {
            crate::foreign::to_own(stored.definition, &bytes::Bytes::copy_from_slice(value)).map(|_| Form::Foreign)
        }
        None if of.group == "plugins.portcullis.dev" || !of.group.contains('.') => Ok(Form::Plain),
        _ => {
            let json = serde_json::from_slice::<serde::de::IgnoredAny>(value);
            json.map(|_| Form::Plain).map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let check = |key: &str, value: &[u8], expected: Option<Form>| {
            assert_eq!(describe(key, value).ok(), expected, "{key}");
        };
        let map = "/registry/configmaps/a/b";
        check(map, br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{}}"#, Some(Form::Plain));
        check(map, br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{}"#, None);
        check(map, br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}"#, Some(Form::Foreign));
        check(map, b"k8s:enc:aescbc:v1:a:xyz", Some(Form::Encrypted));
        check(map, b"k8s\0\x01", None);
        check("/registry/example.com/things/a/b", br#"{"spec":{}}"#, Some(Form::Plain));
        check("/registry/example.com/things/a/b", br#"{"spec":{"#, None);
        check("/registry/plugins.portcullis.dev/moduleparts/a/00000", b"\0asm", Some(Form::Plain));
        check("/registry/ranges/serviceips", b"k8s\0\x01", Some(Form::Plain));
    }
}

//! What a converter does beside converting one object: reading the batch, and writing the answer.

use serde_json::Value;

use crate::{Input, to_json};

/// What a converter reads: the version that is wanted, and the objects.
pub const PATHS: [&str; 2] = ["/request/desiredAPIVersion", "/objects"];

/// Converts each object of a batch. The version is set here, so that no converter has to remember it.
///
/// # Errors
/// The first refusal, with the name of the object.
pub fn batch(input: &Input, convert: impl Fn(Value, &str) -> Result<Value, String>) -> Result<Vec<String>, String> {
    let wanted = input.str(0);
    let one = |object| {
        let object = to_json(object);
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut converted = convert(object, wanted).map_err(|why| format!("{name}: {why}"))?;
        if let Some(members) = converted.as_object_mut() {
            members.insert("apiVersion".into(), wanted.into());
        }
        Ok(converted.to_string())
    };
    input.all(1).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::project;
    use serde_json::json;

    #[test]
    fn each_object_is_converted_or_none() {
        let convert = |mut object: Value, wanted: &str| match object["spec"].take() {
            Value::Null => Err(format!("no spec for {wanted}")),
            spec => {
                object["status"] = spec;
                Ok(object)
            }
        };
        let check = |objects: Value, expected: Result<Value, &str>| {
            let document = json!({"request": {"desiredAPIVersion": "a/v2"}, "objects": objects});
            let answer = batch(&Input::new(&project(&document, &PATHS)), convert);
            let answer = answer.map(|texts| {
                texts.iter().map(|text| serde_json::from_str::<Value>(text).expect("an object")).collect::<Value>()
            });
            assert_eq!(answer, expected.map_err(str::to_owned));
        };
        check(json!([]), Ok(json!([])));
        let object = json!({"apiVersion": "a/v1", "metadata": {"name": "x"}, "spec": {"b": [1, 2.5, null]}});
        let other = json!({"apiVersion": "a/v1", "metadata": {"name": "y"}});
        let wanted =
            json!({"apiVersion": "a/v2", "metadata": {"name": "x"}, "spec": null, "status": {"b": [1, 2.5, null]}});
        check(json!([object]), Ok(json!([wanted])));
        check(json!([object, other]), Err("y: no spec for a/v2"));
    }
}

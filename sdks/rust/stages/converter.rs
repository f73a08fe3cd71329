//! Webs have `spec.size` in v1, and `spec.replicas` in v2.

use serde_json::Value;

/// Takes no configuration.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Converts one object; `apiVersion` is set for it.
///
/// # Errors
/// If there is no such version.
pub fn convert(_: &Config, mut object: Value, wanted: &str) -> Result<Value, String> {
    let (old, new) = match wanted {
        "example.com/v1" => ("replicas", "size"),
        "example.com/v2" => ("size", "replicas"),
        _ => return Err(format!("there is no Web in {wanted}")),
    };
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
        && let Some(value) = spec.remove(old)
    {
        spec.insert(new.into(), value);
    }
    Ok(object)
}

portcullis_sdk::converter!(Config, convert);

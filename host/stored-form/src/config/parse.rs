//! From a document to a configuration. Unknown and duplicate fields, and values of the wrong type, are errors.

use portcullis_machinery::codec::{self, Media};
use portcullis_machinery::{Value, object};
use serde_json::Map;

use super::{KeyConfig, KmsConfig, ProviderConfig, ResourceConfig};

/// A gRPC call may take three seconds, unless it is said.
const TIMEOUT: i64 = 3_000_000_000;

/// What is met on the way.
#[derive(Default)]
struct Reading {
    strict: Vec<String>,
}

type Object = Map<String, Value>;

fn wrong(found: &Value, at: &str, wanted: &str) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go struct field {at} of type {wanted}")
}

fn text(object: &Object, at: &str, key: &str) -> Result<String, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(wrong(other, &format!("{at}.{key}"), "string")),
    }
}

fn list<'a>(object: &'a Object, at: &str, key: &str) -> Result<&'a [Value], String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong(other, &format!("{at}.{key}"), "[]")),
    }
}

/// Nanoseconds of a duration as Go writes it: `1h2m3.5s`.
fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0.0;
    let mut any = false;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
        let (unit, size) = units.into_iter().find(|(unit, _)| {
            rest.starts_with(unit) && !rest.starts_with("ms") || rest.starts_with("ms") && *unit == "ms"
        })?;
        sum += number * size;
        any = true;
        rest = &rest[unit.len()..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "a duration beyond 292 years is as good as that")]
    any.then_some((sign * sum) as i64)
}

impl Reading {
    fn object<'a>(&mut self, value: &'a Value, at: &str, known: &[&str]) -> Result<&'a Object, String> {
        let Value::Object(members) = value else { return Err(wrong(value, at, "object")) };
        for key in members.keys().filter(|key| !known.contains(&key.as_str())) {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            self.strict.push(format!("unknown field {path:?}"));
        }
        Ok(members)
    }

    fn keys(&mut self, value: &Value, at: &str) -> Result<Vec<KeyConfig>, String> {
        let members = self.object(value, at, &["keys"])?;
        let mut keys = Vec::new();
        for (index, key) in list(members, at, "keys")?.iter().enumerate() {
            let at = format!("{at}.keys[{index}]");
            let key = self.object(key, &at, &["name", "secret"])?;
            keys.push(KeyConfig { name: text(key, &at, "name")?, secret: text(key, &at, "secret")? });
        }
        Ok(keys)
    }

    fn kms(&mut self, value: &Value, at: &str) -> Result<KmsConfig, String> {
        let members = self.object(value, at, &["apiVersion", "name", "cachesize", "endpoint", "timeout"])?;
        let timeout = match members.get("timeout") {
            None | Some(Value::Null) => TIMEOUT,
            Some(Value::String(text)) => duration(text).ok_or_else(|| format!("time: invalid duration {text:?}"))?,
            Some(other) => return Err(wrong(other, &format!("{at}.timeout"), "string")),
        };
        let cache_size = match members.get("cachesize") {
            None | Some(Value::Null) => None,
            Some(number) => {
                let number = number.as_i64().filter(|number| i32::try_from(*number).is_ok());
                Some(number.ok_or_else(|| wrong(&members["cachesize"], &format!("{at}.cachesize"), "int32"))?)
            }
        };
        let api_version = text(members, at, "apiVersion")?;
        let api_version = if api_version.is_empty() { "v1".to_owned() } else { api_version };
        let (name, endpoint) = (text(members, at, "name")?, text(members, at, "endpoint")?);
        Ok(KmsConfig { api_version, name, cache_size, endpoint, timeout })
    }

    fn provider(&mut self, value: &Value, at: &str) -> Result<ProviderConfig, String> {
        let members = self.object(value, at, &["aesgcm", "aescbc", "secretbox", "identity", "kms"])?;
        let mut config = ProviderConfig::default();
        for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let at = format!("{at}.{key}");
            match key.as_str() {
                "aesgcm" => config.aesgcm = Some(self.keys(value, &at)?),
                "aescbc" => config.aescbc = Some(self.keys(value, &at)?),
                "secretbox" => config.secretbox = Some(self.keys(value, &at)?),
                "identity" => {
                    self.object(value, &at, &[])?;
                    config.identity = true;
                }
                "kms" => config.kms = Some(self.kms(value, &at)?),
                _ => {}
            }
        }
        Ok(config)
    }
}

/// Reads a document, YAML or JSON.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<ResourceConfig>, String> {
    let decoded = codec::decode(bytes, Media::Yaml).map_err(|error| error.0)?;
    let document = &decoded.object;
    let (api_version, kind) = (object::api_version(document), object::kind(document));
    match (api_version, kind) {
        ("apiserver.config.k8s.io/v1", "EncryptionConfiguration") | ("v1", "EncryptionConfig") => {}
        (_, "") => return Err("Object 'Kind' is missing".to_owned()),
        ("", _) => return Err("Object 'apiVersion' is missing".to_owned()),
        _ => return Err(format!("no kind {kind:?} is registered for version {api_version:?}")),
    }
    let mut reading = Reading { strict: decoded.strict_errors };
    let members = reading.object(document, "", &["kind", "apiVersion", "resources"])?;
    let mut configs = Vec::new();
    for (index, value) in list(members, "EncryptionConfiguration", "resources")?.iter().enumerate() {
        let at = format!("resources[{index}]");
        let members = reading.object(value, &at, &["resources", "providers"])?;
        let mut config = ResourceConfig::default();
        for (index, resource) in list(members, &at, "resources")?.iter().enumerate() {
            let text =
                resource.as_str().ok_or_else(|| wrong(resource, &format!("{at}.resources[{index}]"), "string"))?;
            config.resources.push(text.to_owned());
        }
        for (index, provider) in list(members, &at, "providers")?.iter().enumerate() {
            let at = format!("{at}.providers[{index}]");
            config.providers.push(reading.provider(provider, &at)?);
        }
        configs.push(config);
    }
    if reading.strict.is_empty() {
        Ok(configs)
    } else {
        Err(format!("strict decoding error: {}", reading.strict.join(", ")))
    }
}

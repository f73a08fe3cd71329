//! CronTabs have `spec.hostPort` (`"example.org:80"`) in v1, and `spec.host` and `spec.port` in v2.

use serde_json::{Value, json};

/// Takes no configuration.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Converts one CronTab. Each version has all that the other has, so that nothing is lost on the way there and back.
///
/// # Errors
/// If the host and port cannot be told apart.
pub fn convert(_: &Config, mut object: Value, wanted: &str) -> Result<Value, String> {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(object) };
    match wanted.rsplit('/').next() {
        Some("v1") => {
            let (host, port) = (spec.remove("host"), spec.remove("port"));
            if let Some(host) = host.as_ref().and_then(Value::as_str) {
                let port = port.as_ref().and_then(Value::as_u64).map_or(String::new(), |port| format!(":{port}"));
                spec.insert("hostPort".into(), format!("{host}{port}").into());
            }
        }
        Some("v2") => {
            let Some(Value::String(both)) = spec.remove("hostPort") else { return Ok(object) };
            let (host, port) = both.rsplit_once(':').map_or((both.as_str(), None), |(host, port)| (host, Some(port)));
            spec.insert("host".into(), host.into());
            if let Some(port) = port {
                let port: u16 =
                    port.parse().map_err(|_| format!("spec.hostPort: {both:?} has no port after its colon"))?;
                spec.insert("port".into(), json!(port));
            }
        }
        _ => return Err(format!("there is no CronTab in {wanted}")),
    }
    Ok(object)
}

portcullis_sdk::converter!(Config, convert);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let check = |wanted: &str, spec: Value, expected: Result<Value, &str>| {
            let object = json!({"metadata": {"name": "x"}, "spec": spec});
            let answer = convert(&Config {}, object, wanted).map(|object| object["spec"].clone());
            assert_eq!(answer, expected.map_err(str::to_owned), "{wanted}");
        };
        for (v1, v2) in [
            (json!({"hostPort": "a.example:80", "more": 1}), json!({"host": "a.example", "port": 80, "more": 1})),
            (json!({"hostPort": "a.example"}), json!({"host": "a.example"})),
            (json!({"hostPort": "[::1]:80"}), json!({"host": "[::1]", "port": 80})),
            (json!({}), json!({})),
        ] {
            check("stable.example.com/v2", v1.clone(), Ok(v2.clone()));
            check("stable.example.com/v1", v2, Ok(v1));
        }
        check(
            "stable.example.com/v2",
            json!({"hostPort": "a:b"}),
            Err("spec.hostPort: \"a:b\" has no port after its colon"),
        );
        check("stable.example.com/v3", json!({}), Err("there is no CronTab in stable.example.com/v3"));
    }
}

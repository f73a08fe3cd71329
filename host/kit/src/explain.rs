//! `plugin explain`: what a write would meet on its way, and what it would be answered.

use bytes::Bytes;
use http::Method;
use portcullis_client::{Client, ClientError};
use portcullis_machinery::definition::split_api_version;
use portcullis_machinery::{Value, object};
use serde_json::json;

use crate::{KitError, served};

/// Has the write of an object explained: its creation, the change that applying it would make, or its deletion. Nothing is
/// written.
///
/// # Errors
/// What the cluster says: also that one may not `explain` Plugins.
pub async fn explain(client: &Client, manifest: &Value, namespace: &str, delete: bool) -> Result<Value, KitError> {
    let (group, version) = split_api_version(object::api_version(manifest));
    let resource = served::of_kind(client, group, version, object::kind(manifest)).await?;
    let given = object::namespace(manifest);
    let namespace = if given.is_empty() { namespace } else { given };
    let name = object::name(manifest);
    let query = "dryRun=All&explain=true";
    let named = resource.path(namespace, name, "");
    let (method, path, content_type, body) = match (delete, name) {
        (true, _) => {
            let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
            (Method::DELETE, format!("{named}?{query}"), "application/json", options)
        }
        (false, "") => (Method::POST, format!("{named}?{query}"), "application/json", manifest.clone()),
        (false, _) => {
            let path = format!("{named}?{query}&fieldManager=portcullis-plugin&force=true");
            (Method::PATCH, path, "application/apply-patch+yaml", manifest.clone())
        }
    };
    let failed = |error: ClientError| KitError::Cluster { what: "the request was not explained".into(), error };
    let body = Bytes::from(body.to_string());
    let bytes = client.call(method, &path, content_type, "application/json", body).await.map_err(failed)?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| KitError::Project(format!("the cluster's explanation is no JSON: {error}")))?;
    if object::kind(&value) != "Explanation" {
        return Err(KitError::Project("the cluster does not explain requests: is it an older version?".into()));
    }
    Ok(value)
}

/// An explanation for people.
pub fn lines(explanation: &Value) -> Vec<String> {
    let text = |value: &Value, member: &str| value[member].as_str().unwrap_or_default().to_owned();
    let micros = |value: &Value| format!("{:.1} us", value["micros"].as_f64().unwrap_or_default());
    let request = &explanation["request"];
    let place = [text(request, "namespace"), text(request, "name")];
    let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let mut lines = vec![
        format!(
            "{} {} {} as {}",
            text(request, "verb"),
            text(request, "resource"),
            place.join("/"),
            text(request, "user")
        ),
        format!("{:<16} {:<28} {:<20} {:<8} {:<20} {:>12}", "STAGE", "BY", "VERSION", "MODE", "VERDICT", "TIME"),
    ];
    for step in explanation["steps"].as_array().into_iter().flatten() {
        let digest: String = text(step, "digest").chars().take("sha256:".len() + 12).collect();
        let mut verdict = text(step, "verdict");
        if let Some(operations) = step["operations"].as_u64() {
            verdict.push_str(&format!(" ({operations} ops)"));
        }
        match text(step, "part").as_str() {
            "decides" => {}
            part => verdict.push_str(&format!(" [{part}]")),
        }
        let (stage, by, mode) = (text(step, "stage"), text(step, "by"), text(step, "mode"));
        let mode = if digest.is_empty() { String::new() } else { mode };
        lines.push(format!("{stage:<16} {by:<28} {digest:<20} {mode:<8} {verdict:<20} {:>12}", micros(step)));
        let reason = text(step, "reason");
        if !reason.is_empty() {
            lines.push(format!("{:<16} {reason}", ""));
        }
    }
    let response = &explanation["response"];
    let message = response["object"]
        .get("message")
        .and_then(Value::as_str)
        .filter(|_| object::kind(&response["object"]) == "Status");
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    lines.push(format!("answer {} after {}{message}", response["code"], micros(explanation)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_shown() {
        let explanation = json!({
            "kind": "Explanation",
            "request": {"verb": "create", "resource": "pods", "namespace": "default", "name": "web", "user": "jo"},
            "steps": [
                {"stage": "authorizer", "by": "authorization", "mode": "Enforce", "part": "decides", "verdict": "allowed", "micros": 3.04},
                {"stage": "validator", "by": "teams", "mode": "Warn", "part": "canary", "verdict": "denied", "micros": 12.0,
                 "digest": format!("sha256:{}", "a".repeat(64)), "reason": "no team"},
            ],
            "micros": 900.0,
            "response": {"code": 403, "object": {"kind": "Status", "message": "denied"}},
        });
        let lines = lines(&explanation);
        assert_eq!(lines[0], "create pods default/web as jo");
        assert!(lines[2].starts_with("authorizer       authorization") && lines[2].ends_with("3.0 us"), "{lines:?}");
        assert!(lines[3].contains("sha256:aaaaaaaaaaaa  Warn") && lines[3].contains("denied [canary]"), "{lines:?}");
        assert_eq!(lines[4].trim(), "no team");
        assert_eq!(lines[5], "answer 403 after 900.0 us: denied");
    }
}

//! Conversion by a webhook: a ConversionReview there, and one back (`apiextensions.k8s.io/v1` and `v1beta1`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_machinery::{Value, codec, object};
use serde_json::json;
use uuid::Uuid;

use crate::outbound::Destination;
use crate::server::ApiServer;

/// How long a webhook may take, as in the reference.
const TIMEOUT: Duration = Duration::from_secs(30);

const GROUP: &str = "apiextensions.k8s.io";

/// Asks the webhook of `spec.conversion.webhook` for objects in another version.
///
/// # Errors
/// Why there is no answer, or none that can be used.
pub async fn convert(
    server: &Arc<ApiServer>,
    webhook: &Value,
    objects: &[Value],
    wanted: &str,
) -> Result<Vec<Value>, String> {
    let uid = Uuid::new_v4().to_string();
    let version = review_version(webhook).ok_or("no supported conversion review versions")?;
    let request = review(version, &uid, objects, wanted);
    let destination =
        Destination::from_client_config(webhook.get("clientConfig")).map_err(|error| error.to_string())?;
    let body = Bytes::from(codec::encode(&request));
    let answer = server.outbound.post(server, &destination, body, TIMEOUT).await.map_err(|error| error.to_string())?;
    let answer = serde_json::from_slice(&answer).map_err(|error| format!("the answer is no JSON: {error}"))?;
    read(version, &uid, answer)
}

/// The first version of ConversionReview in the webhook's list that is known here.
fn review_version(webhook: &Value) -> Option<&'static str> {
    let listed = object::list_at(webhook, &["conversionReviewVersions"]).iter().filter_map(Value::as_str);
    listed.into_iter().find_map(|version| ["v1", "v1beta1"].into_iter().find(|known| *known == version))
}

fn review(version: &str, uid: &str, objects: &[Value], wanted: &str) -> Value {
    json!({
        "kind": "ConversionReview", "apiVersion": format!("{GROUP}/{version}"),
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects},
    })
}

/// The objects of an answer.
fn read(version: &str, uid: &str, mut answer: Value) -> Result<Vec<Value>, String> {
    let (kind, api_version) = (object::kind(&answer), object::api_version(&answer));
    if version == "v1" && (kind != "ConversionReview" || api_version != format!("{GROUP}/v1")) {
        let found = format!("{api_version}, Kind={kind}");
        return Err(format!("expected webhook response of {GROUP}/v1, Kind=ConversionReview, got {found}"));
    }
    let Some(response) = answer.get_mut("response").filter(|response| !response.is_null()) else {
        return Err("no response provided".to_owned());
    };
    let text = |path: &[&str]| object::str_at(response, path).unwrap_or_default();
    if version == "v1" && text(&["uid"]) != uid {
        return Err(format!("expected response.uid={uid:?}, got {:?}", text(&["uid"])));
    }
    let (status, message) = (text(&["result", "status"]), text(&["result", "message"]));
    if status != "Success" {
        return Err(match message {
            "" => format!("response.result.status was '{status}', not 'Success'"),
            message => message.to_owned(),
        });
    }
    match response.get_mut("convertedObjects").map(Value::take) {
        Some(Value::Array(objects)) => Ok(objects),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;

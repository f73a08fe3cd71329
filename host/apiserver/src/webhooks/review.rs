//! The AdmissionReview that a webhook gets, and the one that it answers with (API reference, `admission.k8s.io`).

use std::collections::BTreeMap;

use base64::Engine as _;
use portcullis_machinery::{Status, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::matching::{Asked, Invocation, namespace_of};
use crate::admission::GroupVersionName;
use crate::reviews::user_value;

const V1: &str = "admission.k8s.io/v1";
const V1BETA1: &str = "admission.k8s.io/v1beta1";
const KIND: &str = "AdmissionReview";

/// A review that was made for a webhook.
pub(super) struct Request {
    uid: String,
    api_version: &'static str,
    /// What is sent.
    pub body: Vec<u8>,
}

/// What a webhook says of a request.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub allowed: bool,
    /// The operations of a JSON patch; none if the webhook changes nothing.
    pub patch: Option<Vec<u8>>,
    pub patch_type: String,
    pub result: Option<Value>,
    pub audit_annotations: BTreeMap<String, String>,
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    kind: &'static str,
    api_version: &'static str,
    request: SentRequest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SentRequest<'a> {
    uid: &'a str,
    kind: Value,
    resource: Value,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub_resource: &'a str,
    request_kind: Value,
    request_resource: Value,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_sub_resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    operation: &'static str,
    user_info: Value,
    object: &'a Value,
    old_object: &'a Value,
    dry_run: bool,
    options: &'a Value,
}

fn named(name: &GroupVersionName, what: &str) -> Value {
    json!({"group": name.group, "version": name.version, what: name.name})
}

impl Request {
    /// The review of a request, in the first of the versions that the webhook takes and that is known here. `object` and
    /// `old` are in the version of the invocation.
    ///
    /// # Errors
    /// If there is no such version.
    pub fn new(
        versions: &[String],
        asked: &Asked<'_>,
        invocation: &Invocation,
        object: &Value,
        old: &Value,
    ) -> Result<Self, String> {
        let known = |version: &String| match version.as_str() {
            "v1" => Some(V1),
            "v1beta1" => Some(V1BETA1),
            _ => None,
        };
        let api_version = versions
            .iter()
            .find_map(known)
            .ok_or("webhook does not accept known AdmissionReview versions (v1, v1beta1)")?;
        let attributes = asked.attributes;
        let uid = Uuid::new_v4().to_string();
        let sent = Sent {
            kind: KIND,
            api_version,
            request: SentRequest {
                uid: &uid,
                kind: named(&invocation.kind, "kind"),
                resource: named(&invocation.resource, "resource"),
                sub_resource: &attributes.subresource,
                request_kind: named(&attributes.kind, "kind"),
                request_resource: named(&attributes.resource, "resource"),
                request_sub_resource: &attributes.subresource,
                name: &attributes.name,
                namespace: namespace_of(attributes),
                operation: attributes.operation.as_str(),
                user_info: user_value(&attributes.user),
                object,
                old_object: old,
                dry_run: attributes.dry_run,
                options: &attributes.options,
            },
        };
        let body = serde_json::to_vec(&sent).map_err(|error| error.to_string())?;
        Ok(Self { uid, api_version, body })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Received {
    api_version: String,
    kind: String,
    response: Option<Response>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[serde(deserialize_with = "or_default")]
    allowed: bool,
    status: Option<Value>,
    patch: Option<String>,
    patch_type: Option<String>,
    #[serde(deserialize_with = "or_default")]
    audit_annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    warnings: Vec<String>,
}

/// A field that is null is one that is not given.
fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Why an answer is none.
pub(super) enum Unusable {
    /// It cannot be read.
    Unreadable(String),
    /// It is not what was asked for.
    Invalid(String),
}

impl Request {
    /// Reads the answer to the review.
    pub fn answer(&self, mutating: bool, body: &[u8]) -> Result<Answer, Unusable> {
        let unreadable = Unusable::Unreadable;
        let tree: Value = serde_json::from_slice(body)
            .map_err(|error| unreadable(format!("couldn't get version/kind; json parse error: {error}")))?;
        let text = |key: &str| tree.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let is_review = (kind.is_empty() || kind == KIND)
            && (api_version.is_empty() || api_version == V1 || api_version == V1BETA1);
        if !is_review {
            let why = format!(
                "no kind {kind:?} is registered for version {api_version:?} in scheme \"admission webhook responses\""
            );
            return Err(unreadable(why));
        }
        if !api_version.is_empty() && api_version != self.api_version {
            let last = |version: &str| version.rsplit('/').next().unwrap_or_default().to_owned();
            let (from, to) = (last(&api_version), last(self.api_version));
            let why = format!("converting ({from}.AdmissionReview) to ({to}.AdmissionReview): unknown conversion");
            return Err(unreadable(why));
        }
        let received: Received = serde_json::from_value(tree).map_err(|error| unreadable(format!("json: {error}")))?;
        let Some(response) = received.response else {
            return Err(Unusable::Invalid("webhook response was absent".into()));
        };
        let patch = match response.patch.as_deref() {
            None | Some("") => None,
            Some(text) => Some(
                base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .map_err(|error| unreadable(format!("illegal base64 data: {error}")))?,
            ),
        };
        let strict = self.api_version == V1;
        if strict {
            self.verify(&received.api_version, &received.kind, &response, patch.is_some(), mutating)
                .map_err(Unusable::Invalid)?;
        }
        let patch = patch.filter(|_| mutating);
        let patch_type = match (strict, response.patch_type) {
            (true, given) => given.unwrap_or_default(),
            // The older version leaves it open, and there is but one.
            (false, _) => "JSONPatch".to_owned(),
        };
        Ok(Answer {
            allowed: response.allowed,
            patch,
            patch_type,
            result: response.status,
            audit_annotations: response.audit_annotations,
            warnings: response.warnings,
        })
    }

    /// What `v1` demands of an answer.
    fn verify(
        &self,
        api_version: &str,
        kind: &str,
        response: &Response,
        patches: bool,
        mutating: bool,
    ) -> Result<(), String> {
        if response.uid != self.uid {
            return Err(format!("expected response.uid={:?}, got {:?}", self.uid, response.uid));
        }
        if api_version != V1 || kind != KIND {
            let shown = if api_version.is_empty() { "/" } else { api_version };
            return Err(format!("expected webhook response of {V1}, Kind={KIND}, got {shown}, Kind={kind}"));
        }
        let why = match (mutating, patches, response.patch_type.as_deref()) {
            (true, true, None) => "webhook returned response.patch but not response.patchType",
            (true, false, Some(_)) => "webhook returned response.patchType but not response.patch",
            (true, true, Some("")) => "webhook returned invalid response.patchType of \"\"",
            (false, true, _) => "validating webhook may not return response.patch",
            (false, false, Some(_)) => "validating webhook may not return response.patchType",
            _ => return Ok(()),
        };
        Err(why.to_owned())
    }
}

/// The Status of a denial: what the webhook says, in the form that a client gets it.
pub(super) fn denial(webhook: &str, result: Option<&Value>) -> Status {
    let mut given = match result {
        Some(Value::Object(given)) => given.clone(),
        _ => serde_json::Map::new(),
    };
    for (field, value) in [("kind", "Status"), ("apiVersion", "v1")] {
        given.insert(field.to_owned(), value.into());
    }
    given.retain(|_, value| !value.is_null());
    let mut status: Status = serde_json::from_value(Value::Object(given))
        .unwrap_or_else(|_| Status::failure(0, "", result.and_then(|it| it.get("message")?.as_str()).unwrap_or("")));
    status.code = status.code.max(400);
    if matches!(status.status.as_str(), "" | "Success") {
        "Failure".clone_into(&mut status.status);
    }
    let denied = format!("admission webhook {webhook:?} denied the request");
    status.message = match (status.message.as_str(), status.reason.as_str()) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (message, _) => format!("{denied}: {message}"),
    };
    status
}

#[cfg(test)]
mod tests;

//! What is recorded of one request on its way, and the events that are made of it (`audit.k8s.io/v1` Event).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_machinery::codec::{self, Media};
use portcullis_machinery::{Value, object};
use serde_json::json;

use super::policy::Wanted;
use super::{Audit, Level, Stage};
use crate::context::{RequestInfo, UserInfo};
use crate::negotiation::header;
use crate::reviews::user_value;

/// The longest value of an annotation in bytes; what is over is cut.
const MAX_ANNOTATION: usize = 4 << 10;
/// How many annotations a request may have.
const MAX_ANNOTATIONS: usize = 256;

/// One request.
pub struct Record {
    audit: Arc<Audit>,
    id: String,
    uri: String,
    info: RequestInfo,
    source: IpAddr,
    user_agent: String,
    received: Timestamp,
    state: Mutex<State>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    wanted: Wanted,
    user: UserInfo,
    impersonated: Option<UserInfo>,
    annotations: BTreeMap<String, String>,
    request_object: Option<Value>,
}

impl Record {
    /// A request that has just come in.
    pub(super) fn new(
        audit: Arc<Audit>,
        id: &str,
        uri: String,
        info: &RequestInfo,
        source: IpAddr,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            audit,
            id: id.to_owned(),
            uri,
            info: info.clone(),
            source,
            user_agent: header(headers, "user-agent").to_owned(),
            received: Timestamp::now(),
            state: Mutex::default(),
        }
    }

    /// It is known who asks: the policy is asked, and the first event made.
    pub fn authenticated(&self, user: &UserInfo) {
        let mut state = self.state.lock();
        state.wanted = self.audit.policy.of(user, &self.info);
        state.user = user.clone();
        drop(state);
        self.emit(Stage::RequestReceived, None, None);
    }

    /// Nobody knows the caller.
    pub fn unauthenticated(&self) {
        self.state.lock().wanted = self.audit.policy.of(&UserInfo::default(), &self.info);
        self.annotate("authentication.k8s.io/failed", "true");
    }

    /// As whom the request acts, and what authorization said.
    pub fn authorized(&self, user: &UserInfo, allowed: bool, reason: &str) {
        let mut state = self.state.lock();
        if *user != state.user {
            state.impersonated = Some(user.clone());
        }
        drop(state);
        self.annotate("authorization.k8s.io/decision", if allowed { "allow" } else { "forbid" });
        self.annotate("authorization.k8s.io/reason", reason);
    }

    /// Adds a fact. The first value of a key stays.
    pub fn annotate(&self, key: &str, value: &str) {
        self.annotate_at(Level::Metadata, key, value);
    }

    /// Adds a fact that is recorded where the policy wants as much as `level`.
    pub fn annotate_at(&self, level: Level, key: &str, value: &str) {
        let mut state = self.state.lock();
        if state.wanted.level >= level && state.annotations.len() < MAX_ANNOTATIONS {
            let value = value[..value.floor_char_boundary(MAX_ANNOTATION)].to_owned();
            state.annotations.entry(key.to_owned()).or_insert(value);
        }
    }

    /// Whether facts of that level are recorded.
    pub fn wants(&self, level: Level) -> bool {
        self.state.lock().wanted.level >= level
    }

    /// Whether the request's object is wanted.
    pub fn wants_request(&self) -> bool {
        self.state.lock().wanted.level >= Level::Request && self.info.is_resource_request
    }

    /// Takes the body that was sent, in whatever form it is; one that is no object is left out.
    pub fn request_body(&self, bytes: &[u8], content_type: &str) {
        // Patches are JSON too, and a JSON patch is a list, which the codec of objects does not read.
        let object = match media_of(content_type) {
            Some(media @ (Media::Yaml | Media::Protobuf)) => codec::decode(bytes, media).ok().map(|it| it.object),
            _ => serde_json::from_slice(bytes).ok(),
        };
        let mut state = self.state.lock();
        state.request_object = object.map(|object| trimmed(object, state.wanted.omit_managed_fields));
    }

    /// Makes the events of an answer, and hands it back. Of a failure the answer's Status is recorded too.
    pub async fn complete(self: &Arc<Self>, response: Response<Body>, long_running: bool) -> Response<Body> {
        let level = self.state.lock().wanted.level;
        if level == Level::None {
            return response;
        }
        let code = response.status().as_u16();
        if long_running && code < 400 {
            self.emit(Stage::ResponseStarted, Some((code, None)), None);
            let end = Ended { record: Arc::clone(self), code };
            // The guard lives as long as the body does: until its end, or until the client has gone.
            return response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _ = &end;
                    frame
                }))
            });
        }
        let media = media_of(header(response.headers(), "content-type"));
        let wants_object = level >= Level::RequestResponse && self.info.is_resource_request;
        if media.is_none()
            || response.headers().contains_key(http::header::CONTENT_ENCODING)
            || (code < 400 && !wants_object)
        {
            self.emit(Stage::ResponseComplete, Some((code, None)), None);
            return response;
        }
        let (parts, body) = response.into_parts();
        // These bodies are in memory already; collecting one is a move.
        let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let object = media.and_then(|media| codec::decode(&bytes, media).ok()).map(|decoded| decoded.object);
        let status = object.as_ref().filter(|object| object::kind(object) == "Status");
        self.emit(Stage::ResponseComplete, Some((code, status)), object.as_ref().filter(|_| wants_object));
        Response::from_parts(parts, Body::from(bytes))
    }

    /// The request panicked.
    pub fn panicked(&self) {
        self.emit(Stage::Panic, Some((500, None)), None);
    }

    fn emit(&self, stage: Stage, answer: Option<(u16, Option<&Value>)>, object: Option<&Value>) {
        let state = self.state.lock();
        if state.wanted.level == Level::None || state.wanted.omit_stages.contains(&stage) {
            return;
        }
        let mut event = json!({
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": state.wanted.level.as_str(),
            "auditID": self.id,
            "stage": stage.as_str(),
            "requestURI": self.uri,
            "verb": self.info.verb,
            "user": user_value(&state.user),
            "sourceIPs": [self.source.to_string()],
            "requestReceivedTimestamp": object::rfc3339_micro(self.received),
            "stageTimestamp": object::now_micro(),
        });
        if let Some(user) = &state.impersonated {
            event["impersonatedUser"] = user_value(user);
        }
        if !self.user_agent.is_empty() {
            event["userAgent"] = self.user_agent.as_str().into();
        }
        if self.info.is_resource_request {
            event["objectRef"] = object_ref(&self.info, state.request_object.as_ref());
        }
        if let Some((code, status)) = answer {
            event["responseStatus"] = response_status(code, status);
        }
        if stage != Stage::RequestReceived
            && let Some(object) = &state.request_object
        {
            event["requestObject"] = object.clone();
        }
        if let Some(object) = object {
            event["responseObject"] = trimmed(object.clone(), state.wanted.omit_managed_fields);
        }
        if !state.annotations.is_empty() && stage != Stage::RequestReceived {
            event["annotations"] = json!(state.annotations);
        }
        drop(state);
        self.audit.log.send(serde_json::to_vec(&event).unwrap_or_default());
    }
}

/// The form that a content type names, if it is one of objects.
fn media_of(content_type: &str) -> Option<Media> {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => Some(Media::Json),
        "application/yaml" | "application/apply-patch+yaml" => Some(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Some(Media::Protobuf),
        _ => None,
    }
}

/// Makes the last event of a long-running request when its answer ends.
struct Ended {
    record: Arc<Record>,
    code: u16,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.record.emit(Stage::ResponseComplete, Some((self.code, None)), None);
    }
}

fn object_ref(info: &RequestInfo, object: Option<&Value>) -> Value {
    let mut reference = serde_json::Map::new();
    let name = match object {
        Some(object) if info.name.is_empty() && info.verb == "create" => object::name(object),
        _ => info.name.as_str(),
    };
    for (field, value) in [
        ("resource", info.resource.as_str()),
        ("namespace", &info.namespace),
        ("name", name),
        ("uid", object.map_or("", object::uid)),
        ("apiGroup", &info.api_group),
        ("apiVersion", &info.api_version),
        ("resourceVersion", object.map_or("", object::resource_version)),
        ("subresource", &info.subresource),
    ] {
        if !value.is_empty() {
            reference.insert(field.to_owned(), value.into());
        }
    }
    Value::Object(reference)
}

fn response_status(code: u16, status: Option<&Value>) -> Value {
    let mut answer = json!({"metadata": {}, "code": code});
    for field in ["status", "message", "reason", "details"] {
        if let Some(value) = status.and_then(|status| status.get(field)) {
            answer[field] = value.clone();
        }
    }
    answer
}

/// An object as it is recorded.
fn trimmed(mut object: Value, omit_managed_fields: bool) -> Value {
    fn strip(object: &mut Value) {
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
    }
    if omit_managed_fields {
        strip(&mut object);
        object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(strip);
    }
    object
}

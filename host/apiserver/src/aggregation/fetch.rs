//! What the server behind an APIService says of itself: discovery and OpenAPI.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use portcullis_machinery::{Value, discovery, object};
use serde_json::json;

use super::specs::Spec;
use super::{Learned, Service, proxy};
use crate::context::UserInfo;
use crate::server::ApiServer;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest document that is taken, in bytes.
const LARGEST: usize = 64 << 20;

/// Who the server is when it asks others what they serve.
pub(super) fn aggregator() -> UserInfo {
    UserInfo {
        username: "system:kube-aggregator".to_owned(),
        groups: vec!["system:masters".to_owned()],
        ..UserInfo::default()
    }
}

struct Answer {
    code: StatusCode,
    content_type: String,
    tag: String,
    body: Vec<u8>,
}

async fn get(
    server: &Arc<ApiServer>,
    service: &Service,
    path: &str,
    accept: &'static str,
    known: &str,
) -> Result<Answer, String> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().map_err(|_| format!("invalid path {path:?}"))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(known) = HeaderValue::from_str(known).ok().filter(|known| !known.is_empty()) {
        request.headers_mut().insert(IF_NONE_MATCH, known);
    }
    let user = aggregator();
    let exchange = async {
        let response = proxy::send(server, service, &user, request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?;
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Answer {
            code: parts.status,
            content_type: text(http::header::CONTENT_TYPE),
            tag: text(ETAG),
            body: body.to_bytes().to_vec(),
        })
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err("timed out".to_owned()))
}

/// The version's `APIVersionDiscovery`: out of the aggregated form, or put together from the older one.
///
/// # Errors
/// Why it cannot be had.
pub(super) async fn discovery(server: &Arc<ApiServer>, service: &Service) -> Result<Value, String> {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                  application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    let root = if service.group.is_empty() { "/api" } else { "/apis" };
    let answer = get(server, service, root, accept, "").await?;
    let aggregated = answer.code == StatusCode::OK && answer.content_type.contains("as=APIGroupDiscoveryList");
    if aggregated {
        let document: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        return Ok(out_of(&document, service));
    }
    let answer = get(server, service, &service.path(), "application/json", "").await?;
    if answer.code != StatusCode::OK {
        return Err(format!("failed to download legacy discovery for {}: {}", service.path(), answer.code.as_u16()));
    }
    let document: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    Ok(discovery::of_resource_list(&document, &service.version))
}

/// The service's version in the list of all groups. A server that leaves it out serves nothing in it.
fn out_of(document: &Value, service: &Service) -> Value {
    let group = object::list_at(document, &["items"])
        .iter()
        .find(|group| object::str_at(group, &["metadata", "name"]).unwrap_or_default() == service.group);
    let versions = group.map(|group| object::list_at(group, &["versions"])).unwrap_or_default();
    let found = versions.iter().find(|version| object::str_at(version, &["version"]) == Some(&service.version));
    let mut entry = found.cloned().unwrap_or_else(|| json!({"version": service.version}));
    fill(&mut entry);
    entry
}

/// Clients of 1.26 do not survive a resource without a kind, nor null where a list may be.
fn fill(entry: &mut Value) {
    let Some(members) = entry.as_object_mut() else { return };
    for list in ["resources", "subresources"] {
        if members.get(list).is_some_and(Value::is_null) {
            members.remove(list);
        }
        for item in members.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if item["responseKind"].is_null() {
                item["responseKind"] = json!({"group": "", "version": "", "kind": ""});
            }
            fill(item);
        }
    }
}

/// The URL of the version's OpenAPI v3 document; `None` if the server has none.
///
/// # Errors
/// Why it cannot be said.
pub(super) async fn v3(server: &Arc<ApiServer>, service: &Service) -> Result<Option<Arc<str>>, String> {
    let answer = get(server, service, "/openapi/v3", "application/json", "").await?;
    if answer.code != StatusCode::OK {
        return Ok(None);
    }
    let index: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let path = service.path();
    let entry = index.get("paths").and_then(|paths| paths.get(path.trim_start_matches('/')));
    let url = entry.and_then(|entry| object::str_at(entry, &["serverRelativeURL"]));
    Ok(url.filter(|url| url.starts_with("/openapi/v3/")).map(Arc::from))
}

/// The server's OpenAPI v2 document: the known one if it has not changed, `None` if the server has none.
///
/// # Errors
/// Why it cannot be had.
pub(super) async fn v2(
    server: &Arc<ApiServer>,
    service: &Service,
    known: &Learned,
) -> Result<Option<Arc<Spec>>, String> {
    let tag = known.v2.as_ref().map(|spec| spec.tag.clone()).unwrap_or_default();
    let answer = get(server, service, "/openapi/v2", "application/json", &tag).await?;
    match answer.code {
        StatusCode::NOT_MODIFIED => Ok(known.v2.clone()),
        StatusCode::OK => Spec::read(&answer.body, &answer.tag).map(|spec| Some(Arc::new(spec))),
        _ => Ok(None),
    }
}

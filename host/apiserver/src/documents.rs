//! The documents that say what is served: discovery and OpenAPI.

use axum::body::Body;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Method, Response};
use portcullis_machinery::definition::{Group, Registry};
use portcullis_machinery::{Status, Value, discovery, openapi};

use crate::negotiation::{header, negotiate_plain};
use crate::pki;
use crate::respond;
use crate::server::ApiServer;

/// Answers if the path is one of discovery or OpenAPI; `None` if it is not.
///
/// # Errors
/// 404, 405 or 406 as the reference answers.
pub fn serve(
    server: &ApiServer,
    method: &Method,
    path: &str,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Option<Result<Response<Body>, Status>> {
    let parts: Vec<&str> = path.trim_start_matches('/').trim_end_matches('/').split('/').collect();
    let registry = server.registry.load_full();
    let document = match parts.as_slice() {
        ["openapi", "v2"] => return Some(open_api_v2(&registry, headers)),
        ["openapi", "v3"] => {
            return Some(Ok(open_api(headers, &openapi::v3_index(&registry), "text/plain; charset=utf-8")));
        }
        ["openapi", "v3", rest @ ..] => return Some(Ok(open_api_v3(&registry, headers, &rest.join("/")))),
        ["api"] => Document::Aggregated(true),
        ["apis"] => Document::Aggregated(false),
        ["api", version] => Document::Plain(discovery::api_resource_list(&registry, "", version)),
        ["apis", group] => match discovery::api_group(&registry, group) {
            Some(group) => Document::Plain(Some(group)),
            None => return Some(Ok(respond::page_not_found())),
        },
        ["apis", group, version] => {
            let unknown = |known: &Group| known.custom && !known.versions.iter().any(|one| one == version);
            if registry.group(group).is_none_or(unknown) {
                return Some(Ok(respond::page_not_found()));
            }
            Document::Plain(discovery::api_resource_list(&registry, group, version))
        }
        _ => return None,
    };
    Some(answer(server, &registry, method, query, headers, document))
}

enum Document {
    /// `/api` (true) or `/apis`, which have an aggregated form too.
    Aggregated(bool),
    /// Another document, if it is there.
    Plain(Option<Value>),
}

fn answer(
    server: &ApiServer,
    registry: &Registry,
    method: &Method,
    query: &[(String, String)],
    headers: &HeaderMap,
    document: Document,
) -> Result<Response<Body>, Status> {
    let document = match document {
        Document::Plain(None) => return Err(Status::resource_not_found()),
        _ if *method != Method::GET => return Err(Status::method_not_allowed()),
        Document::Plain(Some(document)) => document,
        Document::Aggregated(core) => {
            if wants_aggregated(headers) {
                let document = discovery::aggregated_v2(registry, core);
                return Ok(tagged(headers, &discovery::etag(&document), || {
                    respond::raw(200, discovery::AGGREGATED_V2, portcullis_machinery::codec::encode(&document))
                }));
            }
            if core {
                let url = pki::server_url(&server.config);
                discovery::api_versions(url.split("://").nth(1).unwrap_or(&url))
            } else {
                discovery::api_group_list(registry)
            }
        }
    };
    let output = negotiate_plain(headers, query)?;
    Ok(respond::value(200, &output, &document))
}

/// Whether the first form that the client takes is the aggregated one.
fn wants_aggregated(headers: &HeaderMap) -> bool {
    header(headers, "accept").split(',').map(|clause| clause.replace(' ', "")).any(|clause| {
        let mut parts = clause.split(';');
        let json = matches!(parts.next(), Some("application/json"));
        let has = |wanted: &str| clause.split(';').any(|part| part == wanted);
        json && has("as=APIGroupDiscoveryList") && has("v=v2") && has("g=apidiscovery.k8s.io")
    })
}

/// The answer, or 304 if the client has it already.
fn tagged(headers: &HeaderMap, etag: &str, make: impl FnOnce() -> Response<Body>) -> Response<Body> {
    let known = header(headers, IF_NONE_MATCH.as_str()).split(',').any(|tag| tag.trim() == etag);
    let mut response = if known { respond::raw(304, "application/json", Body::empty()) } else { make() };
    if known {
        // A client's cache takes the headers of a 304 for the answer's own: with another content type it would read the
        // aggregated form, which it has, as the older one.
        response.headers_mut().remove(http::header::CONTENT_TYPE);
    }
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

fn open_api(headers: &HeaderMap, document: &Value, content_type: &'static str) -> Response<Body> {
    tagged(headers, &discovery::etag(document), || {
        respond::raw(200, content_type, serde_json::to_vec(document).unwrap_or_default())
    })
}

fn open_api_v3(registry: &Registry, headers: &HeaderMap, path: &str) -> Response<Body> {
    let Some(hash) = openapi::document_hash(registry, path) else { return nothing() };
    tagged(headers, &format!("\"{hash}\""), || match openapi::v3_document(registry, &openapi::NoDescriptions, path) {
        Some(document) => respond::raw(200, "application/json", serde_json::to_vec(&document).unwrap_or_default()),
        None => nothing(),
    })
}

/// 404 without a body.
fn nothing() -> Response<Body> {
    let mut response = respond::raw(404, "text/plain", Body::empty());
    response.headers_mut().remove(http::header::CONTENT_TYPE);
    response
}

fn open_api_v2(registry: &Registry, headers: &HeaderMap) -> Result<Response<Body>, Status> {
    let accept = header(headers, "accept");
    let takes = accept.is_empty() || ["*/*", "application/json", "application/*"].iter().any(|t| accept.contains(t));
    if !takes {
        return Ok(respond::raw(406, "text/plain; charset=utf-8", Body::empty()));
    }
    let document = openapi::v2_document(registry, &openapi::NoDescriptions);
    Ok(open_api(headers, &document, "application/json"))
}

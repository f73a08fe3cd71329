//! The documents that say what is served: discovery and OpenAPI. They are made once for what is served at a moment.

pub mod openapi;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, Response};
use parking_lot::Mutex;
use portcullis_machinery::definition::{Group, Registry};
use portcullis_machinery::{Status, Value, codec, discovery};

use crate::aggregation::Services;
use crate::context::Context;
use crate::negotiation::{header, negotiate_plain};
use crate::pki;
use crate::respond;
use crate::server::ApiServer;

/// Answers if the path is one of discovery or OpenAPI; `None` if it is not.
///
/// # Errors
/// 404, 405 or 406 as the reference answers.
pub async fn serve(
    server: &Arc<ApiServer>,
    cx: &Context,
    request: Request<Body>,
    query: &[(String, String)],
) -> Option<Result<Response<Body>, Status>> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_start_matches('/').trim_end_matches('/').split('/').collect();
    let registry = server.registry.load_full();
    let services = server.aggregation.services();
    let document = match parts.as_slice() {
        ["openapi", version @ ("v2" | "v3"), rest @ ..] => {
            return Some(Ok(openapi::serve(server, cx, version, &rest.join("/"), query, request).await));
        }
        ["api"] => Document::Root(Root::Core),
        ["apis"] => Document::Root(Root::Groups),
        ["api", version] => Document::Plain(discovery::api_resource_list(&registry, "", version)),
        ["apis", group] => match discovery::api_group(&registry, &services.discovery, group) {
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
    let served = server.discovery.of(registry, services);
    Some(answer(server, &served, request.method(), query, request.headers(), document))
}

/// What has an aggregated form too.
#[derive(Clone, Copy)]
enum Root {
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
}

enum Document {
    /// One of the roots.
    Root(Root),
    /// Another document, if it is there.
    Plain(Option<Value>),
}

/// The discovery of what is served at one moment.
struct Served {
    registry: Arc<Registry>,
    services: Arc<Services>,
    groups: Value,
    /// The aggregated forms of `/api` and `/apis`, each with its tag.
    aggregated: [(String, Bytes); 2],
}

/// The documents of discovery, replaced when something else is served.
#[derive(Default)]
pub struct Discovery {
    current: Mutex<Option<Arc<Served>>>,
}

impl Discovery {
    fn of(&self, registry: Arc<Registry>, services: Arc<Services>) -> Arc<Served> {
        let mut current = self.current.lock();
        let same = |served: &&Arc<Served>| {
            Arc::ptr_eq(&served.registry, &registry) && Arc::ptr_eq(&served.services, &services)
        };
        if let Some(served) = current.as_ref().filter(same) {
            return Arc::clone(served);
        }
        let aggregated = |core| {
            let document = discovery::aggregated_v2(&registry, &services.discovery, core);
            (discovery::etag(&document), codec::encode(&document))
        };
        let served = Arc::new(Served {
            groups: discovery::api_group_list(&registry, &services.discovery),
            aggregated: [aggregated(true), aggregated(false)],
            registry,
            services,
        });
        *current = Some(Arc::clone(&served));
        served
    }
}

fn answer(
    server: &ApiServer,
    served: &Served,
    method: &Method,
    query: &[(String, String)],
    headers: &HeaderMap,
    document: Document,
) -> Result<Response<Body>, Status> {
    let document = match document {
        Document::Plain(None) => return Err(Status::resource_not_found()),
        _ if *method != Method::GET => return Err(Status::method_not_allowed()),
        Document::Plain(Some(document)) => document,
        Document::Root(root) if wants_aggregated(headers) => {
            let (tag, bytes) = &served.aggregated[root as usize];
            return Ok(tagged(headers, tag, || respond::raw(200, discovery::AGGREGATED_V2, bytes.clone())));
        }
        Document::Root(Root::Core) => {
            let url = pki::server_url(&server.config);
            discovery::api_versions(url.split("://").nth(1).unwrap_or(&url))
        }
        Document::Root(Root::Groups) => {
            let output = negotiate_plain(headers, query)?;
            return Ok(respond::value(200, &output, &served.groups));
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

/// Whether the client has the document of this tag.
fn has_tag(headers: &HeaderMap, etag: &str) -> bool {
    header(headers, IF_NONE_MATCH.as_str()).split(',').any(|tag| tag.trim() == etag)
}

/// The answer, or 304 if the client has it already.
fn tagged(headers: &HeaderMap, etag: &str, make: impl FnOnce() -> Response<Body>) -> Response<Body> {
    let known = has_tag(headers, etag);
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

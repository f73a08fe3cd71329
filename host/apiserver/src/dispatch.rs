//! Routes an authenticated and authorized request to the handler of its verb.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, Response};
use portcullis_machinery::{Status, codec};

use crate::aggregation;
use crate::connect;
use crate::context::Context;
use crate::customresources::routes;
use crate::documents;
use crate::handlers::{Scope, component_status, create, delete, get, list, patch, scale, subresources, update, watch};
use crate::modules;
use crate::negotiation::{Output, check_route_accept, negotiate, negotiate_plain, negotiate_untransformed};
use crate::request_info::query_pairs;
use crate::server::ApiServer;
use crate::{respond, reviews};

/// Answers a request. Whatever goes wrong becomes a Status in the form that the client takes.
pub async fn dispatch(server: &Arc<ApiServer>, cx: &Context, request: Request<Body>) -> Response<Body> {
    let query = query_pairs(request.uri().query().unwrap_or(""));
    let output = negotiate_plain(request.headers(), &query).unwrap_or_default();
    match route(server, cx, request, query).await {
        Ok(response) => response,
        Err(status) => respond::status(&output, &status),
    }
}

async fn route(
    server: &Arc<ApiServer>,
    cx: &Context,
    request: Request<Body>,
    query: Vec<(String, String)>,
) -> Result<Response<Body>, Status> {
    let info = &cx.info;
    let path = request.uri().path();
    if let Some(service) = server.aggregation.services().of_path(path) {
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(Status::resource_not_found());
        }
        return Ok(aggregation::proxy::proxy(server, service, cx, request).await);
    }
    if !info.is_resource_request {
        let known = documents::serve(server, cx, request, &query).await;
        return known.unwrap_or_else(|| Ok(respond::page_not_found()));
    }
    let registry = server.registry.load_full();
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(Status::resource_not_found());
    }
    let Some(group) = registry.group(&info.api_group) else { return Ok(respond::page_not_found()) };
    // The reference's extension server answers what it does not know as a path, not as a resource.
    let unknown = || if group.custom { Ok(respond::page_not_found()) } else { Err(Status::resource_not_found()) };
    if !group.versions.contains(&info.api_version) {
        return unknown();
    }
    let found = registry.resource(&info.api_group, &info.api_version, &info.resource);
    let Some(definition) = found.cloned() else { return unknown() };
    let is_namespace = definition.plural == "namespaces" && definition.group.is_empty();
    if !definition.namespaced && !info.namespace.is_empty() && !is_namespace {
        return unknown();
    }
    routes::warn(cx, &definition);
    let subresource = match info.subresource.as_str() {
        "" => None,
        name => Some(definition.subresource(name).cloned().ok_or_else(|| {
            let missing = || Status::not_found(&definition.group, &definition.plural, &info.name);
            if group.custom { missing() } else { Status::resource_not_found() }
        })?),
    };
    match (definition.group.as_str(), definition.kind.as_str()) {
        ("", "Endpoints") => cx.warn("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("", "ComponentStatus") => cx.warn("v1 ComponentStatus is deprecated in v1.19+"),
        _ => {}
    }
    // A list with `fieldSelector=metadata.name=x` has that name in its info; the path is what counts here.
    let collection = matches!(info.verb.as_str(), "list" | "deletecollection" | "create")
        || (info.verb == "watch" && !path.contains("/watch/"));
    let name = if collection && subresource.is_none() { String::new() } else { info.name.clone() };
    let streams = matches!(info.subresource.as_str(), "log" | "exec" | "attach" | "portforward" | "proxy");
    if streams && subresource.is_some() {
        let scope = Scope {
            server: server.clone(),
            cx: cx.clone(),
            namespace: info.namespace.clone(),
            name,
            subresource,
            definition,
            query,
            headers: request.headers().clone(),
            output: Output::default(),
            raw_data: None,
        };
        check_method(&scope, request.method(), false)?;
        return connect::connect(&scope, request).await;
    }
    let (parts, body) = request.into_parts();
    let mut scope = Scope {
        server: server.clone(),
        cx: cx.clone(),
        namespace: if definition.namespaced { info.namespace.clone() } else { String::new() },
        name,
        subresource,
        definition,
        query,
        headers: parts.headers,
        output: Output::default(),
        raw_data: None,
    };
    check_method(&scope, &parts.method, info.name.is_empty() || collection)?;
    let method = parts.method;
    if method == Method::PATCH {
        patch::kind_of(&scope)?;
    }
    if modules::is_content(&scope.definition, scope.sub()) {
        return modules::content(&mut scope, &method, body).await;
    }
    check_route_accept(&scope.headers, matches!(info.verb.as_str(), "list" | "watch"), &[])?;
    if scope.definition.namespaced
        && scope.namespace.is_empty()
        && !matches!(info.verb.as_str(), "list" | "watch" | "deletecollection" | "create")
    {
        return Err(Status::resource_not_found());
    }
    let (api_version, kind) = scope.answers_with();
    let protobuf = scope.definition.builtin && codec::protobuf::can_encode(&api_version, &kind);
    let bare = reviews::is_review(&scope.definition.group, &scope.definition.plural)
        || scope.definition.plural == "bindings"
        || matches!(scope.sub(), "binding" | "eviction" | "token");
    scope.output = if bare {
        negotiate_untransformed(&scope.headers, &scope.query, protobuf)?
    } else {
        negotiate(&scope.headers, &scope.query, protobuf)?
    };
    if scope.sub() == "scale" {
        return scale::scale(&scope, &method, body).await;
    }
    if scope.definition.group.is_empty() && scope.definition.kind == "ComponentStatus" {
        return component_status::serve(&scope).await;
    }
    match info.verb.as_str() {
        "get" if method == Method::GET => get::get(&scope).await,
        "list" => list::list(&scope).await,
        "watch" => {
            let name = scope.name.clone();
            watch::watch(&scope, &name).await
        }
        "create" if scope.subresource.is_some() => subresources::post(&scope, body).await,
        "create" => create::create(&scope, body).await,
        "update" => update::update(&scope, body).await,
        "patch" => patch::patch(&scope, body).await,
        "delete" => delete::delete(&scope, body).await,
        "deletecollection" => delete::delete_collection(&scope, body).await,
        _ => Err(Status::method_not_allowed()),
    }
}

/// Refuses methods that the resource does not serve: as the reference's routes, by method and path.
fn check_method(scope: &Scope, method: &Method, collection: bool) -> Result<(), Status> {
    let has = |verb: &str| match &scope.subresource {
        Some(sub) => sub.verbs.iter().any(|v| v == verb),
        None => scope.definition.has_verb(verb),
    };
    let verb = if scope.subresource.is_some() {
        match *method {
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            // Whatever may be asked of an application may be asked through the proxy.
            Method::HEAD | Method::OPTIONS if scope.sub() == "proxy" => "get",
            _ => "",
        }
    } else {
        match (method, collection) {
            (&Method::GET, true) if scope.cx.info.verb == "watch" => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) if scope.cx.info.verb == "watch" => "watch",
            (&Method::GET, false) => "get",
            (&Method::POST, true) => "create",
            (&Method::DELETE, true) => "deletecollection",
            (&Method::PUT, false) => "update",
            (&Method::PATCH, false) => "patch",
            (&Method::DELETE, false) => "delete",
            _ => "",
        }
    };
    let collection_of_all = scope.definition.namespaced && scope.namespace.is_empty();
    let allowed =
        !verb.is_empty() && has(verb) && !(collection_of_all && matches!(verb, "create" | "deletecollection"));
    // The path of one object takes no POST although the collection does.
    let post_to_object = verb == "create" && scope.subresource.is_none() && !scope.cx.info.name.is_empty();
    match allowed && !post_to_object {
        true => Ok(()),
        false if scope.definition.custom.is_some() => Err(routes::method_not_supported(scope, method)),
        false => Err(Status::method_not_allowed()),
    }
}

/// What the server must have made before it serves: the caches of everything that is stored.
pub fn start_caches(server: &ApiServer) {
    for definition in server.registry.load().all() {
        let storage = &definition.storage;
        if definition.is_stored() && storage.version == definition.version && storage.group == definition.group {
            let _ = crate::handlers::scope::cache_of(server, definition);
        }
    }
}

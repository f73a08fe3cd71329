//! Requests that go on to somebody else: to a node's kubelet (logs, exec, attach, port-forward, the node's own API) or to a
//! pod's or service's port (`proxy`). What is asked for is looked up in the store and never taken from the client: an
//! address that a request names is a pod's, a service endpoint's or a node's.

use std::sync::Arc;

use axum::body::Body;
use http::header::{LOCATION, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use portcullis_client::client::escape;
use portcullis_machinery::{Status, Value, object};
use serde_json::json;

use crate::admission::reinvocation::Reinvocation;
use crate::admission::{AdmissionAttributes, Operation};
use crate::handlers::{Scope, carried, get};
use crate::policies;
use crate::request_info::{first, flag};
use crate::webhooks;

pub(crate) mod forward;
mod location;
mod log;
mod rewrite;

use self::forward::Target;

/// Passes the request on and answers with what the other side answers.
///
/// # Errors
/// 400 for a container or port that does not fit, 403, 404, 500 or 503 if the other side cannot be reached.
pub async fn connect(scope: &Scope, request: Request<Body>) -> Result<Response<Body>, Status> {
    match (scope.resource(), scope.sub()) {
        ("pods", "log") => log::log(scope).await,
        ("pods", "exec" | "attach" | "portforward") => stream(scope, request).await,
        ("pods" | "services" | "nodes", "proxy") => proxy(scope, request).await,
        _ => Err(Status::resource_not_found()),
    }
}

/// The object that the path names.
async fn find(scope: &Scope) -> Result<Arc<Value>, Status> {
    Ok(get::find(&Scope { query: Vec::new(), ..scope.clone() }).await?.value())
}

/// Lets admission look at a connection that is about to be made.
async fn admit(scope: &Scope, mut options: Value, found: Option<Arc<Value>>) -> Result<(), Status> {
    let mut attributes = scope.attributes(Operation::Connect, &scope.name, false, Value::Null);
    attributes.old_object = found;
    scope.server.admission.mutate(&scope.cx, &attributes, &mut options).await?;
    // What is connected to is not changed by connecting, so others do not see an old object.
    let seen = AdmissionAttributes { old_object: None, ..attributes.clone() };
    let of_options = carried::scope_of_body(scope);
    let mut rounds = Reinvocation::default();
    loop {
        policies::mutate(&of_options, &seen, &mut options, &mut rounds).await?;
        webhooks::mutate(&of_options, &seen, &mut options, &mut rounds).await?;
        if !rounds.go_on() {
            break;
        }
    }
    let options = Arc::new(options);
    policies::check(&scope.server, &scope.cx, &seen, &options).await?;
    scope.server.admission.validate(&scope.cx, &attributes, &options).await?;
    webhooks::validate(&of_options, &seen, &options).await
}

/// exec, attach and port-forward: an upgraded connection to the pod's kubelet.
async fn stream(scope: &Scope, request: Request<Body>) -> Result<Response<Body>, Status> {
    let pod = find(scope).await?;
    if *request.method() == Method::GET {
        // A WebSocket is opened by a GET, which must not turn the right to look into the right to act.
        let info = crate::context::RequestInfo { verb: "create".to_owned(), ..scope.cx.info.clone() };
        scope.server.authorizer.require(&scope.cx.user, &info)?;
    }
    admit(scope, options(scope), Some(pod.clone())).await?;
    let name = &scope.name;
    let container = match scope.sub() {
        "portforward" => None,
        _ => Some(location::container(&pod, first(&scope.query, "container").unwrap_or(""))?),
    };
    let node = object::str_at(&pod, &["spec", "nodeName"]).unwrap_or("");
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let sub = if scope.sub() == "portforward" { "portForward" } else { scope.sub() };
    let mut path = format!("/{sub}/{}/{name}", scope.namespace);
    if let Some(container) = container {
        path = format!("{path}/{container}");
    }
    let target = location::kubelet(scope, node, format!("{path}{}", kubelet_query(scope)), false).await?;
    if !request.headers().contains_key(UPGRADE) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let failed = |why: String| Status::failure(500, "", format!("error dialing backend: {why}"));
    forward::forward(request, &target, forward::Host::Target).await.map_err(failed)
}

/// The query in the kubelet's words.
fn kubelet_query(scope: &Scope) -> String {
    let mut pairs = Vec::new();
    for (ours, theirs) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
        if flag(&scope.query, ours) {
            pairs.push(format!("{theirs}=1"));
        }
    }
    let all = |key: &str| scope.query.iter().filter(|(k, _)| k == key).map(|(_, v)| escape(v)).collect::<Vec<_>>();
    pairs.extend(all("command").iter().map(|word| format!("command={word}")));
    let ports = all("ports");
    if !ports.is_empty() {
        pairs.push(format!("port={}", ports.join(",")));
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// The connection's options as admission sees them.
fn options(scope: &Scope) -> Value {
    let kind = scope.subresource.as_ref().map_or("", |sub| sub.kind.as_str());
    let mut options = json!({"kind": kind, "apiVersion": "v1"});
    for (key, value) in &scope.query {
        match key.as_str() {
            "stdin" | "stdout" | "stderr" | "tty" => options[key] = flag(&scope.query, key).into(),
            "command" | "ports" => {
                let list = scope.query.iter().filter(|(k, _)| k == key);
                options[key] =
                    list.map(|(_, v)| v.parse::<u16>().map_or_else(|_| json!(v), |port| json!(port))).collect();
            }
            _ => options[key] = value.as_str().into(),
        }
    }
    options
}

/// `proxy`: the rest of the path is asked of a pod, a service or a node.
async fn proxy(scope: &Scope, request: Request<Body>) -> Result<Response<Body>, Status> {
    let (before, rest) = split_path(request.uri().path(), !scope.namespace.is_empty());
    let kind = scope.subresource.as_ref().map_or("", |sub| sub.kind.as_str());
    admit(scope, json!({"kind": kind, "apiVersion": "v1", "path": rest}), None).await?;
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = if rest.is_empty() { "/" } else { &rest };
    let target = location::of_proxy(scope, format!("{path}{query}")).await?;
    let upgrade = request.headers().contains_key(UPGRADE);
    if rest.is_empty() && !upgrade && matches!(*request.method(), Method::GET | Method::HEAD) {
        // Relative links on the page would lead one level too high.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let location = format!("{}/{query}", request.uri().path());
        response.headers_mut().insert(LOCATION, location.parse().map_err(Status::internal)?);
        return Ok(response);
    }
    let rewrite = rewrite::Rewrite::new(&before, &target.authority(), &forward::host_of(&request));
    let mut request = request;
    if let Ok(uri) = format!("{before}{rest}").parse() {
        request.headers_mut().insert("x-forwarded-uri", uri);
    }
    let failed = |why: String| Status::unavailable(format!("error trying to reach service: {why}"));
    let response = forward::forward(request, &target, forward::Host::Client).await.map_err(failed)?;
    Ok(rewrite.response(response).await)
}

/// A request's path up to `/proxy`, and what follows it.
fn split_path(path: &str, namespaced: bool) -> (String, String) {
    // /api/v1/namespaces/NAMESPACE/RESOURCE/NAME/proxy, or /api/v1/nodes/NAME/proxy
    let segments = if namespaced { 8 } else { 6 };
    let end = path.match_indices('/').nth(segments - 1).map_or(path.len(), |(at, _)| at);
    let (before, rest) = path.split_at(end);
    (before.to_owned(), rest.to_owned())
}

#[cfg(test)]
mod tests;

//! The paths of the kubelet's API. Whoever gets here was let in.

use std::sync::Arc;

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;
use serde_json::json;

use super::{Shared, logs, stats};

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a request.
pub(super) async fn route(shared: &Arc<Shared>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    match parts.as_slice() {
        ["healthz", rest @ ..] if get && matches!(rest, [] | ["ping" | "log" | "syncloop"]) => healthz(shared),
        ["pods"] | ["runningpods"] if get => pods(shared, parts[0] == "runningpods"),
        ["configz"] if get => json(&json!({"kubeletconfig": shared.configuration})),
        ["metrics"] if get => typed(METRICS, stats::kubelet_metrics(shared)),
        ["metrics", "resource"] if get => typed(METRICS, stats::resource_metrics(shared).await),
        ["stats", "summary"] if get => json(&stats::summary(shared).await),
        ["containerLogs", rest @ ..] if get => logs::respond(shared, rest, request.uri().query().unwrap_or("")).await,
        ["exec" | "attach" | "run", namespace, pod, rest @ ..] => no_streaming(shared, parts[0], namespace, pod, rest),
        ["portForward", namespace, pod, ..] => no_streaming(shared, "portForward", namespace, pod, &[]),
        ["healthz" | "pods" | "runningpods" | "configz" | "metrics" | "stats" | "containerLogs", ..] if !get => {
            text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed")
        }
        _ => text(StatusCode::NOT_FOUND, "404: Page Not Found"),
    }
}

/// A plain text answer.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = typed("text/plain; charset=utf-8", text.into());
    *response.status_mut() = status;
    response
}

fn typed(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json(value: &Value) -> Response<Body> {
    typed("application/json", value.to_string())
}

fn healthz(shared: &Shared) -> Response<Body> {
    match shared.api.healthy() {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

fn pods(shared: &Shared, only_running: bool) -> Response<Body> {
    let mut pods = shared.api.pods();
    if only_running {
        pods.retain(|pod| pod.str_at(&["status", "phase"]) == "Running");
    }
    json(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}))
}

/// A pod of the node by its name.
pub(super) fn pod(shared: &Shared, namespace: &str, name: &str) -> Option<Arc<Value>> {
    shared.api.pods().into_iter().find(|pod| pod.name() == name && pod.namespace() == namespace)
}

/// What needs a stream into a container: an application in a Wasm sandbox has no process beside it to be started or
/// talked to.
fn no_streaming(shared: &Shared, what: &str, namespace: &str, name: &str, rest: &[&str]) -> Response<Body> {
    let Some(pod) = pod(shared, namespace, name) else {
        return text(StatusCode::NOT_FOUND, "pod does not exist");
    };
    // The container is the last part of the path; the pod's uid may stand before it.
    if let Some(container) = rest.last()
        && crate::fields::container(&pod, container).is_none()
    {
        return text(StatusCode::NOT_FOUND, format!("container not found ({container:?})"));
    }
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("{what} is not supported by the container runtime of this node"))
}

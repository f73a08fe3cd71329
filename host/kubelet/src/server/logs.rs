//! `/containerLogs/NAMESPACE/POD/CONTAINER`: a container's log, from its file.

use std::sync::Arc;

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;
use portcullis_machinery::log_options::PodLogOptions;

use super::Shared;
use super::routes::{pod, text};

mod format;
mod reader;

/// Answers with the log, or says why there is none.
pub(super) async fn respond(shared: &Arc<Shared>, path: &[&str], query: &str) -> Response<Body> {
    let [namespace, name, container] = path else {
        let missing = ["podNamespace", "podID", "container name"].get(path.len()).unwrap_or(&"container name");
        return text(StatusCode::BAD_REQUEST, format!("{{\"message\": \"Missing {missing}.\"}}"));
    };
    let bad_query = || text(StatusCode::BAD_REQUEST, "{\"message\": \"Unable to decode query.\"}");
    let Ok(mut pairs) = pairs(query) else { return bad_query() };
    // An old name of tailLines.
    if let Some(tail) = pairs.iter().find(|(key, value)| key == "tail" && !value.is_empty()).map(|(_, v)| v.clone()) {
        pairs.retain(|(key, _)| key != "tailLines");
        if tail != "all" {
            pairs.push(("tailLines".to_owned(), tail));
        }
    }
    let Ok(options) = PodLogOptions::from_query(&pairs) else { return bad_query() };
    if !options.validate().is_empty() {
        return text(StatusCode::UNPROCESSABLE_ENTITY, "{\"message\": \"Invalid request.\"}");
    }
    let Some(pod) = pod(shared, namespace, name) else {
        return text(StatusCode::NOT_FOUND, format!("pod {name:?} does not exist"));
    };
    if crate::fields::container(&pod, container).is_none() {
        return text(StatusCode::NOT_FOUND, format!("container {container:?} not found in pod {name:?}"));
    }
    let bad = |why: String| text(StatusCode::BAD_REQUEST, why);
    if let Err(why) = has_log(&pod, container, options.previous) {
        return bad(why);
    }
    let log = match shared.api.log(namespace, name, container, options.previous) {
        Ok(log) => log,
        Err(why) => return bad(why.to_string()),
    };
    match reader::stream(log, &options, Timestamp::now()).await {
        Ok(stream) => {
            let mut response = Response::new(Body::from_stream(stream));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            response
        }
        Err(error) => bad(format!("failed to open log file: {error}")),
    }
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> Result<Vec<(String, String)>, axum::extract::rejection::QueryRejection> {
    let uri = http::Uri::builder().path_and_query(format!("/?{query}")).build().unwrap_or_default();
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|query| query.0)
}

/// Whether a container has (or had) an instance whose log could be read; the error says what it is waiting for.
fn has_log(pod: &Value, container: &str, previous: bool) -> Result<(), String> {
    let name = pod.name();
    let statuses = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all = statuses.iter().flat_map(|list| pod.list_at(&["status", list]));
    let Some(status) = all.find(|status| status.str_at(&["name"]) == container) else {
        return Err(format!("container {container:?} in pod {name:?} is not available"));
    };
    let ran = |state: &str| !status.str_at(&[state, "terminated", "containerID"]).is_empty();
    let is = |state: &str| status.at(&["state", state]).is_some_and(|state| !state.is_null());
    if previous {
        return match ran("lastState") {
            true => Ok(()),
            false => Err(format!("previous terminated container {container:?} in pod {name:?} not found")),
        };
    }
    if is("running") || ran("state") || ran("lastState") {
        return Ok(());
    }
    if is("terminated") || status.at(&["lastState", "terminated"]).is_some_and(|state| !state.is_null()) {
        return Err(format!("terminated container {container:?} in pod {name:?} not found"));
    }
    if !is("waiting") {
        return Err(format!("container {container:?} in pod {name:?} is waiting to start - no logs yet"));
    }
    let why = match status.str_at(&["state", "waiting", "reason"]) {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    Err(format!("container {container:?} in pod {name:?} is waiting to start: {why}"))
}

#[cfg(test)]
mod tests;

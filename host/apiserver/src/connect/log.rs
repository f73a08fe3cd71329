//! A container's log, asked of the pod's kubelet and passed on as it comes.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use portcullis_client::client::escape;
use portcullis_machinery::log_options::PodLogOptions;
use portcullis_machinery::status::StatusDetails;
use portcullis_machinery::{Status, object};

use super::{find, forward, location};
use crate::handlers::Scope;

/// How much of a kubelet's refusal is read.
const MAX_REFUSAL: usize = 50_000;

/// Answers with the log.
///
/// # Errors
/// 400 and 422 for options, 404 for the pod, and what the kubelet refuses with.
pub(super) async fn log(scope: &Scope) -> Result<Response<Body>, Status> {
    let options = PodLogOptions::from_query(&scope.query).map_err(|error| Status::bad_request(error.to_string()))?;
    let causes = options.validate();
    if !causes.is_empty() {
        return Err(Status::invalid("", "PodLogOptions", &scope.name, causes));
    }
    let pod = find(scope).await?;
    let container = location::container(&pod, &options.container)?;
    let node = object::str_at(&pod, &["spec", "nodeName"]).unwrap_or("");
    if node.is_empty() {
        // Nothing was written yet.
        return Ok(text(Body::empty()));
    }
    let query: Vec<String> = options.to_query().iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let path = format!("/containerLogs/{}/{}/{container}{query}", scope.namespace, scope.name);
    let target = location::kubelet(scope, node, path, options.insecure_skip_tls_verify_backend).await?;
    let url = format!("https://{}{}", target.authority(), target.path);
    let answer = forward::forward(Request::new(Body::empty()), &target, forward::Host::Target).await;
    let answer = answer.map_err(|why| Status::failure(500, "", format!("Get {url:?}: {why}")))?;
    let code = answer.status().as_u16();
    if (200..=206).contains(&code) {
        return Ok(text(answer.into_body()));
    }
    let refusal = Limited::new(answer.into_body(), MAX_REFUSAL).collect().await;
    let refusal = refusal.map(|body| body.to_bytes()).unwrap_or_default();
    Err(refused(code, String::from_utf8_lossy(&refusal).trim_end(), &scope.name))
}

fn text(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// What a client is told of a kubelet's refusal.
fn refused(code: u16, message: &str, name: &str) -> Status {
    let (reason, text) = match code {
        400 => return Status::bad_request(message),
        500 => return Status::internal(message),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", message.to_owned()),
        404 => ("NotFound", "the server could not find the requested resource".to_owned()),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned()),
        422 => ("Invalid", "the server rejected our request due to an error in our request".to_owned()),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later".to_owned(),
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".to_owned()),
        504 => ("Timeout", "the server was unable to return a response in the time allotted".to_owned()),
        code if code > 500 => {
            ("InternalError", format!("an error on the server ({message:?}) has prevented the request from succeeding"))
        }
        code => {
            ("Unknown", format!("the server responded with the status code {code} but did not return more information"))
        }
    };
    // The verb is not known at this point in the reference, which leaves its place empty.
    let text = format!("{text} ( pods/log {name})");
    Status::failure(code, reason, text).with_details(StatusDetails {
        name: name.to_owned(),
        kind: "pods/log".to_owned(),
        ..StatusDetails::default()
    })
}

#[cfg(test)]
mod tests;

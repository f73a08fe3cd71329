//! Requests that another server answers.

use std::sync::Arc;

use axum::body::Body;
use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Request, Response};

use super::Service;
use crate::connect::forward;
use crate::context::{RequestContext, UserInfo};
use crate::respond;
use crate::server::ApiServer;

const USER: HeaderName = HeaderName::from_static("x-remote-user");
const UID: HeaderName = HeaderName::from_static("x-remote-uid");
const GROUP: HeaderName = HeaderName::from_static("x-remote-group");
/// What the names of further attributes' headers begin with.
const EXTRA: &str = "x-remote-extra-";

/// Sends a request on to the server behind an APIService, in the name of who asks, and answers as it does.
pub async fn proxy(
    server: &Arc<ApiServer>,
    service: &Service,
    cx: &RequestContext,
    mut request: Request<Body>,
) -> Response<Body> {
    if !service.available {
        return plain(503, "service unavailable");
    }
    forwarded(&mut request, &cx.request_id);
    match send(server, service, &cx.user, request).await {
        Ok(response) if response.status().is_redirection() && response.headers().contains_key(LOCATION) => {
            // A redirect would take the client's credentials to a place of the other server's choice.
            let why = "the backend attempted to redirect this request, which is not permitted";
            respond::raw(502, "text/plain; charset=utf-8", why)
        }
        Ok(response) => response,
        Err(why) => plain(503, &why),
    }
}

/// The same for any caller, whatever is known about the server: what the server itself asks.
///
/// # Errors
/// What went wrong with the connection.
pub(super) async fn send(
    server: &Arc<ApiServer>,
    service: &Service,
    user: &UserInfo,
    request: Request<Body>,
) -> Result<Response<Body>, String> {
    let destination = service.destination.as_ref().map_err(Clone::clone)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (mut request, client) = forward::carry_over(request);
    *request.uri_mut() =
        format!("{}{path}", destination.url()).parse().map_err(|_| format!("invalid path {path:?}"))?;
    identify(request.headers_mut(), user);
    let response = server.outbound.send(server, destination, request).await?;
    Ok(forward::carry_back(response, client))
}

/// Says what the client asked for, and under which id the request is in this server's audit log.
fn forwarded(request: &mut Request<Body>, id: &str) {
    let uri = HeaderValue::from_str(request.uri().path());
    let headers = request.headers_mut();
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    for (name, value) in [("audit-id", HeaderValue::from_str(id)), ("x-forwarded-uri", uri)] {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
}

/// Says in headers who asks. What the client itself said there does not count.
fn identify(headers: &mut HeaderMap, user: &UserInfo) {
    let claimed: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-remote-")).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(name, value);
        }
    };
    add(USER, &user.username);
    if !user.uid.is_empty() {
        add(UID, &user.uid);
    }
    for group in &user.groups {
        add(GROUP, group);
    }
    for (key, values) in &user.extra {
        let Ok(name) = HeaderName::try_from(format!("{EXTRA}{}", escaped(key))) else { continue };
        for value in values {
            add(name.clone(), value);
        }
    }
}

/// The name of an attribute as a part of a header's name: what may not stand there is written `%2f`.
fn escaped(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        let token = byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
        if token {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02x}"));
        }
    }
    text
}

/// An answer in plain text, as the reference's proxy gives it.
fn plain(code: u16, text: &str) -> Response<Body> {
    let mut response = respond::raw(code, "text/plain; charset=utf-8", format!("{text}\n"));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;

//! Requests of the server's own to HTTPS servers that objects name: webhooks, converters, servers of API groups.
//!
//! A [`Destination`] is what an object says about such a server: a `clientConfig` ([`Destination::from_client_config`]),
//! or the same put together by hand. [`Outbound::post`] sends it a document and returns the answer's body;
//! [`Outbound::send`] is for whole requests with bodies that stream, upgrades included.
//!
//! - A URL is gone to as it stands. A Service is resolved for each connection ([`resolve`]), and its certificate must be
//!   for `NAME.NAMESPACE.svc` ([`verify`]).
//! - Connections are kept and used again, for each destination apart ([`pool`]): what a destination is told, and which
//!   certificate it must show, is part of what it is known by.
//! - What goes wrong is told in the words of the reference's HTTP client ([`errors`]), which people search for.
//!
//! ```ignore
//! let destination = Destination::from_client_config(webhook.get("clientConfig"))?;
//! let answer = server.outbound.post(&server, &destination, body, Duration::from_secs(10)).await?;
//! ```

mod connect;
mod destination;
mod errors;
mod pool;
pub mod resolve;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::server::ApiServer;

pub use destination::{Destination, Trust, Where};
pub use errors::OutboundError;
use errors::{problem_of, unexpected};
use pool::Pool;

/// The largest answer that is taken, in bytes.
pub const MAX_ANSWER: usize = 64 << 20;

/// The clients of all destinations; see the module.
#[derive(Debug, Default)]
pub struct Outbound {
    pool: Pool,
}

impl Outbound {
    /// Posts a JSON document and returns the body of the answer, which must be a success and at most [`MAX_ANSWER`]
    /// bytes. `timeout` is for all of it, and is told to the other side as the query's `timeout`, as the reference does.
    ///
    /// # Errors
    /// [`OutboundError::Transport`] if no answer came in time, [`OutboundError::Refused`] if it was not a success.
    pub async fn post(
        &self,
        server: &Arc<ApiServer>,
        destination: &Destination,
        document: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, OutboundError> {
        let url = format!("{}?timeout={}", destination.url(), seconds(timeout));
        let failed = |problem: String| OutboundError::Transport { method: "Post", url: url.clone(), problem };
        let mut request = Request::new(Body::from(document));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(|error: http::uri::InvalidUri| failed(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(USER_AGENT, HeaderValue::from_static("kube-apiserver-admission"));
        let exchange = async {
            let response = self.send(server, destination, request).await.map_err(failed)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                let problem = match error.downcast_ref::<LengthLimitError>() {
                    Some(_) => format!("the answer has more than {MAX_ANSWER} bytes"),
                    None => problem_of(&*error),
                };
                OutboundError::Transport { method: "Post", url: url.clone(), problem }
            })?;
            let body = body.to_bytes();
            if (200..=206).contains(&parts.status.as_u16()) {
                return Ok(body);
            }
            let retry = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Err(OutboundError::Refused(Box::new(unexpected(parts.status.as_u16(), &parts.headers, &body, retry))))
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(failed("context deadline exceeded".to_owned())))
    }

    /// Sends a request, whose URI must be absolute, on a connection to the destination, and returns the answer as it
    /// streams in. Dropping the future or the body ends the exchange. There is no timeout but that of connecting.
    ///
    /// # Errors
    /// What went wrong, in the reference's words: `dial tcp 127.0.0.1:1: connect: connection refused`.
    pub async fn send(
        &self,
        server: &Arc<ApiServer>,
        destination: &Destination,
        request: Request<Body>,
    ) -> Result<Response<Body>, String> {
        let client = self.pool.client(server, destination)?;
        client.request(request).await.map(|response| response.map(Body::new)).map_err(|error| problem_of(&error))
    }
}

/// A duration as the reference writes it where it is a number of seconds: `10s`.
fn seconds(timeout: Duration) -> String {
    if timeout.subsec_millis() == 0 { format!("{}s", timeout.as_secs()) } else { format!("{}s", timeout.as_secs_f64()) }
}

#[cfg(test)]
mod tests;

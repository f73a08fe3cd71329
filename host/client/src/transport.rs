//! How requests reach the server: the trait, and its HTTPS implementation.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

use crate::error::ClientError;

mod dial;
mod https;
mod stream;
pub use dial::{authority, dial};
pub use https::{HttpsTransport, client_tls};
pub use stream::Stream;

/// A response body as it streams in: a watch's never ends by itself.
pub type ClientBody = UnsyncBoxBody<Bytes, ClientError>;

/// Carries one request to the API server and its answer back.
///
/// The request's URI is the path and query only; a transport adds authority and credentials. Dropping the returned
/// future or body ends the request.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends a request. `Err` means that there is no answer; an answer with an error code is `Ok`.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError>;
}

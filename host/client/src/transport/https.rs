//! The HTTPS transport.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use super::{ClientBody, Transport};
use crate::error::ClientError;
use crate::kubeconfig::ClientConfig;

/// HTTP/2 (or 1.1) over TLS to one API server.
pub struct HttpsTransport {}

impl HttpsTransport {
    /// A transport for a configuration; connects when the first request is sent.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let _ = config;
        todo!()
    }
}

#[async_trait]
impl Transport for HttpsTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError> {
        let _ = request;
        todo!()
    }
}

//! The way to the API server for what runs in its process: no socket, and every step of a request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use portcullis_apiserver::authn::{ConnectionInfo, PeerCertificates};
use portcullis_apiserver::pki::Component;
use portcullis_apiserver::{ApiServer, Body};
use portcullis_client::{Client, ClientBody, ClientError, Transport};

struct InProcess {
    server: Arc<ApiServer>,
    /// The component's client certificate, which the server authenticates it by on every request.
    peer: Arc<PeerCertificates>,
}

/// A client with the identity of a component.
pub fn client(server: &Arc<ApiServer>, component: Component) -> Client {
    let chain = server.pki.identity(component).chain.clone();
    let peer = server.pki.verify_client(chain);
    Client::new(Arc::new(InProcess { server: Arc::clone(server), peer }))
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError> {
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let connection = ConnectionInfo { remote, peer: Arc::clone(&self.peer), in_process: true };
        let server = Arc::clone(&self.server);
        let response = server.handle(request.map(Body::from), connection).await;
        Ok(response.map(|body| body.map_err(|error| ClientError::Transport(error.to_string())).boxed_unsync()))
    }
}

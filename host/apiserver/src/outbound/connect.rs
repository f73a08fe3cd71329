//! Connections to a destination.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use portcullis_client::transport::{Stream, dial};
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::errors::{Problem, tls_problem};
use super::{Where, resolve};
use crate::server::ApiServer;

/// How long a connection may take to come about.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the handshake may take after it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the connections to one destination.
#[derive(Clone)]
pub(super) struct Connector {
    pub server: Weak<ApiServer>,
    pub place: Arc<Where>,
    pub tls: TlsConnector,
    /// The name that the certificate must be for, if not the URL's host.
    pub name: Option<String>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, Problem> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (address, port) = match &*self.place {
            Where::Url(_) => (host.clone(), uri.port_u16().unwrap_or(443)),
            Where::Service { namespace, name, port, .. } => {
                let server = self.server.upgrade().ok_or_else(|| Problem("the server is shutting down".into()))?;
                let found = resolve::resolve(&server, namespace, name, *port).await;
                found.map_err(|status| Problem(status.message))?
            }
        };
        let tcp = dial(&address, port, DIAL_TIMEOUT).await.map_err(Problem)?;
        tcp.set_nodelay(true).map_err(|error| Problem(error.to_string()))?;
        let name = ServerName::try_from(self.name.unwrap_or(host)).map_err(|error| Problem(error.to_string()))?;
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.tls.connect(name, tcp)).await;
        let stream = handshake.map_err(|_| Problem("net/http: TLS handshake timeout".into()))?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream.map_err(|error| Problem(tls_problem(&error)))?))))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Problem;
    type Future = BoxFuture<'static, Result<Stream, Problem>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

//! The kubelet's own API: HTTPS, by default on port 10250. `kubectl logs` ends here (through the API server's proxy), and
//! monitoring reads the node's and the pods' numbers here.
//!
//! Every request passes the same three steps: [`auth`] says who asks (a client certificate of the cluster, or a bearer
//! token that the API server knows) and asks the API server whether they may, then [`routes`] answers. Nothing is open to
//! everybody.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use jiff::Timestamp;
use portcullis_client::Client;
use portcullis_machinery::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::runtime::ContainerStats;

mod auth;
mod certificate;
mod logs;
mod routes;
mod stats;

use self::auth::{Gate, Peer};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A certificate or key cannot be read, made or used.
    #[error("{what}: {why}")]
    Certificate {
        /// Which.
        what: String,
        /// Why not.
        why: String,
    },
}

/// What the server is told.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes any that is free.
    pub address: SocketAddr,
    /// The node's name, which requests are authorized for.
    pub node_name: String,
    /// The serving certificate and its key as PEM files. Without them, a self-signed certificate is made and kept in
    /// `directory`.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where a certificate of our own making is kept.
    pub directory: PathBuf,
    /// What that certificate is for, beside the node's name: host names and addresses.
    pub names: Vec<String>,
    /// The PEM of the CA whose client certificates are taken; `None` to take none.
    pub client_ca: Option<String>,
    /// What `/configz` shows as the kubelet's configuration.
    pub configuration: Value,
}

/// A container's log.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// The file in the CRI's format. It may be renamed and made anew while it is read (rotation).
    pub path: PathBuf,
    /// Cancelled once nothing more will be written: the container has ended.
    pub ended: CancellationToken,
}

/// Why the node could not give what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeApiError {
    /// There is no such pod, container or log (any more).
    #[error("{0}")]
    NotFound(String),
    /// It is there and cannot be had.
    #[error("{0}")]
    Failed(String),
}

/// What a container uses.
#[derive(Clone, Debug)]
pub struct ContainerUsage {
    /// The container's name.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
    /// The runtime's numbers.
    pub stats: ContainerStats,
}

/// What a pod's containers use.
#[derive(Clone, Debug)]
pub struct PodUsage {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
    /// When the pod started.
    pub started_at: Timestamp,
    /// The containers that run.
    pub containers: Vec<ContainerUsage>,
}

/// What the server asks of the node agent.
#[async_trait::async_trait]
pub trait NodeApi: Send + Sync + 'static {
    /// The node's pods with their latest status.
    fn pods(&self) -> Vec<Arc<Value>>;

    /// The log of a container's present instance, or of the one before.
    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<LogFile, NodeApiError>;

    /// What the containers that run use now.
    async fn stats(&self) -> Vec<PodUsage>;

    /// Whether the agent does its work; `Err` says what is wrong.
    fn healthy(&self) -> Result<(), String> {
        Ok(())
    }

    /// The agent's counters in the Prometheus text format.
    fn metrics(&self) -> String {
        String::new()
    }
}

/// What answering needs.
struct Shared {
    gate: Gate,
    api: Arc<dyn NodeApi>,
    stats: stats::Stats,
    node_name: String,
    configuration: Value,
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

impl Server {
    /// Takes the address and readies the certificate. `client` is the kubelet's own identity, which asks the API server
    /// about tokens and rights.
    ///
    /// # Errors
    /// If the address is taken or the certificate cannot be used.
    pub async fn bind(config: ServerConfig, client: &Client, api: Arc<dyn NodeApi>) -> Result<Self, ServerError> {
        let gate = Gate::new(client.clone(), &config)?;
        let tls = certificate::server_tls(&config)?;
        let listener = TcpListener::bind(config.address)
            .await
            .map_err(|source| ServerError::Listen { address: config.address, source })?;
        let shared = Arc::new(Shared {
            gate,
            api,
            stats: stats::Stats::new(),
            node_name: config.node_name,
            configuration: config.configuration,
        });
        Ok(Self { listener, acceptor: TlsAcceptor::from(Arc::new(tls)), shared })
    }

    /// Where it listens: the port belongs into the node's `status.daemonEndpoints`.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until shutdown, then lets requests under way end for a short time.
    pub async fn run(self, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
        let builder = Arc::new(builder);
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others must get time to close theirs.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (acceptor, shared, builder) = (self.acceptor.clone(), self.shared.clone(), builder.clone());
            let shutdown = shutdown.clone();
            connections.spawn(async move {
                if let Err(error) = connection(&acceptor, shared, &builder, stream, shutdown).await {
                    tracing::debug!(%error, "a connection to the kubelet ended");
                }
            });
        }
        connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            tracing::debug!("some requests to the kubelet were cut off by the shutdown");
        }
    }
}

async fn connection(
    acceptor: &TlsAcceptor,
    shared: Arc<Shared>,
    builder: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    let peer = Arc::new(Peer::new(stream.get_ref().1.peer_certificates()));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (shared, peer) = (shared.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(answer(&shared, &peer, request.map(Body::new)).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

async fn answer(shared: &Arc<Shared>, peer: &Peer, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match shared.gate.pass(peer, &parts).await {
        Ok(()) => routes::route(shared, Request::from_parts(parts, body)).await,
        Err(refusal) => refusal,
    }
}

/// Listens and answers until shutdown.
///
/// # Errors
/// If the server cannot be started.
pub async fn serve(
    config: ServerConfig,
    client: &Client,
    api: Arc<dyn NodeApi>,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    Server::bind(config, client, api).await?.run(shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;

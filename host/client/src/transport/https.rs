//! The HTTPS transport.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ClientBody, Stream, Transport};
use crate::error::ClientError;
use crate::kubeconfig::{ClientConfig, Token};

mod tls;

pub use tls::client_tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a token file's content is used before the file is read again.
const TOKEN_AGE: Duration = Duration::from_secs(10);

/// HTTP/2 (or 1.1) over TLS to one API server, on one shared connection where the server speaks HTTP/2.
pub struct HttpsTransport {
    client: HyperClient<Connector, Full<Bytes>>,
    scheme: Scheme,
    authority: Authority,
    /// A path before all paths, without a slash at its end; usually empty.
    prefix: String,
    token: Token,
    token_seen: Mutex<Option<(Instant, HeaderValue)>>,
}

impl HttpsTransport {
    /// A transport for a configuration; connects when the first request is sent.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let bad = |error: &dyn std::fmt::Display| ClientError::Config(format!("server {:?}: {error}", config.server));
        let uri: Uri = config.server.parse().map_err(|error| bad(&error))?;
        let scheme = uri.scheme().cloned().ok_or_else(|| bad(&"not an https:// URL"))?;
        let authority = uri.authority().cloned().ok_or_else(|| bad(&"no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if scheme == Scheme::HTTPS {
            let name = config.tls_server_name.clone().unwrap_or_else(|| host.clone());
            let name = ServerName::try_from(name).map_err(|error| bad(&error))?;
            Some((TlsConnector::from(Arc::new(client_tls(config)?)), name))
        } else {
            None
        };
        let default_port = if tls.is_some() { 443 } else { 80 };
        let connector = Connector { host, port: authority.port_u16().unwrap_or(default_port), tls };
        // The pings find out within 45 seconds that a peer is gone without a word, which TCP alone would not for hours.
        let client = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(15))
            .http2_keep_alive_while_idle(true)
            .http2_adaptive_window(true)
            .http2_max_header_list_size(1 << 20)
            .build(connector);
        Ok(Self {
            client,
            scheme,
            authority,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            token: config.token.clone(),
            token_seen: Mutex::new(None),
        })
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, ClientError> {
        let header = |token: &str| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| ClientError::Config("the bearer token has characters no header may have".into()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        match &self.token {
            Token::None => Ok(None),
            Token::Fixed(token) => header(token).map(Some),
            Token::File(path) => {
                let mut seen = self.token_seen.lock();
                if let Some((at, value)) = &*seen
                    && at.elapsed() < TOKEN_AGE
                {
                    return Ok(Some(value.clone()));
                }
                match std::fs::read_to_string(path) {
                    Ok(token) => {
                        let value = header(&token)?;
                        *seen = Some((Instant::now(), value.clone()));
                        Ok(Some(value))
                    }
                    // The file is missing for a moment while it is rotated: the old token is still good.
                    Err(error) => match &*seen {
                        Some((_, value)) => Ok(Some(value.clone())),
                        None => Err(ClientError::Config(format!("{}: {error}", path.display()))),
                    },
                }
            }
        }
    }
}

#[async_trait]
impl Transport for HttpsTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
            .map_err(|error| ClientError::Decode(error.to_string()))?;
        if let Some(value) = self.authorization()?
            && !parts.headers.contains_key(header::AUTHORIZATION)
        {
            parts.headers.insert(header::AUTHORIZATION, value);
        }
        let response = self
            .client
            .request(Request::from_parts(parts, Full::new(body)))
            .await
            .map_err(|error| ClientError::Transport(chain(&error)))?;
        Ok(response.map(|body| body.map_err(|error| ClientError::Transport(chain(&error))).boxed_unsync()))
    }
}

/// An error with its causes: hyper's own texts say only where, never why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[derive(Clone)]
struct Connector {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    async fn connect(self) -> std::io::Result<Stream> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        match self.tls {
            None => Ok(Stream::Plain(TokioIo::new(tcp))),
            Some((connector, name)) => Ok(Stream::Tls(Box::new(TokioIo::new(connector.connect(name, tcp).await?)))),
        }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, std::io::Result<Stream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connect = self.clone().connect();
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIMEOUT, connect)
                .await
                .unwrap_or_else(|_| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "connecting took too long")))
        })
    }
}

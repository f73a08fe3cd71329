//! One request on a connection of its own to somebody else, and the answer as it comes: nothing is buffered, and an
//! upgraded connection is piped.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use portcullis_client::transport::{authority, dial};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// How long connecting may take, with TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that are about one connection and not about the request (RFC 9110).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Where a request goes.
pub(super) struct Target {
    /// The settings if TLS is to be spoken.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path with its query.
    pub path: String,
}

impl Target {
    /// `host:port`.
    pub(super) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// What the other side sees as the request's host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// Its own address.
    Target,
    /// What the client asked for, so that the application can make links to it.
    Client,
}

/// The host that a request was sent to.
pub(super) fn host_of<B>(request: &Request<B>) -> String {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri().authority().map(|authority| authority.as_str())).unwrap_or("").to_owned()
}

/// Sends a request on. The error says what went wrong with the connection.
pub(super) async fn forward(request: Request<Body>, target: &Target, host: Host) -> Result<Response<Body>, String> {
    let mut sender = open(target).await?;
    let (request, client) = onward(request, target, host)?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    Ok(carry_back(response.map(Body::new), client))
}

/// What the other side answered as the client gets it: an upgraded connection is piped.
pub(crate) fn carry_back(mut response: Response<Body>, client: Option<OnUpgrade>) -> Response<Body> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = client
    {
        let other = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(client), Ok(other)) = tokio::join!(client, other) else { return };
            let (mut client, mut other) = (TokioIo::new(client), TokioIo::new(other));
            // Either side may just go away; the other one then sees the end.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut other).await;
        });
        return response;
    }
    strip(response.headers_mut());
    response
}

async fn open(target: &Target) -> Result<SendRequest<Body>, String> {
    let tcp = dial(&target.host, target.port, CONNECT_TIMEOUT).await?;
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(tls) = &target.tls else { return handshake(tcp).await };
    let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
    let connecting = TlsConnector::from(tls.clone()).connect(name, tcp);
    let stream =
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| "net/http: TLS handshake timeout")?;
    handshake(stream.map_err(|error| format!("tls: {error}"))?).await
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Body>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection that was passed on ended");
        }
    });
    Ok(sender)
}

/// The request as the other side gets it, and the client's side of an upgrade if the client asks for one.
fn onward(request: Request<Body>, target: &Target, host: Host) -> Result<(Request<Body>, Option<OnUpgrade>), String> {
    let asked = match host {
        Host::Client => host_of(&request),
        Host::Target => String::new(),
    };
    let asked = if asked.is_empty() { target.authority() } else { asked };
    let (mut onward, client) = carry_over(request);
    *onward.uri_mut() = target.path.parse::<Uri>().map_err(|error| error.to_string())?;
    let host = HeaderValue::from_str(&asked).map_err(|error| error.to_string())?;
    onward.headers_mut().insert(header::HOST, host);
    Ok((onward, client))
}

/// A request without its place, its host and what is between the client and this server alone, and the client's side of
/// an upgrade if it asks for one.
pub(crate) fn carry_over(mut request: Request<Body>) -> (Request<Body>, Option<OnUpgrade>) {
    let upgrade = request.headers().get(header::UPGRADE).cloned();
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut onward = Request::new(body);
    *onward.method_mut() = parts.method;
    let headers = onward.headers_mut();
    *headers = parts.headers;
    strip(headers);
    headers.remove(header::HOST);
    // Whoever answers is not to learn what the client is known by here.
    headers.remove(header::AUTHORIZATION);
    let own: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    (onward, client)
}

/// Takes away what is about the connection, with what `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

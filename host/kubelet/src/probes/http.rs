//! HTTP probes. A code of 200 to 399 is success. Redirects are followed on the same host, at most ten times; one to another
//! host counts as success with a warning, so that a probe cannot be made to ask anybody else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use portcullis_client::ClientConfig;
use portcullis_client::transport::{authority, client_tls, dial};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::spec::HttpGet;
use super::{Attempt, ProbeTarget};

/// How much of an answer's body is read.
const MAX_BODY: usize = 10 * 1024;
const MAX_REDIRECTS: usize = 10;
/// What the reference calls itself, by the version of the API that is served.
pub(super) const USER_AGENT: &str = "kube-probe/1.36";

/// One GET.
pub(super) async fn probe(get: &HttpGet, target: &ProbeTarget, timeout: Duration) -> Attempt {
    let port = match target.port(&get.port) {
        Ok(port) => port,
        Err(why) => return Attempt::Error(why),
    };
    let scheme = if get.tls { "https" } else { "http" };
    let path = if get.path.starts_with('/') { get.path.clone() } else { format!("/{}", get.path) };
    let url = format!("{scheme}://{}{}", authority(&target.host(&get.host), port), escape(&path));
    let headers = match headers(get) {
        Ok(headers) => headers,
        Err(why) => return Attempt::Error(why),
    };
    match tokio::time::timeout(timeout, follow(&url, headers, timeout)).await {
        Ok(attempt) => attempt,
        Err(_) => Attempt::Failure(format!(
            "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

/// Percent-encodes what may not stand in a URI, and leaves what is encoded already.
fn escape(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    path.bytes()
        .map(|byte| match byte {
            b'!' | b'#'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~' | b'[' | b']' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The headers of the probe. `User-Agent` and `Accept` have defaults, which an empty value takes away.
fn headers(get: &HttpGet) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &get.headers {
        let bad = || format!("net/http: invalid header field {name:?}");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    for (name, default) in [(header::USER_AGENT, USER_AGENT), (header::ACCEPT, "*/*")] {
        match headers.get(&name) {
            None => {
                headers.insert(name, HeaderValue::from_static(default));
            }
            Some(given) if given.is_empty() => {
                headers.remove(name);
            }
            Some(_) => {}
        }
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

async fn follow(first: &str, headers: HeaderMap, timeout: Duration) -> Attempt {
    let mut url = first.to_owned();
    let mut headers = headers;
    let mut redirects = 0;
    loop {
        let problem = |why: String| Attempt::Failure(format!("Get {url:?}: {why}"));
        let response = match get(&url, &headers, timeout).await {
            Ok(response) => response,
            Err(why) => return problem(why),
        };
        let status = response.status();
        let location = match status.as_u16() {
            301 | 302 | 303 | 307 | 308 => response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()),
            _ => None,
        };
        if let Some(next) = location.and_then(|location| resolve(&url, location))
            && host_of(&next) == host_of(first)
        {
            redirects += 1;
            if redirects > MAX_REDIRECTS {
                return Attempt::Failure(format!("Get {next:?}: stopped after {MAX_REDIRECTS} redirects"));
            }
            // A Host of the probe's own is meant for the authority that the probe names.
            if authority_of(&next) != authority_of(&url) {
                headers.remove(header::HOST);
            }
            url = next;
            continue;
        }
        if !(200..400).contains(&status.as_u16()) {
            return Attempt::Failure(format!("HTTP probe failed with statuscode: {}", status.as_u16()));
        }
        let body = match read(response.into_body()).await {
            Ok(body) => body,
            Err(why) => return problem(why),
        };
        return match status.is_redirection() {
            true => Attempt::Warning(format!("Probe terminated redirects, Response body: {body}")),
            false => Attempt::Success,
        };
    }
}

/// The start of a body; the rest is of no interest, and there may be no end of it.
async fn read(mut body: Incoming) -> Result<String, String> {
    let mut start = Vec::new();
    while start.len() < MAX_BODY {
        match body.frame().await {
            None => break,
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(frame)) => start.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref())),
        }
    }
    start.truncate(MAX_BODY);
    Ok(String::from_utf8_lossy(&start).into_owned())
}

fn authority_of(url: &str) -> String {
    url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_default()
}

fn host_of(url: &str) -> String {
    url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase)).unwrap_or_default()
}

/// Where a `Location` leads from a URL.
fn resolve(from: &str, location: &str) -> Option<String> {
    let from: Uri = from.parse().ok()?;
    let scheme = from.scheme_str()?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let authority = from.authority()?;
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{}", escape(location)));
    }
    if location.starts_with('?') {
        return Some(format!("{scheme}://{authority}{}{}", from.path(), escape(location)));
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{}", escape(location)))
}

async fn get(url: &str, headers: &HeaderMap, timeout: Duration) -> Result<Response<Incoming>, String> {
    let uri: Uri = url.parse().map_err(|_| "invalid URL".to_owned())?;
    let tls = uri.scheme_str() == Some("https");
    let host = uri.host().ok_or("no Host in request URL")?;
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let tcp = dial(host, port, timeout).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() =
        uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(|_| "invalid URL".to_owned())?;
    *request.headers_mut() = headers.clone();
    if !headers.contains_key(header::HOST) {
        let value = HeaderValue::from_str(uri.authority().map_or("", |authority| authority.as_str()));
        request.headers_mut().insert(header::HOST, value.map_err(|error| error.to_string())?);
    }
    if !tls {
        return send(tcp, request).await;
    }
    let insecure = ClientConfig { insecure_skip_tls_verify: true, ..ClientConfig::default() };
    let mut config = client_tls(&insecure).map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    send(stream.map_err(|error| format!("tls: {error}"))?, request).await
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| error.to_string())
}

//! A small HTTPS server for `/healthz`, `/livez`, `/readyz` and `/metrics` of a component.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;

mod metrics;

/// Tells whether the component is well; `Err` says what is not.
pub type Health = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Serves on a bound port until shutdown: HTTPS, or plain HTTP without `tls` (for tests and behind other TLS). What is
/// served holds no secret: anybody who reaches the port may read it.
///
/// # Errors
/// None of a connection's: those end it alone.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    health: Health,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        let connection = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) => connection,
                Err(error) => {
                    // Out of file descriptors, most likely: others must get time to close theirs.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (acceptor, health, metrics, shutdown) =
            (acceptor.clone(), health.clone(), metrics.clone(), shutdown.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(request.uri().path(), &health, &metrics);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(std::time::Duration::from_secs(10));
            let serving = async {
                match acceptor {
                    None => builder.serve_connection(TokioIo::new(connection), service).await,
                    Some(acceptor) => {
                        let handshake = acceptor.accept(connection);
                        let timeout = std::time::Duration::from_secs(10);
                        match tokio::time::timeout(timeout, handshake).await {
                            Ok(Ok(stream)) => builder.serve_connection(TokioIo::new(stream), service).await,
                            _ => Ok(()),
                        }
                    }
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = serving => {}
            }
        });
    }
}

fn answer(path: &str, health: &Health, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (code, kind, text) = match path {
        "/healthz" | "/livez" | "/readyz" => match health() {
            Ok(()) => (StatusCode::OK, "text/plain; charset=utf-8", "ok".to_owned()),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", format!("{why}\n")),
        },
        "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.render()),
        _ => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

//! The TLS listener: handshakes, HTTP/2 and HTTP/1.1, and a clean end (see [`crate::lifecycle`]).

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::BufWriter;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::unread::Unread;
use crate::tenants::{Connection, Tenants};

mod unread;

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// What is written to a connection is gathered up to here before it is encrypted and sent: an event for fifty watchers
/// of one connection becomes a few system calls instead of fifty.
const WRITE_BUFFER: usize = 64 * 1024;
/// How long what has no end of its own (logs that are followed, shells) may go on when nothing else is under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether something is still under way.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is cancelled and for the shutdown delay after that, then lets requests under way finish.
///
/// # Errors
/// If the TLS settings are not usable.
pub async fn serve(tenants: Arc<Tenants>, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    let server = Arc::clone(tenants.default());
    let tls = server.pki.server_tls(!tenants.are_several()).map_err(std::io::Error::other)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let graceful = Arc::new(GracefulShutdown::new());
    let builder = Arc::new(http_builder(server.config.http2_max_streams));
    let connections = tokio_util::task::TaskTracker::new();
    let mut ends = pin!(async {
        shutdown.cancelled().await;
        tenants.all().for_each(|server| server.lifecycle.announce());
        tokio::time::sleep(server.config.shutdown_delay).await;
    });
    loop {
        let accepted = tokio::select! {
            () = &mut ends => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the client went away: neither ends the server.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let (served, acceptor, builder) = (tenants.clone(), acceptor.clone(), builder.clone());
        let watcher = graceful.watcher();
        connections.spawn(async move {
            if let Err(error) = connection(served, acceptor, builder, stream, remote, watcher).await {
                tracing::debug!(%remote, %error, "connection ended");
            }
        });
    }
    drop(listener);
    for server in tenants.all() {
        server.lifecycle.end_streams();
        server.hub.end_watches();
    }
    connections.close();
    let drained = async {
        if let Ok(graceful) = Arc::try_unwrap(graceful) {
            graceful.shutdown().await;
        }
        connections.wait().await;
    };
    tokio::select! {
        () = drained => {}
        () = idle(&tenants) => tracing::warn!("some streams were cut off by the shutdown"),
    }
    Ok(())
}

/// Returns when no request has been under way for [`DRAIN_TIMEOUT`] but such as have no end of their own, and at the
/// latest when the time of every request is over.
async fn idle(tenants: &Tenants) {
    let began = Instant::now();
    while began.elapsed() < tenants.default().config.request_timeout.max(DRAIN_TIMEOUT) {
        let idle = || tenants.all().all(|server| server.health.metrics.in_flight() == 0);
        if began.elapsed() >= DRAIN_TIMEOUT && idle() {
            return;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

/// HTTP settings. hyper's limits on reset streams stay as they are (rapid reset, CVE-2023-44487); the limit on header
/// lists is raised from 16 KiB to what kube-apiserver takes.
fn http_builder(max_streams: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(1024 * 1024)
        .max_concurrent_streams(max_streams)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(32)).max_buf_size(1024 * 1024);
    builder
}

async fn connection(
    tenants: Arc<Tenants>,
    acceptor: TlsAcceptor,
    builder: Arc<auto::Builder<TokioExecutor>>,
    stream: TcpStream,
    remote: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Small answers must not wait for the client's acknowledgements.
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    let chain = stream
        .get_ref()
        .1
        .peer_certificates()
        .map(|chain| chain.iter().map(|certificate| certificate.clone().into_owned()).collect::<Vec<_>>());
    let client = Arc::new(Connection::new(tenants, remote, chain.unwrap_or_default()));
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let client = Arc::clone(&client);
        async move { Ok::<_, std::convert::Infallible>(client.handle(Unread::wrap(request)).await) }
    });
    let stream = BufWriter::with_capacity(WRITE_BUFFER, stream);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    after_the_others(watcher.watch(connection)).await
}

/// Runs `future`, but at each wake-up lets the tasks that are ready go first. A connection is woken by the first of its
/// streams that has something to send; the others have by then been woken too, and what they add goes out in the same
/// write.
async fn after_the_others<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut waited = false;
    poll_fn(|context| {
        waited = !waited;
        if waited {
            // A task that wakes itself goes to the end of the queue.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        future.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests;

//! HTTP components: components that export `wasi:http/incoming-handler`, served on the pod's address.
//!
//! Every request gets an instance of its own, which is what the interface is made for: nothing of one request is left
//! for the next.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::container::{Ending, Job};
use super::engine::Guest;
use crate::runtime::RuntimeError;

/// The port of a container that names none.
const DEFAULT_PORT: u16 = 8080;

/// Takes the container's ports on the pod's address. The listeners belong to the threads that guests run on.
pub(super) async fn bind(executor: &Handle, ip: IpAddr, ports: &[u16]) -> Result<Vec<TcpListener>, RuntimeError> {
    let ports = if ports.is_empty() { vec![DEFAULT_PORT] } else { ports.to_vec() };
    let binding = executor.spawn(async move {
        let mut listeners = Vec::with_capacity(ports.len());
        for port in ports {
            let address = SocketAddr::new(ip, port);
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| RuntimeError::Start(format!("cannot listen on {address}: {error}")))?;
            listeners.push(listener);
        }
        Ok(listeners)
    });
    binding.await.map_err(|error| RuntimeError::Start(error.to_string()))?
}

/// Serves until the container is asked to end and the requests under way are done.
pub(super) async fn serve(job: Job, pre: ProxyPre<Guest>, listeners: Vec<TcpListener>) -> Ending {
    let stopping = job.stopping.clone();
    let meter = Arc::clone(&job.meter);
    let server = Arc::new(Server { job, pre });
    let connections = TaskTracker::new();
    for listener in listeners {
        let server = Arc::clone(&server);
        let tracker = connections.clone();
        connections.spawn(async move { accept(server, listener, tracker).await });
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        // A process that is out of memory is killed as a whole, so this container ends as a whole too.
        () = out_of_memory(&meter) => {
            stopping.cancel();
            return Ending { exit_code: 137, message: "the memory limit was exceeded".into() };
        }
    }
    Ending { exit_code: 0, message: String::new() }
}

async fn out_of_memory(meter: &super::cpu::Meter) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
    while !meter.memory_exceeded() {
        tick.tick().await;
    }
}

struct Server {
    job: Job,
    pre: ProxyPre<Guest>,
}

async fn accept(server: Arc<Server>, listener: TcpListener, tracker: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.job.stopping.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: the next attempt may do better.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let server = Arc::clone(&server);
        tracker.spawn(async move { connection(server, stream).await });
    }
}

async fn connection(server: Arc<Server>, stream: tokio::net::TcpStream) {
    let stopping = server.job.stopping.clone();
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { server.handle(request).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to a Wasm workload ended");
    }
}

impl Server {
    async fn handle(&self, request: hyper::Request<Incoming>) -> wasmtime::Result<hyper::Response<HyperOutgoingBody>> {
        use wasmtime_wasi_http::WasiHttpView as _;
        let wasi = self.job.wasi().map_err(|error| wasmtime::Error::msg(error.to_string()))?;
        let mut store = self.job.engine.store(wasi, &self.job.meter);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let pre = self.pre.clone();
        let work = self.job.meter.measure(async move {
            let proxy = pre.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        // The guest may go on after it has answered (it streams the body), so it gets a task of its own.
        let mut stderr = self.job.stderr.clone();
        let task = tokio::spawn(async move {
            let result = work.await;
            if let Err(error) = &result {
                use wasmtime_wasi::p2::OutputStream as _;
                let _ = stderr.write(format!("request failed: {error:#}\n").into());
            }
            result
        });
        match receiver.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => Err(wasmtime::Error::msg(format!("the component answered with {code:?}"))),
            Err(_) => {
                task.await??;
                Err(wasmtime::Error::msg("the component gave no answer"))
            }
        }
    }
}

//! A client for each destination, kept while it is in use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use tokio_rustls::TlsConnector;

use super::connect::Connector;
use super::verify;
use super::{Destination, Where};
use crate::server::ApiServer;

/// How many destinations have a client at a time.
const CLIENTS: usize = 200;
/// How many connections to one destination are kept while nothing is sent on them, and how long.
const IDLE: usize = 25;
const IDLE_FOR: Duration = Duration::from_secs(90);

pub(super) type HttpsClient = Client<Connector, Body>;

/// The clients, the one that was used last at the end.
#[derive(Default)]
pub(super) struct Pool {
    clients: Mutex<Vec<(Destination, HttpsClient)>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("clients", &self.clients.lock().len()).finish()
    }
}

impl Pool {
    /// The client of a destination. Whatever path a request has, it is the same.
    pub(super) fn client(&self, server: &Arc<ApiServer>, destination: &Destination) -> Result<HttpsClient, String> {
        let mut clients = self.clients.lock();
        if let Some(at) = clients.iter().rposition(|(known, _)| known == destination) {
            let entry = clients.remove(at);
            let client = entry.1.clone();
            clients.push(entry);
            return Ok(client);
        }
        let client = make(server, destination)?;
        if clients.len() >= CLIENTS {
            clients.remove(0);
        }
        clients.push((destination.clone(), client.clone()));
        Ok(client)
    }
}

fn make(server: &Arc<ApiServer>, destination: &Destination) -> Result<HttpsClient, String> {
    let mut tls = verify::settings(server, destination)?;
    tls.alpn_protocols = if is_this_machine(&destination.place) {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    let connector = Connector {
        server: Arc::downgrade(server),
        place: Arc::new(destination.place.clone()),
        tls: TlsConnector::from(Arc::new(tls)),
        name: destination.service_name(),
    };
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(15))
        .build(connector))
}

/// HTTP/2 would send everything down one connection and so to one of many endpoints; on this machine there is but one.
fn is_this_machine(place: &Where) -> bool {
    let Where::Url(url) = place else { return false };
    let uri: Option<Uri> = url.parse().ok();
    let Some(host) = uri.as_ref().and_then(Uri::host) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

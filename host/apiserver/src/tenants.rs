//! Several logical control planes behind one listener.
//!
//! The default one is served at `/`, each other one below `/tenants/<name>`, so that a kubeconfig whose server has that
//! path is all that a client needs. Every one is an [`ApiServer`] of its own: definitions, roles, plugins, certificates,
//! keys and caches are apart, and what they share is the process, the listener, and the store, in which each sees its own
//! keys only ([`portcullis_storage::Tenant`]). A certificate or token of one is nothing to another.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use parking_lot::Mutex;
use portcullis_storage::Tenant;
use rustls_pki_types::CertificateDer;

use crate::authn::ConnectionInfo;
use crate::respond;
use crate::server::ApiServer;

/// What the paths of all but the default tenant begin with.
const ROOT: &str = "/tenants/";

/// The path below which a tenant is served; empty for the default one.
#[must_use]
pub fn path_of(tenant: &Tenant) -> String {
    if tenant.is_default() { String::new() } else { format!("{ROOT}{}", tenant.name()) }
}

/// See the module.
pub struct Tenants {
    default: Arc<ApiServer>,
    others: HashMap<String, Arc<ApiServer>>,
}

impl Tenants {
    /// The default tenant and the others.
    #[must_use]
    pub fn new(default: Arc<ApiServer>, others: Vec<Arc<ApiServer>>) -> Arc<Self> {
        let others = others.into_iter().map(|server| (server.tenant.name().to_owned(), server)).collect();
        Arc::new(Self { default, others })
    }

    /// The server whose certificate and settings the listener has.
    #[must_use]
    pub fn default(&self) -> &Arc<ApiServer> {
        &self.default
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ApiServer>> {
        std::iter::once(&self.default).chain(self.others.values())
    }

    /// Whether there is more than one.
    #[must_use]
    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// Which server a path is for; `Err` if it names a tenant that is not there.
    fn of_path(&self, path: &str) -> Result<&Arc<ApiServer>, ()> {
        let Some(rest) = path.strip_prefix(ROOT).filter(|_| self.are_several()) else { return Ok(&self.default) };
        let name = rest.split('/').next().unwrap_or_default();
        self.others.get(name).ok_or(())
    }
}

/// A client's connection, and what each server makes of the certificates that it showed.
pub struct Connection {
    tenants: Arc<Tenants>,
    remote: SocketAddr,
    chain: Vec<CertificateDer<'static>>,
    default: ConnectionInfo,
    others: Mutex<HashMap<String, ConnectionInfo>>,
}

impl Connection {
    /// A connection from `remote`; `chain` is what was shown at the handshake, leaf first.
    #[must_use]
    pub fn new(tenants: Arc<Tenants>, remote: SocketAddr, chain: Vec<CertificateDer<'static>>) -> Self {
        let default = ConnectionInfo::new(remote, tenants.default.pki.verify_client(chain.clone()));
        Self { tenants, remote, chain, default, others: Mutex::default() }
    }

    /// Answers a request of this connection.
    pub async fn handle(&self, mut request: Request<Body>) -> Response<Body> {
        let server = match self.tenants.of_path(request.uri().path()) {
            Ok(server) => Arc::clone(server),
            Err(()) => return respond::page_not_found(),
        };
        if server.tenant.is_default() {
            return server.handle(request, self.default.clone()).await;
        }
        let info = {
            let mut known = self.others.lock();
            let fresh = || ConnectionInfo::new(self.remote, server.pki.verify_client(self.chain.clone()));
            known.entry(server.tenant.name().to_owned()).or_insert_with(fresh).clone()
        };
        if let Some(below) = without(request.uri(), &path_of(&server.tenant)) {
            *request.uri_mut() = below;
        }
        server.handle(request, info).await
    }
}

/// The URI without a beginning of its path.
fn without(uri: &Uri, prefix: &str) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(prefix)?;
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below() {
        let check = |uri: &str, wanted: &str| {
            let uri: Uri = uri.parse().expect("a URI");
            assert_eq!(without(&uri, "/tenants/a").map(|uri| uri.to_string()).as_deref(), Some(wanted), "{uri}");
        };
        check("/tenants/a/api/v1/pods?limit=1", "/api/v1/pods?limit=1");
        check("/tenants/a", "/");
        check("/tenants/a?x=y", "/?x=y");
        check("https://host:1/tenants/a/livez", "https://host:1/livez");
    }
}

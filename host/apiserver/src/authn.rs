//! Step 1: who is calling? The host gathers the credentials and verifies what needs a key; the authenticator components
//! decide.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use portcullis_machinery::{Status, Value};
use rustls_pki_types::CertificateDer;

use crate::context::UserInfo;

/// What the authenticator components found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is. The host adds the group `system:authenticated` itself.
    pub user: UserInfo,
    /// Whether the same credential may be taken for the same user without asking again until
    /// [`Authenticators::generation`] changes: true only if every component that was asked is pure and read nothing of
    /// the document but `tls` and `authorization`.
    pub remember: bool,
}

/// The chain of authenticator components.
#[async_trait]
pub trait Authenticators: Send + Sync + 'static {
    /// Asks the components in order about the document described in `wit/worlds.wit` (interface `authenticator`).
    /// `None` if all had no opinion. `authorization.audiences` is there if the caller wants the token checked for other
    /// audiences than the server's own (TokenReview); the answer's audiences are then in the extra
    /// [`AUDIENCES_EXTRA`], which the host takes out.
    ///
    /// # Errors
    /// 401 if a component rejected the credential, 500 or 503 if one could not be asked.
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status>;

    /// A number that changes whenever the chain or the configuration of one of its members does.
    fn generation(&self) -> u64;
}

/// The extra key in which a token authenticator names those of the wanted audiences that the token is for.
pub const AUDIENCES_EXTRA: &str = "portcullis.dev/audiences";

/// The certificates that a client showed, and whether they lead to a client CA.
#[derive(Debug, Default)]
pub struct PeerCertificates {
    /// Leaf first; empty if the client showed none.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whether the chain was verified against the client CAs.
    pub verified: bool,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The other end's address.
    pub remote: SocketAddr,
    /// Its certificates, shared by all requests of the connection.
    pub peer: Arc<PeerCertificates>,
}

/// No authenticators: everyone is anonymous. For tests.
#[derive(Debug, Default)]
pub struct NoAuthenticators;

#[async_trait]
impl Authenticators for NoAuthenticators {
    async fn authenticate(&self, _document: &Value) -> Result<Option<Authenticated>, Status> {
        Ok(None)
    }

    fn generation(&self) -> u64 {
        0
    }
}

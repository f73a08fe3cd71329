//! The cluster's certificates and keys, made in the data directory on the first start.

use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::authn::PeerCertificates;
use crate::server_config::ServerConfig;

/// Who a client certificate and a kubeconfig are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// `kubernetes-admin` of `system:masters`; `admin.kubeconfig`.
    Admin,
    /// `system:kube-scheduler`; `scheduler.kubeconfig`.
    Scheduler,
    /// `system:kube-controller-manager`; `controller-manager.kubeconfig`.
    ControllerManager,
    /// `system:node:<name>` of `system:nodes`; `kubelet.kubeconfig`.
    Kubelet,
    /// `kube-apiserver-kubelet-client` of `system:masters`: the server's own towards kubelets. No kubeconfig.
    KubeletClient,
}

/// Why the PKI could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {why}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS does not accept what was loaded.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate chain with its key, as PEM and as DER.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The chain as PEM.
    pub certificate_pem: String,
    /// The key as PEM (PKCS#8).
    pub key_pem: String,
}

/// The loaded PKI.
#[derive(Debug)]
pub struct Pki {
    _private: (),
}

impl Pki {
    /// Loads the PKI of the data directory, and makes what is missing or about to expire. Writes the kubeconfigs.
    /// Blocking.
    ///
    /// # Errors
    /// If a file cannot be read or written or does not hold what it should.
    pub fn open(_config: &ServerConfig) -> Result<Self, PkiError> {
        Ok(Self { _private: () })
    }

    /// The PEM of the CA that signed the serving certificate: what clients trust, and what ConfigMap
    /// `kube-root-ca.crt` holds.
    pub fn ca_pem(&self) -> &str {
        ""
    }

    /// A component's client certificate.
    pub fn identity(&self, _component: Component) -> Identity {
        Identity { chain: Vec::new(), certificate_pem: String::new(), key_pem: String::new() }
    }

    /// The kubelet's serving certificate.
    pub fn kubelet_serving(&self) -> Identity {
        Identity { chain: Vec::new(), certificate_pem: String::new(), key_pem: String::new() }
    }

    /// Checks a chain against the client CAs: for the in-process transport, which has no handshake.
    pub fn verify_client(&self, chain: Vec<CertificateDer<'static>>) -> Arc<PeerCertificates> {
        Arc::new(PeerCertificates { chain, verified: false })
    }
}

//! The cluster's certificates and keys, made in the data directory on the first start.
//!
//! `DIR/pki` holds a CA for serving certificates, one for client certificates, and what they signed. What is there is used
//! again; a certificate that is about to expire, or that was made for other names, is made anew. All files are readable by
//! their owner only.

mod make;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::authn::{PeerCertificates, RECOVERY};
use crate::server_config::ServerConfig;
use make::{Authority, Purpose, Request};

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
    /// [`FRONT_PROXY`], by a CA of its own: the server's own towards servers of API groups, which believe what it says of
    /// who asks. No kubeconfig.
    FrontProxy,
    /// `system:portcullis:recovery` of `system:masters`; `recovery.kubeconfig`. The host itself knows this certificate,
    /// so that its holder gets in whatever authenticator plugins do.
    Recovery,
}

impl Component {
    const ALL: [Self; 7] = [
        Self::Admin,
        Self::Scheduler,
        Self::ControllerManager,
        Self::Kubelet,
        Self::KubeletClient,
        Self::FrontProxy,
        Self::Recovery,
    ];

    /// The name of the component's files.
    pub fn file_stem(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Scheduler => "scheduler",
            Self::ControllerManager => "controller-manager",
            Self::Kubelet => "kubelet",
            Self::KubeletClient => "apiserver-kubelet-client",
            Self::FrontProxy => "front-proxy-client",
            Self::Recovery => "recovery",
        }
    }

    fn subject(self, node: &str) -> (String, Option<&'static str>) {
        match self {
            Self::Admin => ("kubernetes-admin".to_owned(), Some("system:masters")),
            Self::Scheduler => ("system:kube-scheduler".to_owned(), None),
            Self::ControllerManager => ("system:kube-controller-manager".to_owned(), None),
            Self::Kubelet => (format!("system:node:{node}"), Some("system:nodes")),
            Self::KubeletClient => ("kube-apiserver-kubelet-client".to_owned(), Some("system:masters")),
            Self::FrontProxy => (FRONT_PROXY.to_owned(), None),
            Self::Recovery => (RECOVERY.to_owned(), Some("system:masters")),
        }
    }
}

/// The name in the certificate that servers of API groups are shown.
pub const FRONT_PROXY: &str = "front-proxy-client";

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
    Tls(String),
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

impl Identity {
    /// An identity of its PEM texts.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub fn from_pem(certificate_pem: String, key_pem: String) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("not a PEM certificate: {error}"))?;
        if chain.is_empty() {
            return Err("holds no certificate".to_owned());
        }
        Ok(Self { chain, certificate_pem, key_pem })
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, PkiError> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|error| PkiError::Tls(error.to_string()))
    }
}

/// The loaded PKI.
pub struct Pki {
    ca_pem: String,
    client_ca_pem: String,
    front_proxy_ca_pem: String,
    serving: Identity,
    kubelet_serving: Identity,
    identities: HashMap<Component, Identity>,
    verifier: Arc<dyn ClientCertVerifier>,
    service_account_key_pem: String,
    service_account_public_pems: Vec<(PathBuf, String)>,
}

fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::Io { path: path.to_owned(), source })
}

impl Pki {
    /// Loads the PKI of the data directory, and makes what is missing or about to expire. Writes the kubeconfigs.
    /// Blocking.
    ///
    /// # Errors
    /// If a file cannot be read or written or does not hold what it should.
    pub fn open(config: &ServerConfig) -> Result<Self, PkiError> {
        let dir = config.data_dir.join("pki");
        make::private_dir(&dir)?;
        let server_ca = Authority::open(config.server_ca_dir.as_deref().unwrap_or(&dir), "ca", "portcullis")?;
        let client_ca = Authority::open(&dir, "client-ca", "portcullis-client")?;
        let front_proxy_ca = Authority::open(&dir, "front-proxy-ca", "portcullis-front-proxy")?;
        let serving = match (&config.tls_cert_file, &config.tls_private_key_file) {
            (Some(certificate), Some(key)) => Identity::from_pem(read(certificate)?, read(key)?)
                .map_err(|why| PkiError::Malformed { path: certificate.clone(), why })?,
            _ => server_ca.identity(
                &dir,
                &Request {
                    stem: "apiserver",
                    common_name: "kube-apiserver",
                    organization: None,
                    names: serving_names(config),
                    purpose: Purpose::Server,
                },
            )?,
        };
        let kubelet_serving = server_ca.identity(
            &dir,
            &Request {
                stem: "kubelet-serving",
                common_name: &format!("system:node:{}", config.node_name),
                organization: Some("system:nodes"),
                names: kubelet_names(config),
                purpose: Purpose::Server,
            },
        )?;
        let mut identities = HashMap::new();
        for component in Component::ALL {
            let (common_name, organization) = component.subject(&config.node_name);
            let stem = match component {
                Component::Kubelet => "kubelet-client",
                other => other.file_stem(),
            };
            let request =
                Request { stem, common_name: &common_name, organization, names: Vec::new(), purpose: Purpose::Client };
            let authority = if component == Component::FrontProxy { &front_proxy_ca } else { &client_ca };
            identities.insert(component, authority.identity(&dir, &request)?);
        }
        let mut roots = rustls::RootCertStore::empty();
        let mut trusted = vec![client_ca.certificate_pem().to_owned()];
        if let Some(path) = &config.client_ca_file {
            trusted.push(read(path)?);
        }
        for pem in &trusted {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
                roots.add(certificate).map_err(|error| PkiError::Tls(error.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| PkiError::Tls(error.to_string()))?;
        let service_account_key_pem = match &config.service_account_signing_key_file {
            Some(path) => read(path)?,
            None => make::service_account_key(&dir)?,
        };
        let mut service_account_public_pems = Vec::new();
        for path in &config.service_account_key_files {
            service_account_public_pems.push((path.clone(), read(path)?));
        }
        // A serving certificate given by a flag is trusted by the administrator's own CA, which may be in its chain.
        let ca_pem = if config.tls_cert_file.is_some() {
            format!("{}{}", server_ca.certificate_pem(), serving.certificate_pem)
        } else {
            server_ca.certificate_pem().to_owned()
        };
        let pki = Self {
            ca_pem,
            client_ca_pem: trusted.concat(),
            front_proxy_ca_pem: front_proxy_ca.certificate_pem().to_owned(),
            serving,
            kubelet_serving,
            identities,
            verifier,
            service_account_key_pem,
            service_account_public_pems,
        };
        let own = [Component::KubeletClient, Component::FrontProxy];
        for component in Component::ALL.into_iter().filter(|component| !own.contains(component)) {
            let path = config.data_dir.join(format!("{}.kubeconfig", component.file_stem()));
            make::write_private(&path, &pki.kubeconfig(component, &server_url(config)))?;
        }
        Ok(pki)
    }

    /// The PEM of the CA that signed the serving certificate: what clients trust, and what ConfigMap
    /// `kube-root-ca.crt` holds.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The PEM of the CAs that client certificates are of.
    pub fn client_ca_pem(&self) -> &str {
        &self.client_ca_pem
    }

    /// The PEM of the CA that the front proxy's certificate is of.
    pub fn front_proxy_ca_pem(&self) -> &str {
        &self.front_proxy_ca_pem
    }

    /// A component's client certificate.
    ///
    /// # Panics
    /// Never: [`Self::open`] makes all of them.
    pub fn identity(&self, component: Component) -> &Identity {
        &self.identities[&component]
    }

    /// The kubelet's serving certificate.
    pub fn kubelet_serving(&self) -> &Identity {
        &self.kubelet_serving
    }

    /// The PEM of the key that signs ServiceAccount tokens.
    pub fn service_account_key_pem(&self) -> &str {
        &self.service_account_key_pem
    }

    /// The PEMs (and where they are from) of further keys that ServiceAccount tokens may be signed with.
    pub fn service_account_public_pems(&self) -> &[(PathBuf, String)] {
        &self.service_account_public_pems
    }

    /// A kubeconfig (client-go, `clientcmd` v1) with everything embedded.
    pub fn kubeconfig(&self, component: Component, server: &str) -> String {
        use base64::Engine;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let identity = self.identity(component);
        let user = component.file_stem();
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: portcullis\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {}\nusers:\n- name: {user}\n  user:\n    client-certificate-data: {}\n    \
             client-key-data: {}\ncontexts:\n- name: portcullis\n  context:\n    cluster: portcullis\n    user: {user}\n\
             current-context: portcullis\npreferences: {{}}\n",
            encode(&self.ca_pem),
            encode(&identity.certificate_pem),
            encode(&identity.key_pem),
        )
    }

    /// Checks a chain against the client CAs: after a handshake, and for the in-process transport, which has none.
    pub fn verify_client(&self, chain: Vec<CertificateDer<'static>>) -> Arc<PeerCertificates> {
        let verified = match chain.split_first() {
            Some((leaf, rest)) => self.verifier.verify_client_cert(leaf, rest, UnixTime::now()).is_ok(),
            None => false,
        };
        let own = self.identity(Component::Recovery).chain.first();
        let recovery = verified && chain.first().is_some_and(|leaf| Some(leaf) == own);
        let mut peer = PeerCertificates::new(chain, verified);
        peer.recovery = recovery;
        Arc::new(peer)
    }

    /// The listener's TLS settings: TLS 1.2 and 1.3, HTTP/2 and 1.1. A client certificate is asked for and its key's
    /// possession proven, but a chain that leads nowhere does not end the handshake: such a client gets 401, or is let in
    /// by its token, as in the reference. `hint` says whether clients are told which CAs' certificates are of use: not where
    /// those of several tenants are.
    ///
    /// # Errors
    /// If the certificate or the key is not fit for TLS.
    pub fn server_tls(&self, hint: bool) -> Result<rustls::ServerConfig, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| PkiError::Tls(error.to_string()))?
            .with_client_cert_verifier(Arc::new(Lenient { verifier: self.verifier.clone(), hint }))
            .with_single_cert(self.serving.chain.clone(), self.serving.key()?)
            .map_err(|error| PkiError::Tls(error.to_string()))?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(tls)
    }
}

/// Accepts any chain at the handshake; [`Pki::verify_client`] says afterwards what it is worth.
#[derive(Debug)]
struct Lenient {
    verifier: Arc<dyn ClientCertVerifier>,
    hint: bool,
}

impl ClientCertVerifier for Lenient {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        if self.hint { self.verifier.root_hint_subjects() } else { &[] }
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The URL that kubeconfigs name.
pub fn server_url(config: &ServerConfig) -> String {
    format!("https://{}{}", config.advertised(), config.url_path)
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen = Vec::new();
    for name in names {
        if !name.is_empty() && !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn serving_names(config: &ServerConfig) -> Vec<String> {
    let mut names: Vec<String> = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        "::1",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend(config.first_service_ip().map(|ip| ip.to_string()));
    names.push(config.advertised().ip().to_string());
    names.push(config.node_name.clone());
    unique(names)
}

fn kubelet_names(config: &ServerConfig) -> Vec<String> {
    unique(vec![
        config.node_name.clone(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        config.advertised().ip().to_string(),
    ])
}

#[cfg(test)]
mod tests;

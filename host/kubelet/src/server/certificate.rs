//! The serving certificate: one that was given, or one of our own making.

use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::{ServerConfig, ServerError};

/// The files of a certificate of our own making.
const CERTIFICATE: &str = "kubelet.crt";
const KEY: &str = "kubelet.key";

pub(super) fn bad(what: impl std::fmt::Display, why: impl std::fmt::Display) -> ServerError {
    ServerError::Certificate { what: what.to_string(), why: why.to_string() }
}

/// The listener's TLS settings. Clients may show a certificate; one that is not of the cluster does not end the handshake,
/// as its holder may have a token as well.
pub(super) fn server_tls(config: &ServerConfig) -> Result<rustls::ServerConfig, ServerError> {
    let (chain, key) = match &config.tls {
        Some((chain, key)) => {
            let read = |path: &Path| std::fs::read(path).map_err(|error| bad(path.display(), error));
            (read(chain)?, read(key)?)
        }
        None => own(config)?,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|error| bad("the kubelet's serving certificate", error))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| bad("the kubelet's serving key", error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("TLS", error))?;
    let builder = match verifier(config.client_ca.as_deref())? {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(Lenient(verifier))),
        None => builder.with_no_client_auth(),
    };
    let mut tls =
        builder.with_single_cert(chain, key).map_err(|error| bad("the kubelet's serving certificate", error))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// What checks client certificates against the cluster's CA.
pub(super) fn verifier(client_ca: Option<&str>) -> Result<Option<Arc<dyn ClientCertVerifier>>, ServerError> {
    let Some(pem) = client_ca else { return Ok(None) };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad("the client CA", error))?;
        roots.add(certificate).map_err(|error| bad("the client CA", error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| bad("the client CA", error))?;
    Ok(Some(verifier))
}

/// A self-signed certificate, kept in the kubelet's directory, so that whoever was told to trust it can go on doing so.
fn own(config: &ServerConfig) -> Result<(Vec<u8>, Vec<u8>), ServerError> {
    let what = config.directory.join(CERTIFICATE);
    let failed = |error: std::io::Error| bad(what.display(), error);
    Dir::create_ambient_dir_all(&config.directory, ambient_authority()).map_err(failed)?;
    let directory = Dir::open_ambient_dir(&config.directory, ambient_authority()).map_err(failed)?;
    if let (Ok(chain), Ok(key)) = (directory.read(CERTIFICATE), directory.read(KEY)) {
        return Ok((chain, key));
    }
    let mut names = vec![config.node_name.clone()];
    names.extend(config.names.iter().filter(|name| **name != config.node_name).cloned());
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| bad(what.display(), error))?;
    let (chain, key) = (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
    for (name, data, mode) in [(KEY, &key, 0o600), (CERTIFICATE, &chain, 0o644)] {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = directory.open_with(name, &options).map_err(failed)?;
        std::io::Write::write_all(&mut file, data).map_err(failed)?;
    }
    Ok((chain, key))
}

/// Takes any chain at the handshake, where only the possession of its key is proven; what the chain is worth is found out
/// for each connection afterwards.
#[derive(Debug)]
struct Lenient(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Lenient {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

//! Which servers are believed: those whose certificate chains to one of the destination's CAs, and those that show one of
//! these certificates itself, as people do who make one self-signed certificate for their webhook and give it as the
//! bundle too.

use std::sync::{Arc, OnceLock};

use portcullis_client::ClientConfig;
use portcullis_client::transport::client_tls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Destination, Where};
use crate::pki::Component;
use crate::server::ApiServer;

/// Where distributions keep the certificates that a machine trusts.
const SYSTEM: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS settings for a destination; the protocols are still to be named.
///
/// # Errors
/// If a certificate or the key cannot be used.
pub(super) fn settings(server: &ApiServer, destination: &Destination) -> Result<rustls::ClientConfig, String> {
    let trust = &destination.trust;
    let mut config = ClientConfig {
        insecure_skip_tls_verify: trust.insecure,
        client_certificate: trust.certificate.clone(),
        client_key: trust.key.clone(),
        ..ClientConfig::default()
    };
    let mut bundle = trust.ca_bundle.clone();
    // What is behind the server itself is asked in its own name, as the reference does for the same Service.
    let own = matches!(&destination.place, Where::Service { namespace, name, port: 443, .. }
        if namespace == "default" && name == "kubernetes");
    if own && trust.certificate.is_empty() {
        let identity = server.pki.identity(Component::KubeletClient);
        config.client_certificate = identity.certificate_pem.clone().into_bytes();
        config.client_key = identity.key_pem.clone().into_bytes();
        bundle.push(b'\n');
        bundle.extend_from_slice(server.pki.ca_pem().as_bytes());
    }
    if trust.insecure {
        return client_tls(&config).map_err(|error| error.to_string());
    }
    let anchors = if bundle.is_empty() { system().to_vec() } else { certificates(&bundle) };
    if anchors.is_empty() && !bundle.is_empty() {
        return Err("unable to load root certificates: unable to parse bytes as PEM block".to_owned());
    }
    let mut tls = client_tls(&config).map_err(|error| error.to_string())?;
    tls.dangerous().set_certificate_verifier(Arc::new(Verifier::new(anchors)?));
    Ok(tls)
}

/// The certificates of a PEM text; what else is in it, or cannot be read, is passed over.
fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// The certificates that the machine trusts, read once.
fn system() -> &'static [CertificateDer<'static>] {
    static ALL: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let named = std::env::var("SSL_CERT_FILE").ok();
        let files = named.as_deref().map_or_else(|| SYSTEM.to_vec(), |file| vec![file]);
        files.into_iter().find_map(|file| std::fs::read(file).ok()).map(|pem| certificates(&pem)).unwrap_or_default()
    })
}

/// See the module.
#[derive(Debug)]
struct Verifier {
    anchors: Vec<CertificateDer<'static>>,
    /// `None` if not one of the anchors can be one.
    chains: Option<Arc<WebPkiServerVerifier>>,
    schemes: Vec<SignatureScheme>,
}

impl Verifier {
    fn new(anchors: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(anchors.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let chains = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            Some(built.map_err(|error| error.to_string())?)
        };
        Ok(Self { anchors, chains, schemes })
    }

    /// A certificate that is one of the bundle needs no chain; its name and its time must fit all the same.
    fn is_anchor(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Option<Result<(), Error>> {
        if !self.anchors.iter().any(|anchor| anchor.as_ref() == leaf.as_ref()) {
            return None;
        }
        let check = || {
            let (_, parsed) =
                X509Certificate::from_der(leaf).map_err(|_| Error::from(CertificateError::BadEncoding))?;
            let unix =
                |time: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(time.max(0).unsigned_abs()));
            let not_before = unix(parsed.validity().not_before.timestamp());
            let not_after = unix(parsed.validity().not_after.timestamp());
            if now < not_before {
                return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
            }
            if now > not_after {
                return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
            }
            verify_server_name(&ParsedCertificate::try_from(leaf)?, name)
        };
        Some(check())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(known) = self.is_anchor(leaf, name, now) {
            return known.map(|()| ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(leaf, between, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

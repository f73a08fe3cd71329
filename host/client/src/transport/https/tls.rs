//! TLS as a client: which servers to believe, and which certificate to show.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::ClientError;
use crate::kubeconfig::ClientConfig;

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let list = list.map_err(|error| ClientError::Config(format!("{what}: {error}")))?;
    if list.is_empty() { Err(ClientError::Config(format!("{what}: no certificate in it"))) } else { Ok(list) }
}

/// The TLS settings of a configuration, for HTTP/2 and 1.1.
///
/// # Errors
/// If a certificate or the key cannot be used.
pub fn client_tls(config: &ClientConfig) -> Result<rustls::ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let bad = |what: &str, error: &dyn std::fmt::Display| ClientError::Config(format!("{what}: {error}"));
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("TLS", &error))?;
    let builder = if config.insecure_skip_tls_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
    } else {
        let mut roots = RootCertStore::empty();
        if !config.ca.is_empty() {
            for certificate in certificates(&config.ca, "certificate-authority")? {
                roots.add(certificate).map_err(|error| bad("certificate-authority", &error))?;
            }
        }
        builder.with_root_certificates(roots)
    };
    let mut tls = if config.client_certificate.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = certificates(&config.client_certificate, "client-certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&config.client_key).map_err(|error| bad("client-key", &error))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| bad("client-certificate", &error))?
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// Believes any certificate, as `insecure-skip-tls-verify` asks; the handshake's signatures are checked nevertheless.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

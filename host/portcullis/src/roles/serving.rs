//! The HTTPS port of a role: `/healthz`, `/livez`, `/readyz` and `/metrics`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use portcullis_client::serve::{Metrics, serve};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

/// Where a role listens and what it shows. Numbers and health are served to anybody who reaches the port, so that it is
/// bound to the loopback address unless a flag says otherwise (the reference listens everywhere and asks the API server
/// who is calling).
#[derive(Args, Clone)]
pub struct ServingFlags {
    /// The address on which health and metrics are served
    #[arg(long, default_value = "127.0.0.1")]
    pub bind_address: IpAddr,
    /// The certificate to serve health and metrics with; without one, one is made at every start
    #[arg(long)]
    pub tls_cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long)]
    pub tls_private_key_file: Option<PathBuf>,
}

impl Default for ServingFlags {
    fn default() -> Self {
        Self { bind_address: IpAddr::from([127, 0, 0, 1]), tls_cert_file: None, tls_private_key_file: None }
    }
}

/// A bound port that does not answer yet.
pub struct Serving {
    listener: Option<std::net::TcpListener>,
    tls: Arc<rustls::ServerConfig>,
    metrics: Arc<Metrics>,
}

impl Serving {
    /// Binds the port, so that a port that is taken is an error at the start; with port 0 nothing is served.
    pub fn new(flags: &ServingFlags, port: u16, metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        let address = SocketAddr::new(flags.bind_address, port);
        let listener = match port {
            0 => None,
            _ => Some(
                std::net::TcpListener::bind(address)
                    .with_context(|| format!("cannot listen on {address} for health and metrics"))?,
            ),
        };
        Ok(Self { listener, tls: Arc::new(tls(flags)?), metrics: Arc::clone(metrics) })
    }

    /// Serves until shutdown.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Some(listener) = self.listener else {
            shutdown.cancelled().await;
            return Ok(());
        };
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // A role that lost its Lease ends its process, and all else it does is a retried loop: while it answers, it is well.
        serve(listener, Some(self.tls), Arc::new(|| Ok(())), self.metrics, shutdown).await?;
        Ok(())
    }
}

fn tls(flags: &ServingFlags) -> anyhow::Result<rustls::ServerConfig> {
    let (chain, key) = match (&flags.tls_cert_file, &flags.tls_private_key_file) {
        (Some(certificate), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .with_context(|| certificate.display().to_string())?;
            (chain, PrivateKeyDer::from_pem_file(key).with_context(|| key.display().to_string())?)
        }
        (None, None) => {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
            let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
            (vec![made.cert.der().clone()], key)
        }
        _ => bail!("--tls-cert-file and --tls-private-key-file go together"),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

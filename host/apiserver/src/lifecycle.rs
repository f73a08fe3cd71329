//! How a server ends: first it says that it will, then it takes nothing new, then it finishes what it has begun.
//!
//! 1. [`Lifecycle::announce`]: `/readyz` fails, so that load balancers send new connections elsewhere, and the server leaves
//!    the endpoints of the service `kubernetes`. Requests are served as before for `--shutdown-delay-duration`.
//! 2. [`Lifecycle::end_streams`]: watches end as they do when their time is over, and clients resume them elsewhere.
//!    Connections are told to end; requests under way are finished.
//!
//! The reference does it in the same order (`--shutdown-delay-duration` in kube-apiserver's documentation).

use tokio_util::sync::CancellationToken;

/// See the module.
#[derive(Debug, Default)]
pub struct Lifecycle {
    announced: CancellationToken,
    streams: CancellationToken,
}

impl Lifecycle {
    /// Says that the server is about to end.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Whether the server is about to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Returns when the server is about to end.
    pub async fn announced(&self) {
        self.announced.cancelled().await;
    }

    /// Ends what would not end by itself.
    pub fn end_streams(&self) {
        self.announced.cancel();
        self.streams.cancel();
    }

    /// Returns when what would not end by itself has to end.
    pub async fn streams_end(&self) {
        self.streams.cancelled().await;
    }
}

//! Making watches say how far they have come.
//!
//! A watch of a prefix hears nothing of writes elsewhere, yet they move the revision on, and whoever waits for a revision
//! waits in vain. etcd answers a progress request on the watch's own stream, but before 3.4.31 and 3.5.13 the answer could
//! overtake events, and a cache that believed it would serve a state that never was. With such a server, a watch that
//! wants progress covers the whole of the store's keys (and drops what is not under its prefix), and a key within them
//! that nobody is shown is written: its event comes in its place among the others, whatever the version. That costs a
//! write, so it is done only when watches are still behind after a moment in which the events that are under way come in
//! by themselves.
//!
//! etcd's own notifications from time to time are in order in all versions: they go through the same queue as the events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use etcd_client::WatchRequestSender;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::endpoints::{Call, Endpoint, Endpoints};
use crate::revision::RevisionReader;

/// The moment in which events that are under way come in.
const GRACE: Duration = Duration::from_millis(10);
/// The pause between rounds: as often as kube-apiserver asks.
const PAUSE: Duration = Duration::from_millis(100);
/// After so many rounds a watch that is still behind has a reader that does not take what it has; the next request for
/// progress begins anew.
const ROUNDS: usize = 50;

/// A watch that reports progress.
#[derive(Default)]
pub(crate) struct Reporter {
    /// Everything up to this revision has been taken off the stream.
    pub reached: AtomicU64,
    /// Where to send progress requests; `None` while they cannot be trusted, or there is no connection.
    pub requests: tokio::sync::Mutex<Option<WatchRequestSender>>,
    /// Whether the watch covers the key that is written instead.
    pub wide: std::sync::atomic::AtomicBool,
}

/// All watches that report progress.
#[derive(Default)]
pub(crate) struct Progress {
    reporters: Mutex<Vec<Weak<Reporter>>>,
    wanted: Notify,
}

impl Progress {
    /// Adds a watch that has reached `reached`.
    pub(crate) fn register(&self, reached: u64) -> Arc<Reporter> {
        let reporter = Arc::new(Reporter { reached: AtomicU64::new(reached), ..Reporter::default() });
        let mut reporters = self.reporters.lock();
        reporters.retain(|reporter| reporter.strong_count() > 0);
        reporters.push(Arc::downgrade(&reporter));
        reporter
    }

    /// Makes all watches report soon.
    pub(crate) fn request(&self) {
        self.wanted.notify_one();
    }

    /// The watches that have not reached `revision`.
    fn behind(&self, revision: u64) -> Vec<Arc<Reporter>> {
        let reporters = self.reporters.lock();
        let behind = |reporter: &Arc<Reporter>| reporter.reached.load(Ordering::Acquire) < revision;
        reporters.iter().filter_map(Weak::upgrade).filter(behind).collect()
    }

    /// Serves requests until cancelled. `touch` is the key to write.
    pub(crate) async fn run(
        &self,
        endpoints: Arc<Endpoints>,
        revisions: Arc<RevisionReader>,
        touch: String,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wanted.notified() => {}
            }
            tokio::time::sleep(GRACE).await;
            let Ok(target) = revisions.read().await else { continue };
            for round in 0..ROUNDS {
                let behind = self.behind(target);
                if behind.is_empty() || stop.is_cancelled() {
                    break;
                }
                if round == 0 {
                    tokio::time::sleep(GRACE).await;
                    continue;
                }
                self.nudge(&behind, &endpoints, &touch).await;
                // Most answers come at once; a round is over when they have.
                for _ in 0..PAUSE.as_millis() / GRACE.as_millis() {
                    tokio::time::sleep(GRACE).await;
                    if self.behind(target).is_empty() {
                        break;
                    }
                }
            }
        }
    }

    async fn nudge(&self, behind: &[Arc<Reporter>], endpoints: &Endpoints, touch: &str) {
        for reporter in behind {
            if let Some(requests) = reporter.requests.lock().await.as_mut() {
                // A stream that has ended is opened again by the watch itself.
                let _ = requests.request_progress().await;
            }
        }
        if behind.iter().any(|reporter| reporter.wide.load(Ordering::Acquire)) {
            let put = |member: Endpoint| {
                let touch = touch.to_owned();
                async move { member.kv().put(touch, "", None).await }
            };
            if let Err(failure) = endpoints.call(Call::Repeatable, put).await {
                tracing::debug!(%failure, "the key that makes progress visible could not be written");
            }
        }
    }
}

//! Workers on a queue.

use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::queue::WorkQueue;

/// Runs `count` workers on a queue until shutdown. A key whose work fails, or panics, comes back after its back-off.
pub async fn run_workers<K, E, F, W>(
    name: &'static str,
    queue: WorkQueue<K>,
    count: usize,
    shutdown: CancellationToken,
    work: W,
) where
    K: Clone + Eq + Hash + Send + Sync + std::fmt::Debug + 'static,
    E: Display + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    W: Fn(K) -> F + Send + Sync + 'static,
{
    let work = Arc::new(work);
    let mut workers = JoinSet::new();
    for _ in 0..count {
        let (queue, work) = (queue.clone(), work.clone());
        workers.spawn(async move {
            while let Some(key) = queue.get().await {
                match std::panic::AssertUnwindSafe(work(key.clone())).catch_unwind().await {
                    Ok(Ok(())) => queue.forget(&key),
                    Ok(Err(error)) => {
                        tracing::debug!(controller = name, ?key, %error, "will be tried again");
                        queue.add_rate_limited(key.clone());
                    }
                    Err(_) => {
                        tracing::error!(controller = name, ?key, "panicked; will be tried again");
                        queue.add_rate_limited(key.clone());
                    }
                }
                queue.done(&key);
            }
        });
    }
    shutdown.cancelled().await;
    queue.close();
    while workers.join_next().await.is_some() {}
}

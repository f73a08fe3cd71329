//! Periodic compaction, as kube-apiserver does it: history is kept for between one and two intervals.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{Store, StoreError};

/// Compacts `store` every `interval` (kube-apiserver: 5 minutes) at the revision it had one interval before. Ends when
/// the store has been dropped, or when the handle is aborted.
pub fn spawn_compactor(store: &Arc<dyn Store>, interval: Duration) -> JoinHandle<()> {
    let store: Weak<dyn Store> = Arc::downgrade(store);
    tokio::spawn(async move {
        let mut before = None;
        loop {
            let Some(store) = store.upgrade() else { return };
            let now = store.revision().await.ok();
            if let (Some(before), Some(now)) = (before, now)
                && before < now
            {
                match store.compact(before).await {
                    // Another API server on the same store was faster.
                    Ok(()) | Err(StoreError::Compacted { .. }) => {}
                    Err(error) => tracing::warn!(%error, revision = before, "compaction failed"),
                }
            }
            before = now.or(before);
            drop(store);
            tokio::time::sleep(interval).await;
        }
    })
}

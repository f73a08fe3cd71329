//! Times to live.
//!
//! etcd ends entries by leases, and a lease costs etcd a write and memory. So, as kube-apiserver does it, entries with
//! the same time to live that are written one after the other share one: it is granted for a little longer, and handed
//! out until that extra time has passed or enough entries have it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::endpoints::{Call, Endpoints};
use crate::failure::Failure;

/// A lease that is handed out.
#[derive(Debug)]
struct Bucket {
    lease: i64,
    until: Instant,
    left: u32,
}

/// The leases that can still be handed out, by time to live in seconds.
#[derive(Debug)]
pub(crate) struct Leases {
    buckets: Mutex<HashMap<u64, Bucket>>,
    reuse: Duration,
    entries: u32,
}

impl Leases {
    pub(crate) fn new(reuse: Duration, entries: u32) -> Self {
        Self { buckets: Mutex::default(), reuse, entries }
    }

    /// A lease that ends no earlier than `ttl` from now, and at most a twentieth of that later.
    pub(crate) async fn take(&self, endpoints: &Endpoints, ttl: Duration) -> Result<i64, Failure> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let mut buckets = self.buckets.lock().await;
        let now = Instant::now();
        buckets.retain(|_, bucket| bucket.until > now && bucket.left > 0);
        if let Some(bucket) = buckets.get_mut(&seconds) {
            bucket.left -= 1;
            return Ok(bucket.lease);
        }
        let extra = self.reuse.as_secs().min(seconds / 20);
        let granted = i64::try_from(seconds + extra).unwrap_or(i64::MAX).max(1);
        // Granted twice is only granted in vain.
        let grant = |member: crate::endpoints::Endpoint| async move { member.lease().grant(granted, None).await };
        let lease = endpoints.call(Call::Repeatable, grant).await?.id();
        let bucket = Bucket { lease, until: now + Duration::from_secs(extra), left: self.entries.saturating_sub(1) };
        buckets.insert(seconds, bucket);
        Ok(lease)
    }

    /// Forgets a lease that etcd no longer knows.
    pub(crate) async fn forget(&self, lease: i64) {
        self.buckets.lock().await.retain(|_, bucket| bucket.lease != lease);
    }
}

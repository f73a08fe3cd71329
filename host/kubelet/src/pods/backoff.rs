//! How long something that failed waits before it is tried again.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::BackoffPolicy;

#[cfg(test)]
mod tests;

/// Delays by key. The first failure of a key is tried again at once; from then on the delay counts from the failure, so
/// that what ran for long before it failed does not wait.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: BackoffPolicy,
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    delay: Duration,
    updated: Instant,
}

impl Backoff {
    pub(crate) fn new(policy: BackoffPolicy) -> Self {
        Self { policy, entries: HashMap::new() }
    }

    /// Nothing failed for twice the longest delay: what comes is no consequence of what was.
    fn expired(&self, entry: &Entry, at: Instant) -> bool {
        at.saturating_duration_since(entry.updated) > self.policy.max * 2
    }

    /// When a key that failed at `failed` may be tried again, and how long its delay is; `None` if it may be now.
    pub(crate) fn waits_until(&self, key: &str, failed: Instant) -> Option<(Instant, Duration)> {
        let entry = self.entries.get(key)?;
        if self.expired(entry, failed) {
            return None;
        }
        let until = failed + entry.delay;
        (Instant::now() < until).then_some((until, entry.delay))
    }

    /// Counts a try of a key that failed at `failed`: the next one has to wait longer.
    pub(crate) fn tried(&mut self, key: &str, failed: Instant) {
        let delay = match self.entries.get(key) {
            Some(entry) if !self.expired(entry, failed) => (entry.delay * 2).min(self.policy.max),
            _ => self.policy.base,
        };
        self.entries.insert(key.to_owned(), Entry { delay, updated: Instant::now() });
    }

    /// Forgets a key: it did well, or is gone.
    pub(crate) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

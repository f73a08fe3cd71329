//! Work queues: a key is handed out once at a time, and again if it was added meanwhile.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// A queue of keys, each at most once in it and at most once being worked on. Clones share the queue.
///
/// Failed keys come back after 5 ms, doubled each time up to 1000 s (the reference's per-item limiter).
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    base: Duration,
    max: Duration,
}

struct State<K> {
    ready: VecDeque<K>,
    /// Keys that need work: those in `ready`, and those in `processing` that were added again.
    dirty: HashSet<K>,
    processing: HashSet<K>,
    /// When a key that waits is to be added: the earliest wish wins.
    waiting: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
    closed: bool,
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> WorkQueue<K> {
    /// A queue with the default back-off.
    pub fn new() -> Self {
        Self::with_backoff(Duration::from_millis(5), Duration::from_secs(1000))
    }

    /// A queue with a back-off of `base` after the first failure, doubled up to `max`.
    pub fn with_backoff(base: Duration, max: Duration) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            waiting: HashMap::new(),
            failures: HashMap::new(),
            closed: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), base, max }) }
    }

    /// Adds a key; nothing happens if it is there already.
    pub fn add(&self, key: K) {
        let mut state = self.shared.state.lock();
        if state.add(key) {
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Adds a key after a while; the earliest of several wishes for one key counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let at = Instant::now() + delay;
        let mut state = self.shared.state.lock();
        if state.closed {
            return;
        }
        let entry = state.waiting.entry(key).or_insert(at);
        if at <= *entry {
            *entry = at;
            drop(state);
            // Whoever sleeps may have to wake earlier now.
            self.shared.changed.notify_one();
        }
    }

    /// Adds a key after its back-off, and counts a failure.
    pub fn add_rate_limited(&self, key: K) {
        let delay = {
            let mut state = self.shared.state.lock();
            let failures = state.failures.entry(key.clone()).or_insert(0);
            let delay = self.shared.base.saturating_mul(1_u32.checked_shl(*failures).unwrap_or(u32::MAX));
            *failures = failures.saturating_add(1);
            delay.min(self.shared.max)
        };
        self.add_after(key, delay);
    }

    /// Ends a key's back-off: it did well.
    pub fn forget(&self, key: &K) {
        self.shared.state.lock().failures.remove(key);
    }

    /// How often a key failed since it was last forgotten.
    pub fn num_requeues(&self, key: &K) -> u32 {
        self.shared.state.lock().failures.get(key).copied().unwrap_or(0)
    }

    /// How many keys wait for a worker.
    pub fn len(&self) -> usize {
        self.shared.state.lock().ready.len()
    }

    /// Whether no key waits for a worker.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next key, which is then being worked on until [`WorkQueue::done`]; `None` once the queue is closed and
    /// drained.
    pub async fn get(&self) -> Option<K> {
        loop {
            let notified = self.shared.changed.notified();
            let next_wake = {
                let mut state = self.shared.state.lock();
                state.promote(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.dirty.remove(&key);
                    state.processing.insert(key.clone());
                    // Another sleeper may have work, too: each addition wakes only one.
                    if !state.ready.is_empty() || !state.waiting.is_empty() {
                        self.shared.changed.notify_one();
                    }
                    return Some(key);
                }
                if state.closed {
                    drop(state);
                    self.shared.changed.notify_one();
                    return None;
                }
                state.waiting.values().min().copied()
            };
            match next_wake {
                None => notified.await,
                Some(at) => tokio::select! {
                    () = notified => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
        }
    }

    /// Says that the work on a key is over. If it was added meanwhile, it is ready again.
    pub fn done(&self, key: &K) {
        let mut state = self.shared.state.lock();
        state.processing.remove(key);
        if state.dirty.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Takes no more keys, and wakes all who wait.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.shared.changed.notify_waiters();
        self.shared.changed.notify_one();
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    /// Whether a worker must be woken.
    fn add(&mut self, key: K) -> bool {
        if self.closed || !self.dirty.insert(key.clone()) || self.processing.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn promote(&mut self, now: Instant) {
        let due: Vec<K> = self.waiting.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.waiting.remove(&key);
            self.add(key);
        }
    }
}

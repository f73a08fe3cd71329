//! The pods that wait for a node: ready ones by priority, failed ones until something changes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// The reference's back-off: 1 s after the first failure, doubled up to 10 s.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A pod for which nothing changed is tried again after this nevertheless.
const UNSCHEDULABLE_MAX: Duration = Duration::from_secs(300);

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    pods: HashMap<String, Entry>,
    active: BTreeSet<(Reverse<i64>, u64, String)>,
    sequence: u64,
    /// Counts the changes of the world, so that a pod that failed while it changed is not put to sleep.
    moves: u64,
}

struct Entry {
    priority: i64,
    sequence: u64,
    attempts: u32,
    place: Place,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Active,
    /// Taken by the scheduling loop when the world had changed so often.
    InFlight(u64),
    /// Back in the queue at that time.
    Backoff(Instant),
    /// Failed then; moved by events.
    Unschedulable(Instant),
}

impl State {
    fn activate(&mut self, key: &str) {
        if let Some(entry) = self.pods.get_mut(key) {
            entry.place = Place::Active;
            self.active.insert((Reverse(entry.priority), entry.sequence, key.to_owned()));
        }
    }

    fn flush(&mut self, now: Instant) -> Option<Instant> {
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for (key, entry) in &self.pods {
            let at = match entry.place {
                Place::Backoff(at) => at,
                Place::Unschedulable(since) => since + UNSCHEDULABLE_MAX,
                Place::Active | Place::InFlight(_) => continue,
            };
            if at <= now {
                due.push(key.clone());
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        due.iter().for_each(|key| self.activate(key));
        next
    }
}

fn backoff(attempts: u32) -> Duration {
    BACKOFF_BASE.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX)).min(BACKOFF_MAX)
}

impl Queue {
    /// A pod waits. One that is known keeps its place, unless it `changed` in a way that may help it.
    pub(crate) fn add(&self, key: &str, priority: i64, changed: bool) {
        let mut state = self.state.lock();
        match state.pods.get(key).map(|entry| entry.place) {
            None => {
                state.sequence += 1;
                let entry = Entry { priority, sequence: state.sequence, attempts: 0, place: Place::Active };
                state.pods.insert(key.to_owned(), entry);
                state.activate(key);
            }
            Some(Place::Unschedulable(_)) if changed => state.activate(key),
            Some(_) => return,
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A pod does not wait any more.
    pub(crate) fn remove(&self, key: &str) {
        let mut state = self.state.lock();
        if let Some(entry) = state.pods.remove(key) {
            state.active.remove(&(Reverse(entry.priority), entry.sequence, key.to_owned()));
        }
    }

    /// The next pod, by priority and then by age.
    pub(crate) async fn next(&self) -> String {
        loop {
            let wake = {
                let mut state = self.state.lock();
                // Timers are looked at only when there is nothing else to do, or now and then: that costs a pass.
                let next = if state.active.is_empty() { state.flush(Instant::now()) } else { None };
                if let Some((_, _, key)) = state.active.pop_first() {
                    let moves = state.moves;
                    if let Some(entry) = state.pods.get_mut(&key) {
                        entry.place = Place::InFlight(moves);
                        entry.attempts += 1;
                        return key;
                    }
                    continue;
                }
                next
            };
            match wake {
                None => self.changed.notified().await,
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
        }
    }

    /// A pod found no node. It sleeps until the world changes; if it did meanwhile, only until its back-off is over.
    pub(crate) fn failed(&self, key: &str, error: bool) {
        let mut state = self.state.lock();
        let (moves, now) = (state.moves, Instant::now());
        if let Some(entry) = state.pods.get_mut(key)
            && let Place::InFlight(then) = entry.place
        {
            entry.place = if error || then != moves {
                Place::Backoff(now + backoff(entry.attempts))
            } else {
                Place::Unschedulable(now)
            };
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The world changed: sleepers are tried again after what is left of their back-off.
    pub(crate) fn world_changed(&self) {
        let mut state = self.state.lock();
        state.moves += 1;
        let now = Instant::now();
        let mut awake = Vec::new();
        for (key, entry) in &mut state.pods {
            if let Place::Unschedulable(since) = entry.place {
                let at = since + backoff(entry.attempts);
                if at <= now {
                    awake.push(key.clone());
                } else {
                    entry.place = Place::Backoff(at);
                }
            }
        }
        awake.iter().for_each(|key| state.activate(key));
        drop(state);
        self.changed.notify_one();
    }

    /// How many pods wait: ready, and in all.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.active.len(), state.pods.len())
    }
}

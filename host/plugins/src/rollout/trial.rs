//! A candidate that runs beside the version that serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use portcullis_policy::CallError;
use tokio::sync::Notify;

use super::share::Share;
use super::spec::CanarySpec;
use super::state::Counts;
use crate::table::LivePlugin;

/// What a candidate does beside the version that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialKind {
    /// It decides a share of the requests.
    Canary(Share),
    /// It decides nothing.
    Shadow,
}

/// More than this, and a candidate is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Calls that gave no answer, but for those that were too slow.
    pub traps: Option<u64>,
    /// Calls that were too slow.
    pub deadline_misses: Option<u64>,
    /// Decisions that differ from those of the version that serves.
    pub disagreements: Option<u64>,
}

impl Bounds {
    /// The bounds of a canary.
    pub fn of(canary: &CanarySpec) -> Self {
        let count = |most: i64| u64::try_from(most).ok();
        Self {
            traps: count(canary.max_traps),
            deadline_misses: count(canary.max_deadline_misses),
            disagreements: canary.max_disagreements.and_then(count),
        }
    }

    /// The reason why counts are over the bounds, if they are, and what was counted.
    pub fn exceeded(&self, counts: &Counts) -> Option<(&'static str, String)> {
        let checks = [
            ("Traps", counts.traps, self.traps, "calls that gave no answer"),
            ("DeadlineMisses", counts.deadline_misses, self.deadline_misses, "calls that took too long"),
            ("Disagreements", counts.disagreements, self.disagreements, "decisions unlike those of the version before"),
        ];
        checks.into_iter().find_map(|(reason, found, most, what)| {
            let most = most.filter(|most| found > *most)?;
            Some((reason, format!("{found} {what} in {} (at most {most})", counts.calls)))
        })
    }
}

/// The live counts of a trial on this server.
#[derive(Debug, Default)]
pub struct LiveCounts {
    calls: AtomicU64,
    traps: AtomicU64,
    deadline_misses: AtomicU64,
    agreements: AtomicU64,
    disagreements: AtomicU64,
}

impl LiveCounts {
    /// Goes on from counts that were written down before this process began.
    pub fn from(counts: &Counts) -> Self {
        Self {
            calls: counts.calls.into(),
            traps: counts.traps.into(),
            deadline_misses: counts.deadline_misses.into(),
            agreements: counts.agreements.into(),
            disagreements: counts.disagreements.into(),
        }
    }

    /// The counts as they are now.
    pub fn read(&self) -> Counts {
        Counts {
            calls: self.calls.load(Relaxed),
            traps: self.traps.load(Relaxed),
            deadline_misses: self.deadline_misses.load(Relaxed),
            agreements: self.agreements.load(Relaxed),
            disagreements: self.disagreements.load(Relaxed),
        }
    }
}

/// A candidate beside the version that serves. It belongs to that version's entry in the table.
pub struct Trial {
    /// What the candidate does.
    pub kind: TrialKind,
    /// The candidate.
    pub candidate: Arc<LivePlugin>,
    /// Its revision's name.
    pub revision: String,
    counts: Arc<LiveCounts>,
    bounds: Bounds,
    stopped: AtomicBool,
    wake: Arc<Notify>,
}

impl Trial {
    /// A trial. `counts` are those of an earlier trial of the same candidate, if it only goes on.
    pub fn new(
        kind: TrialKind,
        candidate: Arc<LivePlugin>,
        revision: String,
        bounds: Bounds,
        counts: Arc<LiveCounts>,
        wake: Arc<Notify>,
    ) -> Self {
        let stopped = AtomicBool::new(bounds.exceeded(&counts.read()).is_some());
        Self { kind, candidate, revision, counts, bounds, stopped, wake }
    }

    /// Whether the candidate decides about an object.
    pub fn decides(&self, namespace: &str, name: &str, id: &str) -> bool {
        match &self.kind {
            TrialKind::Shadow => false,
            // Over its bounds it decides nothing more here, before any other server has heard of it.
            TrialKind::Canary(share) => !self.stopped.load(Relaxed) && share.contains(namespace, name, id),
        }
    }

    /// Whether decisions are compared: a shadow's always, a canary's if disagreements are bounded.
    pub fn compares(&self) -> bool {
        self.kind == TrialKind::Shadow || self.bounds.disagreements.is_some()
    }

    /// Counts a call of the candidate.
    pub fn called(&self, error: Option<&CallError>) {
        self.counts.calls.fetch_add(1, Relaxed);
        let Some(error) = error else { return };
        match error {
            CallError::DeadlineExceeded(_) | CallError::Saturated(_) => &self.counts.deadline_misses,
            _ => &self.counts.traps,
        }
        .fetch_add(1, Relaxed);
        self.check();
    }

    /// Counts a comparison with what the version that serves decided.
    pub fn compared(&self, same: bool) {
        if same {
            self.counts.agreements.fetch_add(1, Relaxed);
        } else {
            self.counts.disagreements.fetch_add(1, Relaxed);
            self.check();
        }
    }

    /// What was counted on this server.
    pub fn counts(&self) -> Counts {
        self.counts.read()
    }

    /// The same counts, for a trial that goes on with another share.
    pub fn share_counts(&self) -> Arc<LiveCounts> {
        Arc::clone(&self.counts)
    }

    fn check(&self) {
        let canary = self.kind != TrialKind::Shadow;
        if canary && self.bounds.exceeded(&self.counts.read()).is_some() && !self.stopped.swap(true, Relaxed) {
            self.wake.notify_one();
        }
    }
}

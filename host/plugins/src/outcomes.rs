//! Counts of what a plugin decided, beside the runtime's counts of how its calls went.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What came of one call, as admission understood it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it, nothing to change.
    Allowed,
    /// It would have the object different.
    Changed,
    /// It refused.
    Denied,
    /// It gave no answer.
    Failed,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Changed, Self::Denied, Self::Failed];

    /// The word in metrics, annotations and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Changed => "changed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// How often each verdict was given by one version in one mode.
#[derive(Debug, Default)]
pub struct Outcomes([AtomicU64; Verdict::ALL.len()]);

impl Outcomes {
    /// Counts one.
    pub fn count(&self, verdict: Verdict) {
        self.0[verdict as usize].fetch_add(1, Relaxed);
    }

    /// How often it was given.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.0[verdict as usize].load(Relaxed)
    }
}

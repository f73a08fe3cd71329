//! `status.rollout`: where a roll-out stands, written by all servers together.
//!
//! Each server counts for itself and writes its counts under its own name, so that none overwrites another's; what the
//! counts come to is the sum. A change of phase is written by whichever server sees first that it is due, and only over
//! the version of the Plugin that it saw: of two that try, one succeeds, and the other reads what came of it.

use std::collections::BTreeMap;

use portcullis_machinery::Value;
use serde::{Deserialize, Serialize};

use super::spec::CanarySpec;
use super::trial::Bounds;

/// What was counted of a candidate.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Its calls.
    pub calls: u64,
    /// Those that gave no answer, but for those that were too slow.
    pub traps: u64,
    /// Those that were too slow.
    pub deadline_misses: u64,
    /// Decisions that were compared with those of the version that serves, and were the same.
    pub agreements: u64,
    /// Those that were not the same.
    pub disagreements: u64,
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            calls: sum.calls + one.calls,
            traps: sum.traps + one.traps,
            deadline_misses: sum.deadline_misses + one.deadline_misses,
            agreements: sum.agreements + one.agreements,
            disagreements: sum.disagreements + one.disagreements,
        })
    }
}

/// Where a roll-out stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum Phase {
    /// The candidate decides its share.
    #[default]
    Progressing,
    /// The candidate serves.
    Promoted,
    /// The candidate was taken back, and the version before serves.
    RolledBack,
}

impl Phase {
    /// The word in a status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Progressing => "Progressing",
            Self::Promoted => "Promoted",
            Self::RolledBack => "RolledBack",
        }
    }
}

/// `status.rollout` of a Plugin.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutStatus {
    /// Where it stands.
    pub phase: Phase,
    /// The revision that is tried.
    pub candidate: String,
    /// The digest of its component, once a server has loaded it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub candidate_digest: String,
    /// The revision that serves meanwhile.
    pub stable: String,
    /// The Plugin's generation when this phase began.
    pub generation: i64,
    /// When the roll-out began.
    pub start_time: String,
    /// When it was promoted or rolled back.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub end_time: String,
    /// Why it is in this phase, as a word.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// What all servers counted together.
    #[serde(flatten)]
    pub totals: Counts,
    /// What each server counted.
    pub servers: BTreeMap<String, Counts>,
}

impl RolloutStatus {
    /// That of a Plugin, if it has one.
    pub fn of(plugin: &Value) -> Option<Self> {
        let status = plugin.pointer("/status/rollout").filter(|status| !status.is_null())?;
        Self::deserialize(status).ok()
    }

    /// A roll-out that begins.
    pub fn begin(candidate: &str, stable: &str, generation: i64, now: &str) -> Self {
        Self {
            candidate: candidate.to_owned(),
            stable: stable.to_owned(),
            generation,
            start_time: now.to_owned(),
            reason: "Started".to_owned(),
            message: format!("{candidate} decides its share of the requests, {stable} the others"),
            ..Self::default()
        }
    }

    /// The same with what a server counted since.
    pub fn with_counts(&self, server: &str, counts: Counts) -> Self {
        let mut next = self.clone();
        next.servers.insert(server.to_owned(), counts);
        next.totals = next.servers.values().copied().sum();
        next
    }

    /// The phase that is due by the counts and the time since the beginning; `None` while the trial goes on.
    pub fn due(&self, canary: &CanarySpec, now: &str) -> Option<Self> {
        if self.phase != Phase::Progressing {
            return None;
        }
        let end = |phase: Phase, reason: &str, message: String| {
            Some(Self { phase, reason: reason.to_owned(), message, end_time: now.to_owned(), ..self.clone() })
        };
        if let Some((reason, message)) = Bounds::of(canary).exceeded(&self.totals) {
            return end(Phase::RolledBack, reason, format!("{} was taken back: {message}", self.candidate));
        }
        let after = canary.promote_after.filter(|after| after.seconds.is_some() || after.calls.is_some())?;
        let passed = seconds_between(&self.start_time, now);
        let calls = i64::try_from(self.totals.calls).unwrap_or(i64::MAX);
        if after.seconds.is_some_and(|least| passed < least) || after.calls.is_some_and(|least| calls < least) {
            return None;
        }
        let message = format!("{} serves, after {passed} s and {calls} calls", self.candidate);
        end(Phase::Promoted, "Promoted", message)
    }
}

/// Seconds from one time to another; none if either is no time.
fn seconds_between(start: &str, end: &str) -> i64 {
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok();
    match (parse(start), parse(end)) {
        (Some(start), Some(end)) => end.as_second() - start.as_second(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const START: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn what_is_due() {
        let check = |canary: Value, counts: Value, now: &str, expected: Option<(Phase, &str)>| {
            let canary: CanarySpec = serde_json::from_value(canary).unwrap();
            let counts: Counts = serde_json::from_value(counts).unwrap();
            let state = RolloutStatus::begin("b", "a", 2, START).with_counts("one", counts);
            let found = state.due(&canary, now).map(|next| (next.phase, next.reason));
            assert_eq!(found, expected.map(|(phase, reason)| (phase, reason.to_owned())), "{canary:?} {counts:?}");
        };
        let later = "2026-01-01T00:01:00Z";
        check(json!({"percent": 5}), json!({"calls": 1000}), later, None);
        check(json!({"promoteAfter": {}}), json!({"calls": 1000}), later, None);
        check(json!({"promoteAfter": {"calls": 10}}), json!({"calls": 9}), later, None);
        check(json!({"promoteAfter": {"calls": 10}}), json!({"calls": 10}), later, Some((Phase::Promoted, "Promoted")));
        check(json!({"promoteAfter": {"seconds": 61}}), json!({}), later, None);
        check(json!({"promoteAfter": {"seconds": 60}}), json!({}), later, Some((Phase::Promoted, "Promoted")));
        check(json!({"promoteAfter": {"seconds": 60, "calls": 1}}), json!({}), later, None);
        // Bounds come before the promotion that would be due as well.
        let both = json!({"promoteAfter": {"calls": 1}});
        check(both.clone(), json!({"calls": 5, "traps": 1}), later, Some((Phase::RolledBack, "Traps")));
        check(
            both.clone(),
            json!({"calls": 5, "deadlineMisses": 1}),
            later,
            Some((Phase::RolledBack, "DeadlineMisses")),
        );
        check(both, json!({"calls": 5, "disagreements": 99}), later, Some((Phase::Promoted, "Promoted")));
        check(json!({"maxDisagreements": 2}), json!({"disagreements": 2}), later, None);
        check(
            json!({"maxDisagreements": 2}),
            json!({"disagreements": 3}),
            later,
            Some((Phase::RolledBack, "Disagreements")),
        );
        check(json!({"maxTraps": 3}), json!({"traps": 3}), later, None);
    }

    #[test]
    fn servers_count_together() {
        let counts = |calls: u64, traps: u64| Counts { calls, traps, ..Counts::default() };
        let state = RolloutStatus::begin("b", "a", 2, START);
        let state =
            state.with_counts("one", counts(5, 1)).with_counts("two", counts(7, 1)).with_counts("one", counts(6, 1));
        assert_eq!(state.totals, counts(13, 2));
        let canary = CanarySpec { max_traps: 1, ..CanarySpec::default() };
        assert_eq!(state.due(&canary, START).map(|next| next.phase), Some(Phase::RolledBack));
    }

    #[test]
    fn a_status_is_read_as_it_was_written() {
        let state =
            RolloutStatus::begin("b", "a", 2, START).with_counts("one", Counts { calls: 3, ..Counts::default() });
        let plugin = json!({"status": {"rollout": serde_json::to_value(&state).unwrap()}});
        assert_eq!(plugin["status"]["rollout"]["calls"], 3);
        assert_eq!(RolloutStatus::of(&plugin), Some(state));
        assert_eq!(RolloutStatus::of(&json!({"status": {}})), None);
    }
}

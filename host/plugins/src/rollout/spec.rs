//! `spec.rollout` as data, and what is wrong with one.

use serde::{Deserialize, Serialize};

use crate::mode::{Mode, is_admission};
use crate::spec::{PluginSpec, SpecError};

/// How a new version takes over (`spec.rollout`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutSpec {
    /// At once, or by a canary.
    #[serde(rename = "type")]
    pub kind: RolloutKind,
    /// How a canary goes; looked at only if the type says so.
    pub canary: Option<CanarySpec>,
}

/// How a new version takes over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum RolloutKind {
    /// As soon as it has loaded.
    #[default]
    Immediate,
    /// It decides a share of the requests first.
    Canary,
}

/// How a canary goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CanarySpec {
    /// How many of a hundred names the candidate decides about.
    pub percent: Option<i64>,
    /// The namespaces that the candidate decides in.
    pub namespaces: Vec<String>,
    /// When the candidate takes over; by itself never, if this is not given.
    pub promote_after: Option<PromoteAfter>,
    /// The candidate is taken back when it traps more often than this.
    pub max_traps: i64,
    /// The same for calls that took too long.
    pub max_deadline_misses: i64,
    /// The same for decisions that differ from those of the version before; these are compared only if this is given.
    pub max_disagreements: Option<i64>,
}

/// When a candidate takes over: all that is given must hold.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromoteAfter {
    /// So many seconds after its start.
    pub seconds: Option<i64>,
    /// After so many decisions, on all servers together.
    pub calls: Option<i64>,
}

fn wrong<T>(field: &'static str, message: &str) -> Result<T, SpecError> {
    Err(SpecError::Field { field, message: message.to_owned() })
}

/// Checks mode and rollout of a Plugin against its stage, its source and each other.
///
/// # Errors
/// [`SpecError::Field`] with what to change.
pub fn check(spec: &PluginSpec) -> Result<(), SpecError> {
    let stage = spec.stage;
    if !spec.mode.is_for(stage) {
        let message =
            format!("plugins of the stage {stage} can only be in the mode Enforce: others go on without an answer");
        return Err(SpecError::Field { field: "spec.mode", message });
    }
    if spec.rollout.kind == RolloutKind::Canary {
        if !is_admission(stage) {
            let message = format!("plugins of the stage {stage} can only take over at once: use Immediate");
            return Err(SpecError::Field { field: "spec.rollout.type", message });
        }
        if spec.mode == Mode::Shadow {
            return wrong("spec.rollout.type", "a plugin in the mode Shadow decides nothing: use Immediate");
        }
        if spec.source.file.is_some() {
            return wrong(
                "spec.rollout.type",
                "the content of a file may change while a canary runs: push the module and name its digest",
            );
        }
        if spec.rollout.canary.is_none() {
            return wrong("spec.rollout.canary", "must be given if the type is Canary");
        }
    }
    spec.rollout.canary.as_ref().map_or(Ok(()), check_canary)
}

fn check_canary(canary: &CanarySpec) -> Result<(), SpecError> {
    match (canary.percent, canary.namespaces.is_empty()) {
        (Some(1..=100), true) | (None, false) => {}
        (Some(_), true) => return wrong("spec.rollout.canary.percent", "must be from 1 to 100"),
        _ => return wrong("spec.rollout.canary", "exactly one of percent and namespaces must be given"),
    }
    if canary.max_traps < 0 {
        return wrong("spec.rollout.canary.maxTraps", "must not be negative");
    }
    if canary.max_deadline_misses < 0 {
        return wrong("spec.rollout.canary.maxDeadlineMisses", "must not be negative");
    }
    if canary.max_disagreements.is_some_and(|most| most < 0) {
        return wrong("spec.rollout.canary.maxDisagreements", "must not be negative");
    }
    let after = canary.promote_after.unwrap_or_default();
    if after.seconds.is_some_and(|seconds| seconds < 0) {
        return wrong("spec.rollout.canary.promoteAfter.seconds", "must not be negative");
    }
    if after.calls.is_some_and(|calls| calls < 0) {
        return wrong("spec.rollout.canary.promoteAfter.calls", "must not be negative");
    }
    Ok(())
}

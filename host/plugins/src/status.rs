//! A Plugin's status, as far as this server knows it.

use std::collections::BTreeMap;

use portcullis_machinery::Value;
use serde_json::json;

use crate::manager::PluginManager;
use crate::rollout::share::Share;
use crate::rollout::trial::{Trial, TrialKind};
use crate::table::LivePlugin;

/// What serves, in words.
fn serves(live: &LivePlugin) -> String {
    let digest = live.policy.digest();
    let Some(trial) = &live.trial else { return format!("{digest} serves") };
    let candidate = trial.candidate.policy.digest();
    match &trial.kind {
        TrialKind::Shadow => format!("{digest} serves, and {candidate} is compared with it"),
        TrialKind::Canary(Share::Percent { percent, .. }) => {
            format!("{digest} serves, and {candidate} decides about {percent} of 100 names")
        }
        TrialKind::Canary(Share::Namespaces(list)) => {
            format!("{digest} serves, and {candidate} decides in {}", list.join(", "))
        }
    }
}

fn shadow(trial: &Trial) -> Value {
    let counts = trial.counts();
    json!({
        "revision": trial.revision,
        "digest": trial.candidate.policy.digest().to_string(),
        "calls": counts.calls,
        "traps": counts.traps,
        "deadlineMisses": counts.deadline_misses,
        "agreements": counts.agreements,
        "disagreements": counts.disagreements,
    })
}

impl PluginManager {
    /// A plugin's `status`, without the times of its conditions' transitions and without where a roll-out stands; `None`
    /// if the plugin is not known.
    pub fn status(&self, name: &str) -> Option<Value> {
        let entries = self.entries.lock();
        let entry = entries.get(name)?;
        let condition = |kind: &str, ok: bool, reason: &str, message: &str| {
            let status = if ok { "True" } else { "False" };
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                   "observedGeneration": entry.observed_generation})
        };
        let trial = entry.live.as_ref().and_then(|live| live.trial.as_ref());
        let loaded = match (&entry.error, trial) {
            (None, None) => condition("Loaded", true, "Loaded", "the version that the spec describes serves"),
            (None, Some(_)) => {
                condition("Loaded", true, "Trial", "the version that the spec describes runs beside the one before")
            }
            (Some(failure), _) => condition("Loaded", false, failure.reason, &failure.message),
        };
        let ready = match &entry.live {
            Some(live) => condition("Ready", true, "Serving", &serves(live)),
            None => condition("Ready", false, "NotLoaded", "no version serves"),
        };
        let mut status = json!({"observedGeneration": entry.observed_generation, "conditions": [loaded, ready]});
        if let Some(live) = &entry.live {
            let stats = live.policy.stats();
            status["activeDigest"] = json!(live.policy.digest().to_string());
            if entry.active_generation > 0 {
                status["activeGeneration"] = json!(entry.active_generation);
            }
            let failed = stats.errors_by_reason.iter().filter(|(_, count)| *count > 0);
            let by_reason: BTreeMap<&str, u64> = failed.copied().collect();
            if !by_reason.is_empty() {
                status["errorsByReason"] = json!(by_reason);
            }
            for (field, value) in [
                ("calls", stats.calls),
                ("errors", stats.errors),
                ("instances", stats.instances),
                ("p50Micros", stats.p50_micros.ceil() as u64),
                ("p99Micros", stats.p99_micros.ceil() as u64),
            ] {
                status[field] = json!(value);
            }
        }
        if let Some(trial) = trial.filter(|trial| trial.kind == TrialKind::Shadow) {
            status["shadow"] = shadow(trial);
        }
        Some(status)
    }
}

//! `status.phase`.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;

use super::Facts;
use crate::pods::plan::Outcome;
use crate::pods::spec::{Container, RestartPolicy, Role, restart_policy};

/// How many containers do what.
#[derive(Debug, Default)]
struct Count {
    running: usize,
    stopped: usize,
    succeeded: usize,
    /// Never started.
    waiting: usize,
}

/// The phase of a pod with these statuses of containers.
pub(super) fn phase(pod: &Value, all: &[Container<'_>], init: &[Value], app: &[Value], facts: &Facts) -> &'static str {
    if let Some(verdict) = &facts.verdict
        && (facts.stopped || verdict.reason.is_empty())
    {
        return match verdict.outcome {
            Outcome::Succeeded => "Succeeded",
            Outcome::Failed => "Failed",
        };
    }
    let roles = all.iter().filter(|container| container.role != Role::App);
    let initialized = roles.zip(init).all(|(container, status)| match container.role {
        Role::Init => status.int_at(&["state", "terminated", "exitCode"]) == Some(0),
        _ => status.bool_at(&["started"]) || status.at(&["lastState", "terminated"]).is_some(),
    });
    let mut count = Count::default();
    for status in app {
        let ended = |state: &str| status.int_at(&[state, "terminated", "exitCode"]);
        if status.at(&["state", "running"]).is_some() {
            count.running += 1;
        } else if let Some(code) = ended("state") {
            count.stopped += 1;
            count.succeeded += usize::from(code == 0);
        } else if ended("lastState").is_some() {
            count.stopped += 1;
        } else {
            count.waiting += 1;
        }
    }
    let begun = count.running + count.stopped > 0;
    if facts.stopped {
        return if begun && count.succeeded == app.len() { "Succeeded" } else { "Failed" };
    }
    match count {
        _ if !initialized && !begun => "Pending",
        Count { waiting: 1.., .. } => "Pending",
        Count { running: 1.., .. } => "Running",
        Count { stopped, succeeded, .. } => match restart_policy(pod) {
            RestartPolicy::Always => "Running",
            _ if stopped == succeeded => "Succeeded",
            RestartPolicy::Never => "Failed",
            RestartPolicy::OnFailure => "Running",
        },
    }
}

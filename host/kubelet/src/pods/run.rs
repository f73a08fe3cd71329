//! What is known of one container of a pod: what it does now, what came before, and how to say it in a status.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_client::ObjectExt;
use portcullis_client::time::{parse, rfc3339};
use portcullis_machinery::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::runtime::ContainerState;

#[cfg(test)]
mod tests;

/// How a container came to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Termination {
    /// The container's id with its scheme; empty if it never had one.
    pub(crate) id: String,
    pub(crate) exit_code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// The same by the clock that back-offs run by.
    pub(crate) seen_at: Instant,
}

impl Termination {
    /// A container that was running in an earlier life of this process: its end was not seen.
    pub(crate) fn lost(id: &str, started_at: Option<Timestamp>, when: &str) -> Self {
        Self {
            id: id.to_owned(),
            exit_code: 137,
            reason: "ContainerStatusUnknown".to_owned(),
            message: format!("The container could not be located when the {when}"),
            started_at,
            finished_at: None,
            seen_at: Instant::now(),
        }
    }

    /// Of what a runtime says; `None` if the container runs.
    pub(crate) fn of_state(id: &str, state: &ContainerState) -> Option<Self> {
        let ContainerState::Exited { exit_code, reason, message, started_at, finished_at } = state else { return None };
        Some(Self {
            id: id.to_owned(),
            exit_code: *exit_code,
            reason: reason.clone(),
            message: message.clone(),
            started_at: Some(*started_at),
            finished_at: Some(*finished_at),
            seen_at: Instant::now(),
        })
    }

    fn of_status(state: &Value) -> Option<Self> {
        let ended = state.get("terminated").filter(|ended| ended.is_object())?;
        Some(Self {
            id: ended.str_at(&["containerID"]).to_owned(),
            exit_code: i32::try_from(ended.int_at(&["exitCode"]).unwrap_or(0)).unwrap_or(-1),
            reason: ended.str_at(&["reason"]).to_owned(),
            message: ended.str_at(&["message"]).to_owned(),
            started_at: parse(ended.str_at(&["startedAt"])),
            finished_at: parse(ended.str_at(&["finishedAt"])),
            seen_at: Instant::now(),
        })
    }

    fn to_status(&self) -> Value {
        let time = |time: Option<Timestamp>| time.map_or(Value::Null, |time| rfc3339(time).into());
        let mut ended = json!({
            "exitCode": self.exit_code,
            "startedAt": time(self.started_at),
            "finishedAt": time(self.finished_at),
        });
        for (field, text) in [("reason", &self.reason), ("message", &self.message), ("containerID", &self.id)] {
            if !text.is_empty() {
                ended[field] = text.as_str().into();
            }
        }
        json!({"terminated": ended})
    }
}

/// What a container does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Phase {
    /// It was not started yet, or is to be started again after a restart of the kubelet.
    #[default]
    Created,
    /// It runs, under the runtime's id.
    Running { id: String, started_at: Timestamp },
    /// It has ended.
    Exited(Termination),
}

/// One container of a pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) phase: Phase,
    /// Why it waits, if it was to be started and could not be: reason and message.
    pub(crate) waiting: Option<(String, String)>,
    /// The end before the present phase.
    pub(crate) last: Option<Termination>,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// Whether a container was made for it in this pod, so that the next one is a restart.
    pub(crate) was_started: bool,
    /// What the image is, by digest.
    pub(crate) image_id: String,
    /// Its id with the runtime's scheme, of the present or the last container.
    pub(crate) container_id: String,
    /// Whether its startup probe succeeded, or it has none.
    pub(crate) started: bool,
    /// What its readiness probe says; true without one.
    pub(crate) ready: bool,
    /// Set while it is made to stop: how long it has at most.
    pub(crate) stopping: Option<Instant>,
    /// When it may be tried again after it could not be started.
    pub(crate) retry_at: Option<Instant>,
}

impl Run {
    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Whether it serves, as the pod's readiness counts it.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_running() && self.started && self.ready
    }

    /// The code that it ended with, if it has ended and nothing came after.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match &self.phase {
            Phase::Exited(end) => Some(end.exit_code),
            _ => None,
        }
    }

    /// Makes it wait.
    pub(crate) fn wait(&mut self, reason: &str, message: impl Into<String>, retry_in: Option<Duration>) {
        self.waiting = Some((reason.to_owned(), message.into()));
        self.retry_at = retry_in.map(|delay| Instant::now() + delay);
    }

    /// Notes that it was started.
    pub(crate) fn begin(&mut self, id: String, scheme: &str, image_id: String) {
        if let Phase::Exited(end) = std::mem::take(&mut self.phase) {
            self.last = Some(end);
        }
        if self.was_started {
            self.restarts += 1;
        }
        self.container_id = format!("{scheme}://{id}");
        self.phase = Phase::Running { id, started_at: Timestamp::now() };
        (self.was_started, self.image_id) = (true, image_id);
        (self.waiting, self.retry_at, self.stopping) = (None, None, None);
        (self.started, self.ready) = (false, false);
    }

    /// Notes that it ended.
    pub(crate) fn end(&mut self, end: Termination) {
        self.phase = Phase::Exited(end);
        (self.started, self.ready, self.stopping) = (false, false, None);
    }

    /// The number of the container that is or was running, which its log file is named after.
    pub(crate) fn attempt(&self) -> u32 {
        self.restarts
    }

    /// The number that a container started now has.
    pub(crate) fn next_attempt(&self) -> u32 {
        if self.was_started { self.restarts + 1 } else { 0 }
    }

    /// What the API knows of it from an earlier life of this process. What was running then is lost.
    pub(crate) fn adopt(status: &Value) -> Self {
        let state = status.get("state").cloned().unwrap_or_default();
        let id = status.str_at(&["containerID"]).to_owned();
        let last = status.get("lastState").and_then(Termination::of_status);
        let mut run = Self {
            restarts: u32::try_from(status.int_at(&["restartCount"]).unwrap_or(0)).unwrap_or(0),
            image_id: status.str_at(&["imageID"]).to_owned(),
            was_started: !id.is_empty(),
            container_id: id.clone(),
            last,
            ..Self::default()
        };
        if let Some(end) = Termination::of_status(&state) {
            run.phase = Phase::Exited(end);
        } else if state.get("running").is_some_and(Value::is_object) {
            let started_at = parse(state.str_at(&["running", "startedAt"]));
            run.phase = Phase::Exited(Termination::lost(&id, started_at, "kubelet started again"));
        } else if let Some(last) = run.last.take_if(|_| run.was_started) {
            // It waited for its restart.
            run.phase = Phase::Exited(last);
        }
        run
    }

    /// Its `state` and `lastState`. `default` is the reason for which a container waits that was never tried.
    pub(crate) fn states(&self, default: &str) -> (Value, Value) {
        let last = |end: Option<&Termination>| end.map_or_else(|| json!({}), Termination::to_status);
        if let Some((reason, message)) = &self.waiting {
            let mut waiting = json!({"reason": reason});
            if !message.is_empty() {
                waiting["message"] = message.as_str().into();
            }
            let before = if let Phase::Exited(end) = &self.phase { Some(end) } else { self.last.as_ref() };
            return (json!({"waiting": waiting}), last(before));
        }
        match &self.phase {
            Phase::Created => (json!({"waiting": {"reason": default}}), last(self.last.as_ref())),
            Phase::Running { started_at, .. } => {
                (json!({"running": {"startedAt": rfc3339(*started_at)}}), last(self.last.as_ref()))
            }
            Phase::Exited(end) => (end.to_status(), last(self.last.as_ref())),
        }
    }
}

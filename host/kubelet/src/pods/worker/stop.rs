//! How a pod ends: its containers stop within the grace period, sidecars after the others; then everything of it is taken
//! down, and a pod that was deleted leaves the API.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::PODS;
use portcullis_client::{DeleteParams, EventType, ObjectExt};
use tokio::time::Instant;

use super::{Next, Signal, Update, Worker};
use crate::pods::hooks;
use crate::pods::run::Phase;
use crate::pods::spec::{self, Role, containers};

/// A container is given at least this long once its hook has used up the grace period.
const LEAST: Duration = Duration::from_secs(2);

/// A pod on its way to the end.
pub(super) struct Stopping {
    until: Instant,
}

impl Worker {
    /// How long the pod has to stop, counted from when that was decided.
    fn grace(&self, update: &Update) -> Duration {
        if !update.pod.is_deleting() {
            return spec::grace_period(&self.pod);
        }
        let given = self.pod.int_at(&["metadata", "deletionGracePeriodSeconds"]);
        let given = given.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        given.unwrap_or_else(|| spec::grace_period(&self.pod))
    }

    /// One step of a pod that is deleted, or has an outcome.
    pub(super) async fn step_to_the_end(&mut self, update: &Update) -> Next {
        let until = Instant::now() + self.grace(update);
        let stopping = self.stopping.get_or_insert(Stopping { until });
        // Whoever deletes again may give it less time, never more.
        stopping.until = stopping.until.min(until);
        let until = stopping.until;
        self.stop_next(until);
        self.probing.update(&self.agent, &self.pod, &mut self.runs);
        if self.runs.values().any(|run| run.is_running()) {
            self.publish();
            return Next::Wait(Instant::now() + Duration::from_secs(5));
        }
        if !self.down {
            self.probing.stop_all();
            self.tear_down().await;
            self.agent.admitted.release(self.pod.uid());
            self.down = true;
        }
        self.publish();
        if update.gone {
            return self.remove();
        }
        if !update.pod.is_deleting() {
            return Next::Wait(Instant::now() + self.agent.config.sync_frequency);
        }
        self.writer.flush().await;
        let delete = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::uid(self.pod.uid()) };
        match self.agent.client.delete(&PODS, self.pod.namespace(), self.pod.name(), &delete).await {
            Ok(_) => self.remove(),
            Err(error) if error.is_not_found() || error.is_conflict() => self.remove(),
            Err(error) => {
                tracing::warn!(pod = self.pod.name(), %error, "a stopped pod could not be deleted yet");
                Next::Wait(Instant::now() + Duration::from_secs(1))
            }
        }
    }

    fn remove(&self) -> Next {
        if let Err(error) = self.agent.paths.remove_pod(&self.pod) {
            tracing::warn!(pod = self.pod.name(), %error, "files of a deleted pod could not be removed");
        }
        Next::Done
    }

    /// Stops the containers; once they have ended the sidecars, the one that started last first.
    fn stop_next(&mut self, until: Instant) {
        let pod = Arc::clone(&self.pod);
        let all = containers(&pod);
        let running = |worker: &Self, name: &str| worker.runs.get(name).is_some_and(|run| run.is_running());
        let (sidecars, others): (Vec<&spec::Container<'_>>, Vec<_>) =
            all.iter().filter(|c| running(self, c.name())).partition(|container| container.role == Role::Sidecar);
        let now: Vec<&str> = if others.is_empty() {
            sidecars.last().map(|container| container.name()).into_iter().collect()
        } else {
            others.iter().map(|container| container.name()).collect()
        };
        for name in now {
            let message = format!("Stopping container {name}");
            self.kill(name, until.saturating_duration_since(Instant::now()), &message);
        }
    }

    /// Restarts the containers whose liveness or startup probe has failed.
    pub(super) fn restart_unhealthy(&mut self) {
        for (name, kind) in self.probing.unhealthy() {
            let grace = self.probing.grace(&name, kind).unwrap_or_else(|| spec::grace_period(&self.pod));
            let kind = kind.to_string().to_lowercase();
            let message = format!("Container {name} failed {kind} probe, will be restarted");
            self.kill(&name, grace, &message);
        }
    }

    /// Has a container end within `grace`, beside this task. One that is ending already only gets less time.
    pub(super) fn kill(&mut self, name: &str, grace: Duration, message: &str) {
        let pod = Arc::clone(&self.pod);
        let (Some(runtime), Some(sandbox)) = (self.runtime.clone(), self.sandbox.clone()) else { return };
        let Some(container) = spec::container(&pod, name) else { return };
        let Some(run) = self.runs.get_mut(name) else { return };
        let Phase::Running { id, .. } = &run.phase else { return };
        let (id, until) = (id.clone(), Instant::now() + grace);
        let again = match run.stopping {
            // A clock that is asked twice has moved on meanwhile.
            Some(known) if known <= until + Duration::from_millis(100) => return,
            known => known.is_some(),
        };
        run.stopping = Some(until);
        if !again {
            let field = container.field_path();
            self.agent.recorder.event_on_field(&pod, &field, EventType::Normal, "Killing", message);
        }
        let hook = container.value.at(&["lifecycle", "preStop"]).filter(|_| !again && !grace.is_zero()).cloned();
        let target = hooks::Target::of(&container, sandbox.ip);
        let (agent, field, signal) = (Arc::clone(&self.agent), container.field_path(), self.signal.clone());
        tokio::spawn(async move {
            let mut left = grace;
            if let Some(hook) = hook {
                let ran = tokio::time::timeout(grace, hooks::run(&hook, &target)).await;
                if let Ok(Err(error)) = ran {
                    let message = format!("PreStopHook failed: {error}");
                    agent.recorder.event_on_field(&pod, &field, EventType::Warning, "FailedPreStopHook", &message);
                }
                left = until.saturating_duration_since(Instant::now()).max(LEAST);
            }
            if let Err(error) = runtime.stop_container(&id, left).await {
                tracing::debug!(%error, "a container to be stopped is gone already");
            }
            // Whoever waits for the last container may go on.
            let _ = signal.send(Signal::Woken);
        });
    }
}

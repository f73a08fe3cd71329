//! One pod's life on this node: a task that looks at the pod whenever something happens to it, and does what is to be
//! done next.
//!
//! Things happen in three ways: the API has a new version of the pod, a container or a probe says something, or time has
//! passed. Each look is a step from what is to what should be; a step never waits for a container to end, so that the
//! next news is never missed. What takes time and may have to be given up (a pull, a hook) watches for the pod's deletion.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_client::{EventType, Object, ObjectExt};
use portcullis_machinery::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::plan::{Outcome, Plan, Runs, plan};
use super::probing::Probing;
use super::run::{Run, Termination};
use super::spec::{self, containers};
use super::status::{Facts, Verdict, status};
use super::writer::StatusWriter;
use crate::agent::Agent;
use crate::runtime::{ContainerRuntime, ContainerState, Sandbox};

mod setup;
mod start;
mod stop;

use stop::Stopping;

/// The pod as the API has it.
#[derive(Clone)]
pub(crate) struct Update {
    pub(crate) pod: Object,
    /// Whether it is gone from the API: nobody asks for its end any more, it just has to end.
    pub(crate) gone: bool,
}

impl Update {
    fn ends(&self) -> bool {
        self.gone || self.pod.is_deleting()
    }
}

/// What happened inside the pod.
pub(crate) enum Signal {
    /// A container ended.
    Exited { name: String, id: String, state: ContainerState },
    /// A probe has something to say: what it is, is asked of [`Probing`].
    Probe,
    /// A task of the pod has done its part.
    Woken,
}

/// What comes after a step.
enum Next {
    /// Nothing ever: the pod is gone.
    Done,
    /// The next news, or this moment.
    Wait(Instant),
}

/// See the module.
pub(crate) struct Worker {
    agent: Arc<Agent>,
    pod: Object,
    updates: watch::Receiver<Update>,
    signals: mpsc::UnboundedReceiver<Signal>,
    signal: mpsc::UnboundedSender<Signal>,
    writer: StatusWriter,
    runtime: Option<Arc<dyn ContainerRuntime>>,
    sandbox: Option<Sandbox>,
    /// The pod's address; its status keeps the last one when the sandbox is gone.
    ip: Option<IpAddr>,
    volumes: Option<HashMap<String, PathBuf>>,
    volumes_at: Instant,
    runs: Runs,
    probing: Probing,
    /// Tries to set the pod up: how many failed in a row, when the next may be, and what was said about the last.
    setup: setup::Tries,
    verdict: Option<Verdict>,
    stopping: Option<Stopping>,
    /// Whether everything of the pod has stopped and was taken down.
    down: bool,
    started_at: Timestamp,
    /// When a status that somebody else changed is put right.
    correct_at: Option<Instant>,
}

impl Worker {
    /// A worker for a pod that was bound to this node, or was running here before this process started.
    pub(crate) fn new(agent: Arc<Agent>, updates: watch::Receiver<Update>) -> Self {
        let pod = Arc::clone(&updates.borrow().pod);
        let (signal, signals) = mpsc::unbounded_channel();
        let writer = StatusWriter::new(agent.client.clone(), &pod);
        let started_at = portcullis_client::time::parse(pod.str_at(&["status", "startTime"]));
        let mut worker = Self {
            probing: Probing::new(signal.clone()),
            setup: setup::Tries::new(),
            runs: Runs::new(),
            pod,
            agent,
            updates,
            signals,
            signal,
            writer,
            runtime: None,
            sandbox: None,
            ip: None,
            volumes: None,
            volumes_at: Instant::now(),
            verdict: None,
            stopping: None,
            down: false,
            started_at: started_at.unwrap_or_else(Timestamp::now),
            correct_at: None,
        };
        worker.adopt();
        worker
    }

    /// Takes over what the API knows of the pod from an earlier life of this process.
    fn adopt(&mut self) {
        for list in ["initContainerStatuses", "containerStatuses"] {
            for status in self.pod.list_at(&["status", list]) {
                self.runs.insert(status.str_at(&["name"]).to_owned(), Run::adopt(status));
            }
        }
        for container in containers(&self.pod) {
            self.runs.entry(container.name().to_owned()).or_default();
        }
        let outcome = match self.pod.str_at(&["status", "phase"]) {
            "Succeeded" => Outcome::Succeeded,
            "Failed" => Outcome::Failed,
            _ => return,
        };
        let text = |field: &str| self.pod.str_at(&["status", field]).to_owned();
        self.verdict = Some(Verdict { outcome, reason: text("reason"), message: text("message") });
        self.ip = self.pod.str_at(&["status", "podIP"]).parse().ok();
    }

    /// Runs the pod to its end.
    pub(crate) async fn run(mut self) {
        let shutdown = self.agent.shutdown.clone();
        loop {
            let until = match self.step().await {
                Next::Done => break,
                Next::Wait(until) => until,
            };
            tokio::select! {
                () = shutdown.cancelled() => return self.leave().await,
                changed = self.updates.changed() => if changed.is_err() { return self.leave().await },
                Some(signal) = self.signals.recv() => self.note(signal).await,
                () = tokio::time::sleep_until(until) => {}
            }
            while let Ok(signal) = self.signals.try_recv() {
                self.note(signal).await;
            }
        }
        self.agent.forget(&self.pod);
    }

    async fn step(&mut self) -> Next {
        let update = self.updates.borrow_and_update().clone();
        self.pod = Arc::clone(&update.pod);
        if update.ends() || self.verdict.is_some() {
            return self.step_to_the_end(&update).await;
        }
        if let Some(verdict) = self.judge() {
            self.verdict = Some(verdict);
            return self.step_to_the_end(&update).await;
        }
        self.publish();
        if let Err(until) = self.set_up().await {
            self.publish();
            return Next::Wait(until.min(self.deadline()));
        }
        self.probing.update(&self.agent, &self.pod, &mut self.runs);
        self.restart_unhealthy();
        let mut until = Instant::now() + self.agent.config.sync_frequency;
        let pod = Arc::clone(&self.pod);
        match plan(&pod, &self.runs) {
            Plan::End(outcome) => {
                self.verdict = Some(outcome.into());
                return self.step_to_the_end(&update).await;
            }
            Plan::Start(names) => {
                for name in names {
                    if let Some(at) = self.start(name).await {
                        until = until.min(at);
                    }
                    if self.updates.borrow().ends() {
                        break;
                    }
                }
            }
        }
        self.probing.update(&self.agent, &self.pod, &mut self.runs);
        self.publish();
        let correct_at = self.correct();
        Next::Wait(until.min(self.deadline()).min(correct_at.unwrap_or(until)))
    }

    /// What a container or a probe said.
    async fn note(&mut self, signal: Signal) {
        let Signal::Exited { name, id, state } = signal else { return };
        let Some(run) = self.runs.get_mut(&name) else { return };
        let scheme = self.runtime.as_ref().map_or("", |runtime| runtime.scheme()).to_owned();
        let Some(mut end) = Termination::of_state(&format!("{scheme}://{id}"), &state) else { return };
        // News of a container that another one has replaced is none.
        if !matches!(&run.phase, super::run::Phase::Running { id: present, .. } if *present == id) {
            return;
        }
        let attempt = run.attempt();
        self.agent.writing.end(&self.pod, &name, attempt);
        if let Some(message) = self.agent.paths.termination_message(&self.pod, &name, attempt, end.exit_code).await {
            end.message = message;
        }
        self.probing.stop(&name);
        if let Some(run) = self.runs.get_mut(&name) {
            run.end(end);
        }
        if let Some(runtime) = &self.runtime
            && let Err(error) = runtime.remove_container(&id).await
        {
            tracing::debug!(%error, container = name, "an ended container was not removed");
        }
    }

    /// Whether the pod has to end for a reason of its own spec, or of the node's.
    fn judge(&self) -> Option<Verdict> {
        // What has a start time was admitted before, perhaps by an earlier life of this process.
        let known = !self.pod.str_at(&["status", "startTime"]).is_empty();
        if let Err(verdict) = self.agent.admitted.admit(&self.pod, known) {
            self.agent.recorder.event(&self.pod, EventType::Warning, &verdict.reason, &verdict.message);
            return Some(verdict);
        }
        let limit = self.pod.int_at(&["spec", "activeDeadlineSeconds"])?;
        (Timestamp::now().duration_since(self.started_at).as_secs() >= limit).then(|| {
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            self.agent.recorder.event(&self.pod, EventType::Normal, "DeadlineExceeded", &message);
            Verdict { outcome: Outcome::Failed, reason: "DeadlineExceeded".to_owned(), message }
        })
    }

    /// When the pod's active deadline is; far away if it has none.
    fn deadline(&self) -> Instant {
        let left = self.pod.int_at(&["spec", "activeDeadlineSeconds"]).map(|limit| {
            let lived = Timestamp::now().duration_since(self.started_at).as_secs();
            Duration::from_secs(u64::try_from(limit - lived).unwrap_or(0))
        });
        Instant::now() + left.unwrap_or(self.agent.config.sync_frequency)
    }

    /// Makes the status known: to the API, and to whoever asks this node.
    fn publish(&mut self) {
        let facts = Facts {
            host_ip: self.agent.config.node_ip,
            pod_ip: self.ip,
            sandbox_ready: self.sandbox.is_some(),
            started_at: self.started_at,
            verdict: self.verdict.clone(),
            stopped: self.down,
        };
        let before = self.writer.latest().unwrap_or_default();
        let made = status(&self.pod, &self.runs, &facts, &before);
        self.agent.show(&self.pod, &made);
        self.writer.set(made);
    }

    /// Writes the status again if somebody changed what is the kubelet's: when to look at that again. What was just
    /// written takes a while to come back, and two that do not agree must not make a storm.
    fn correct(&mut self) -> Option<Instant> {
        let wanted = self.writer.latest()?;
        let ready = |status: &Value| {
            let conditions = status.list_at(&["conditions"]).iter();
            let ready = conditions.filter(|condition| condition.str_at(&["type"]) == "Ready");
            ready.map(|condition| condition.str_at(&["status"]).to_owned()).collect::<Vec<_>>()
        };
        let present = self.pod.get("status").unwrap_or(&Value::Null);
        let agrees = present.str_at(&["phase"]) == wanted.str_at(&["phase"]) && ready(present) == ready(&wanted);
        if agrees || !self.writer.is_idle() {
            self.correct_at = None;
            return None;
        }
        let now = Instant::now();
        let at = *self.correct_at.get_or_insert(now + Duration::from_secs(2));
        if at <= now {
            self.writer.again();
            self.correct_at = Some(now + Duration::from_secs(10));
        }
        self.correct_at
    }

    /// Stops what runs because this process ends. Nothing is said to the API: the next life of this kubelet runs what
    /// should run.
    async fn leave(mut self) {
        self.probing.stop_all();
        let Some(runtime) = self.runtime.clone() else { return };
        let grace = spec::grace_period(&self.pod).min(Duration::from_secs(2));
        let stops = self.runs.values().filter_map(|run| match &run.phase {
            super::run::Phase::Running { id, .. } => Some(runtime.stop_container(id, grace)),
            _ => None,
        });
        futures::future::join_all(stops).await;
    }
}

//! Which probes of a pod's containers run, and what follows from them: startup before the others, readiness to the
//! status, liveness to a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::{EventType, Object, ObjectExt};
use portcullis_machinery::Value;
use tokio::sync::mpsc;

use super::plan::Runs;
use super::run::Run;
use super::spec::{Container, Role};
use super::worker::Signal;
use crate::agent::Agent;
use crate::probes::{self, ProbeHandle, ProbeKind, ProbeResult, ProbeSpec, ProbeTarget};
use crate::runtime::Sandbox;

/// The probes of one running container.
struct Probes {
    container: Value,
    field: String,
    target: ProbeTarget,
    running: Vec<(ProbeKind, ProbeHandle)>,
}

impl Probes {
    fn result(&self, kind: ProbeKind) -> Option<ProbeResult> {
        self.running.iter().find(|(running, _)| *running == kind).map(|(_, handle)| *handle.result.borrow())
    }

    fn has(&self, kind: ProbeKind) -> bool {
        self.container.get(kind.field()).is_some_and(Value::is_object)
    }
}

/// The probes of a pod.
pub(crate) struct Probing {
    signal: mpsc::UnboundedSender<Signal>,
    containers: HashMap<String, Probes>,
}

impl Probing {
    pub(crate) fn new(signal: mpsc::UnboundedSender<Signal>) -> Self {
        Self { signal, containers: HashMap::new() }
    }

    /// Begins with a container that was just started: its startup probe, or the others if it has none.
    pub(crate) fn start(
        &mut self,
        agent: &Arc<Agent>,
        pod: &Object,
        container: &Container<'_>,
        run: &mut Run,
        sandbox: &Sandbox,
    ) {
        (run.started, run.ready) = (true, true);
        if container.role == Role::Init {
            return;
        }
        let mut probes = Probes {
            container: container.value.clone(),
            field: container.field_path(),
            target: ProbeTarget::new(sandbox.ip, container.value),
            running: Vec::new(),
        };
        if probes.has(ProbeKind::Startup) {
            (run.started, run.ready) = (false, false);
            self.run(agent, pod, &mut probes, ProbeKind::Startup);
        } else {
            self.run_others(agent, pod, &mut probes);
            run.ready = !probes.has(ProbeKind::Readiness);
        }
        self.containers.insert(container.name().to_owned(), probes);
    }

    fn run_others(&self, agent: &Arc<Agent>, pod: &Object, probes: &mut Probes) {
        for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
            if probes.has(kind) {
                self.run(agent, pod, probes, kind);
            }
        }
    }

    fn run(&self, agent: &Arc<Agent>, pod: &Object, probes: &mut Probes, kind: ProbeKind) {
        let spec = match ProbeSpec::parse(&probes.container[kind.field()]) {
            Ok(spec) => spec,
            Err(error) => {
                let message = format!("{kind} probe errored: {error}");
                agent.recorder.event_on_field(pod, &probes.field, EventType::Warning, "Unhealthy", &message);
                return;
            }
        };
        let (recorder, about, field) = (agent.recorder.clone(), Arc::clone(pod), probes.field.clone());
        let handle = probes::start(kind, spec, probes.target.clone(), move |attempt| {
            if let Some((reason, message)) = attempt.event(kind) {
                recorder.event_on_field(&about, &field, EventType::Warning, reason, &message);
            }
        });
        let (mut result, signal) = (handle.result.clone(), self.signal.clone());
        tokio::spawn(async move {
            while result.changed().await.is_ok() {
                if signal.send(Signal::Probe).is_err() {
                    return;
                }
            }
        });
        probes.running.push((kind, handle));
    }

    /// Takes in what the probes have come to.
    pub(crate) fn update(&mut self, agent: &Arc<Agent>, pod: &Object, runs: &mut Runs) {
        let mut begin = Vec::new();
        for (name, probes) in &self.containers {
            let Some(run) = runs.get_mut(name).filter(|run| run.is_running()) else { continue };
            if !run.started && probes.result(ProbeKind::Startup) == Some(ProbeResult::Success) {
                run.started = true;
                begin.push(name.clone());
            }
            run.ready = run.started
                && match probes.result(ProbeKind::Readiness) {
                    Some(result) => result == ProbeResult::Success,
                    None => !probes.has(ProbeKind::Readiness),
                };
        }
        for name in begin {
            let Some(mut probes) = self.containers.remove(&name) else { continue };
            probes.running.clear();
            self.run_others(agent, pod, &mut probes);
            self.containers.insert(name, probes);
        }
    }

    /// The containers that have to be restarted, and the probe that says so.
    pub(crate) fn unhealthy(&self) -> Vec<(String, ProbeKind)> {
        let failed = |probes: &Probes| {
            let kinds = [ProbeKind::Liveness, ProbeKind::Startup];
            kinds.into_iter().find(|kind| probes.result(*kind) == Some(ProbeResult::Failure))
        };
        self.containers.iter().filter_map(|(name, probes)| Some((name.clone(), failed(probes)?))).collect()
    }

    /// The grace period of a probe's own, if it has one.
    pub(crate) fn grace(&self, name: &str, kind: ProbeKind) -> Option<Duration> {
        let probes = self.containers.get(name)?;
        let seconds = probes.container.int_at(&[kind.field(), "terminationGracePeriodSeconds"])?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    /// Ends the probes of a container that ended.
    pub(crate) fn stop(&mut self, name: &str) {
        self.containers.remove(name);
    }

    /// Ends all probes.
    pub(crate) fn stop_all(&mut self) {
        self.containers.clear();
    }
}

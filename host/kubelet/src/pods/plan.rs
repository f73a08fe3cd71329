//! What is to be done about a pod's containers: a function of its spec and of what each of them does.
//!
//! Init containers run one after the other, each to its end; a sidecar among them has only to have started before the
//! next one begins. Then all others run at once. A pod whose containers have all ended for good has an outcome.

use std::collections::BTreeMap;

use portcullis_machinery::Value;

use super::run::{Phase, Run};
use super::spec::{Container, Role, containers};

#[cfg(test)]
mod tests;

/// How a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan<'a> {
    /// Start these, which may have to wait for their back-off. Empty if there is nothing to do.
    Start(Vec<&'a str>),
    /// Nothing will run again.
    End(Outcome),
}

/// The containers of a pod by name.
pub(crate) type Runs = BTreeMap<String, Run>;

/// Whether the pod's init containers have done their work, judged by what runs: once a container of the pod was
/// started, what its init containers did is past.
pub(crate) fn is_initialized(pod: &Value, runs: &Runs) -> bool {
    let all = containers(pod);
    let begun = |container: &Container<'_>| {
        container.role == Role::App && runs.get(container.name()).is_some_and(|run| run.phase != Phase::Created)
    };
    all.iter().any(begun)
        || all.iter().filter(|container| container.role != Role::App).all(|container| {
            let run = runs.get(container.name());
            match container.role {
                Role::Init => run.and_then(Run::exit_code) == Some(0),
                _ => run.is_some_and(|run| run.is_running() && run.started),
            }
        })
}

/// Decides.
pub(crate) fn plan<'a>(pod: &'a Value, runs: &Runs) -> Plan<'a> {
    let all = containers(pod);
    let phase = |container: &Container<'_>| runs.get(container.name()).map_or(&Phase::Created, |run| &run.phase);
    if is_initialized(pod, runs) {
        return main_stage(&all, &phase);
    }
    for container in all.iter().filter(|container| container.role != Role::App) {
        let ready_for_next = match (container.role, phase(container)) {
            (_, Phase::Created) => return Plan::Start(vec![container.name()]),
            (Role::Init, Phase::Exited(end)) if end.exit_code == 0 => true,
            (_, Phase::Exited(end)) if container.restarts_after(end.exit_code) => {
                return Plan::Start(vec![container.name()]);
            }
            (_, Phase::Exited(_)) => return Plan::End(Outcome::Failed),
            (Role::Sidecar, Phase::Running { .. }) => runs.get(container.name()).is_some_and(|run| run.started),
            (_, Phase::Running { .. }) => false,
        };
        if !ready_for_next {
            return Plan::Start(Vec::new());
        }
    }
    main_stage(&all, &phase)
}

fn main_stage<'a, 'p>(all: &[Container<'a>], phase: &dyn Fn(&Container<'_>) -> &'p Phase) -> Plan<'a> {
    let mut start = Vec::new();
    let (mut unfinished, mut failed) = (false, false);
    for container in all.iter().filter(|container| container.role == Role::App) {
        match phase(container) {
            Phase::Created => start.push(container.name()),
            Phase::Running { .. } => unfinished = true,
            Phase::Exited(end) if container.restarts_after(end.exit_code) => start.push(container.name()),
            Phase::Exited(end) => failed |= end.exit_code != 0,
        }
    }
    if start.is_empty() && !unfinished {
        return Plan::End(if failed { Outcome::Failed } else { Outcome::Succeeded });
    }
    let sidecars = all.iter().filter(|container| container.role == Role::Sidecar);
    let mut first: Vec<&str> =
        sidecars.filter(|container| !matches!(phase(container), Phase::Running { .. })).map(Container::name).collect();
    first.append(&mut start);
    Plan::Start(first)
}

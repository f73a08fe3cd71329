//! How a container is started, and what keeps it from that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::{EventType, ObjectExt};
use tokio::time::Instant;

use super::{Signal, Worker};
use crate::env;
use crate::pods::hooks;
use crate::pods::run::{Phase, Run};
use crate::pods::spec::{self, Container};
use crate::runtime::{ContainerConfig, Mount, RuntimeError, Sandbox};
use crate::volumes;

/// After how long a container is tried again that cannot be made of what the pod says.
const RETRY: Duration = Duration::from_secs(10);

/// Why a container waits: reason, message, and when to try again.
struct Refused {
    reason: &'static str,
    message: String,
    retry_in: Duration,
    /// Whether an event has said it already.
    said: bool,
}

impl Refused {
    fn because(reason: &'static str, message: impl ToString) -> Self {
        Self { reason, message: message.to_string(), retry_in: RETRY, said: false }
    }
}

impl Worker {
    /// Starts a container, unless it has to wait: until when, then.
    pub(super) async fn start(&mut self, name: &str) -> Option<Instant> {
        let pod = Arc::clone(&self.pod);
        let container = spec::container(&pod, name)?;
        let run = self.runs.entry(name.to_owned()).or_default();
        if let Some(at) = run.retry_at.filter(|at| *at > Instant::now()) {
            return Some(at);
        }
        let key = format!("{}/{name}", pod.uid());
        let failed = match &run.phase {
            Phase::Running { .. } => return None,
            Phase::Created => None,
            Phase::Exited(end) => Some(end.seen_at),
        };
        if let Some((until, delay)) = failed.and_then(|at| self.agent.restarts.lock().waits_until(&key, at)) {
            self.back_off(&container, delay);
            return Some(until);
        }
        match self.try_start(&container).await {
            Ok(()) => {
                if let Some(failed) = failed {
                    self.agent.restarts.lock().tried(&key, failed);
                }
                self.publish();
                None
            }
            Err(refused) => {
                if !refused.said {
                    let field = container.field_path();
                    let message = format!("Error: {}", refused.message);
                    self.agent.recorder.event_on_field(&pod, &field, EventType::Warning, "Failed", &message);
                }
                let run = self.runs.entry(name.to_owned()).or_default();
                run.wait(refused.reason, refused.message, Some(refused.retry_in));
                run.retry_at
            }
        }
    }

    fn back_off(&mut self, container: &Container<'_>, delay: Duration) {
        let (name, pod) = (container.name(), Arc::clone(&self.pod));
        let run = self.runs.entry(name.to_owned()).or_default();
        if run.waiting.as_ref().is_some_and(|(reason, _)| reason == "CrashLoopBackOff") {
            return;
        }
        let full = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
        let seconds = delay.as_secs();
        let delay = if seconds >= 60 { format!("{}m{}s", seconds / 60, seconds % 60) } else { format!("{seconds}s") };
        let message = format!("back-off {delay} restarting failed container={name} pod={full}");
        run.wait("CrashLoopBackOff", message, None);
        let message = format!("Back-off restarting failed container {name} in pod {full}");
        self.agent.recorder.event_on_field(&pod, &container.field_path(), EventType::Warning, "BackOff", &message);
    }

    async fn try_start(&mut self, container: &Container<'_>) -> Result<(), Refused> {
        let (Some(runtime), Some(sandbox)) = (self.runtime.clone(), self.sandbox.clone()) else { return Ok(()) };
        let (name, pod) = (container.name().to_owned(), Arc::clone(&self.pod));
        self.publish();
        let mut updates = self.updates.clone();
        let image_id = tokio::select! {
            pulled = self.agent.images.ensure(&runtime, &pod, container) => pulled.map_err(|error| Refused {
                reason: error.reason, message: error.message, retry_in: error.retry_in, said: true,
            })?,
            // What is being deleted needs no image; the worker sees the deletion next.
            _ = updates.wait_for(super::Update::ends) => return Ok(()),
        };
        let attempt = self.runs.get(&name).map_or(0, Run::next_attempt);
        let config = self.config(container, &sandbox, attempt).await?;
        let field = container.field_path();
        let record = |kind, reason: &str, message: &str| {
            self.agent.recorder.event_on_field(&pod, &field, kind, reason, message);
        };
        let id = match runtime.start_container(&sandbox, config).await {
            Ok(id) => id,
            Err(RuntimeError::Start(message)) => {
                record(EventType::Normal, "Created", "Container created");
                return Err(Refused::because("RunContainerError", message));
            }
            Err(error) => return Err(Refused::because("CreateContainerError", error)),
        };
        record(EventType::Normal, "Created", "Container created");
        record(EventType::Normal, "Started", "Container started");
        let run = self.runs.entry(name.clone()).or_default();
        run.begin(id.clone(), runtime.scheme(), image_id);
        self.agent.writing.begin(&pod, &name, attempt);
        self.probing.start(&self.agent, &pod, container, run, &sandbox);
        if let Err(error) = self.agent.paths.drop_old_logs(&pod, &name, attempt) {
            tracing::debug!(%error, "old logs were not removed");
        }
        let signal = self.signal.clone();
        let (waiting, waited_name, waited_id) = (Arc::clone(&runtime), name.clone(), id.clone());
        tokio::spawn(async move {
            if let Ok(state) = waiting.wait_container(&waited_id).await {
                // A worker that is gone has stopped the container itself.
                let _ = signal.send(Signal::Exited { name: waited_name, id: waited_id, state });
            }
        });
        if let Some(hook) = container.value.at(&["lifecycle", "postStart"]).cloned() {
            self.post_start(container, &sandbox, hook, id);
        }
        Ok(())
    }

    /// Runs a hook beside the container that was just started. One that fails ends the container.
    fn post_start(&self, container: &Container<'_>, sandbox: &Sandbox, hook: portcullis_machinery::Value, id: String) {
        let target = hooks::Target::of(container, sandbox.ip);
        let (agent, pod, field) = (Arc::clone(&self.agent), Arc::clone(&self.pod), container.field_path());
        let (runtime, grace) = (self.runtime.clone(), spec::grace_period(&self.pod));
        tokio::spawn(async move {
            let (Err(error), Some(runtime)) = (hooks::run(&hook, &target).await, runtime) else { return };
            let message = format!("PostStartHook failed: {error}");
            agent.recorder.event_on_field(&pod, &field, EventType::Warning, "FailedPostStartHook", &message);
            agent.recorder.event_on_field(&pod, &field, EventType::Normal, "Killing", "FailedPostStartHook");
            if let Err(error) = runtime.stop_container(&id, grace).await {
                tracing::debug!(%error, "the container of a failed hook is gone already");
            }
        });
    }

    async fn config(
        &self,
        container: &Container<'_>,
        sandbox: &Sandbox,
        attempt: u32,
    ) -> Result<ContainerConfig, Refused> {
        let facts = self.agent.facts(Some(sandbox.ip));
        let env = env::resolve(self.agent.source.as_ref(), &facts, &self.pod, container.value)
            .await
            .map_err(|error| Refused::because("CreateContainerConfigError", error))?;
        let mut mounts = self.mounts(container, &env)?;
        let paths = &self.agent.paths;
        let create = |error: std::io::Error| Refused::because("CreateContainerError", error);
        let message_path = match container.value.str_at(&["terminationMessagePath"]) {
            "" => "/dev/termination-log",
            path => path,
        };
        let (directory, inside) =
            paths.make_termination_directory(&self.pod, container.name(), attempt, message_path).map_err(create)?;
        // A volume of the pod at the same place is what its author meant.
        if !mounts.iter().any(|mount| mount.container_path.trim_end_matches('/') == inside) {
            mounts.push(Mount { host_path: directory, container_path: inside, read_only: false });
        }
        let working_dir = container.value.str_at(&["workingDir"]);
        Ok(ContainerConfig {
            name: container.name().to_owned(),
            attempt,
            image: container.image().to_owned(),
            command: env::expand(&container.strings("command"), &env),
            args: env::expand(&container.strings("args"), &env),
            env,
            working_dir: (!working_dir.is_empty()).then(|| working_dir.to_owned()),
            mounts,
            ports: container.tcp_ports(),
            memory_limit: container.memory_limit(),
            cpu_limit_millis: container.cpu_limit_millis(),
            log_path: paths.log(&self.pod, container.name(), attempt),
        })
    }

    fn mounts(&self, container: &Container<'_>, env: &[(String, String)]) -> Result<Vec<Mount>, Refused> {
        let none = std::collections::HashMap::new();
        let volumes = self.volumes.as_ref().unwrap_or(&none);
        let mut mounts = Vec::new();
        for mount in container.value.list_at(&["volumeMounts"]) {
            let name = mount.str_at(&["name"]);
            let missing = || Refused::because("CreateContainerConfigError", format!("volume {name:?} is not mounted"));
            let root = volumes.get(name).ok_or_else(missing)?;
            let given = match (mount.str_at(&["subPath"]), mount.str_at(&["subPathExpr"])) {
                ("", "") => None,
                ("", expression) => env::expand(&[expression.to_owned()], env).pop(),
                (path, _) => Some(path.to_owned()),
            };
            let host_path = match given {
                None => root.clone(),
                Some(path) => volumes::subpath(Path::new(root), &path).map_err(|error| {
                    let message = format!("failed to prepare subPath for volumeMount {name:?}: {error}");
                    Refused::because("CreateContainerConfigError", message)
                })?,
            };
            mounts.push(Mount {
                host_path,
                container_path: mount.str_at(&["mountPath"]).to_owned(),
                read_only: mount.bool_at(&["readOnly"]),
            });
        }
        Ok(mounts)
    }
}

//! What must be there before a pod's first container starts: a runtime, its volumes, its sandbox.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::{EventType, ObjectExt};
use tokio::time::Instant;

use super::Worker;
use crate::config::BackoffPolicy;
use crate::runtime::SandboxConfig;

/// Failures in a row of one pod's set-up.
pub(super) struct Tries {
    failed: u32,
    next: Instant,
    said: String,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self { failed: 0, next: Instant::now(), said: String::new() }
    }

    /// Counts a failure. Says when the next try may be, and whether the message is news.
    fn fail(&mut self, policy: BackoffPolicy, message: &str) -> bool {
        let delay = policy.base.saturating_mul(1_u32.checked_shl(self.failed).unwrap_or(u32::MAX)).min(policy.max);
        self.failed = self.failed.saturating_add(1);
        self.next = Instant::now() + delay;
        let news = self.said != message;
        message.clone_into(&mut self.said);
        news
    }
}

impl Worker {
    /// Makes everything ready that is not yet.
    ///
    /// # Errors
    /// When it may be tried again; what was wrong is said in an event.
    pub(super) async fn set_up(&mut self) -> Result<(), Instant> {
        if self.sandbox.is_some() {
            self.refresh_volumes().await;
            return Ok(());
        }
        if Instant::now() < self.setup.next {
            return Err(self.setup.next);
        }
        let runtime = match self.agent.runtimes.for_pod(&self.pod, &self.agent.classes) {
            Ok(runtime) => runtime,
            Err(error) => return Err(self.no_sandbox(&error.to_string())),
        };
        if let Err(error) = self.agent.paths.make_pod(&self.pod) {
            return Err(self.no_sandbox(&error.to_string()));
        }
        match self.agent.volumes.set_up(&self.agent.facts(None), &self.pod).await {
            Ok(volumes) => self.volumes = Some(volumes),
            Err(error) => {
                let message = error.to_string();
                // The event's count says how often it failed; each failure is one, as the reference has it.
                self.setup.fail(BackoffPolicy::VOLUMES, &message);
                self.agent.recorder.event(&self.pod, EventType::Warning, "FailedMount", &message);
                return Err(self.setup.next);
            }
        }
        self.volumes_at = Instant::now();
        let config = SandboxConfig {
            pod_uid: self.pod.uid().to_owned(),
            namespace: self.pod.namespace().to_owned(),
            name: self.pod.name().to_owned(),
            host_network: self.pod.bool_at(&["spec", "hostNetwork"]),
            hostname: hostname(&self.pod, &self.agent.config.node_name),
        };
        match runtime.run_sandbox(config).await {
            Ok(sandbox) => {
                self.ip = Some(sandbox.ip);
                self.sandbox = Some(sandbox);
                self.runtime = Some(runtime);
                self.setup = Tries::new();
                Ok(())
            }
            Err(error) => Err(self.no_sandbox(&error.to_string())),
        }
    }

    fn no_sandbox(&mut self, message: &str) -> Instant {
        if self.setup.fail(BackoffPolicy::SANDBOXES, message) {
            let message = format!("Failed to create pod sandbox: {message}");
            self.agent.recorder.event(&self.pod, EventType::Warning, "FailedCreatePodSandBox", &message);
        }
        self.setup.next
    }

    /// Brings volumes up to date that show objects of the API, which may have changed.
    async fn refresh_volumes(&mut self) {
        let every = self.agent.config.sync_frequency.min(Duration::from_secs(60));
        if self.volumes_at.elapsed() < every {
            return;
        }
        self.volumes_at = Instant::now();
        let facts = self.agent.facts(self.sandbox.as_ref().map(|sandbox| sandbox.ip));
        if let Err(error) = self.agent.volumes.refresh(&facts, &self.pod).await {
            self.agent.recorder.event(&self.pod, EventType::Warning, "FailedMount", &error.to_string());
        }
    }

    /// Takes down what [`Self::set_up`] made.
    pub(super) async fn tear_down(&mut self) {
        if let (Some(runtime), Some(sandbox)) = (self.runtime.clone(), self.sandbox.take())
            && let Err(error) = runtime.remove_sandbox(&sandbox.id).await
        {
            tracing::warn!(%error, pod = self.pod.name(), "a sandbox could not be removed");
        }
        self.volumes = None;
        let (agent, uid) = (Arc::clone(&self.agent), self.pod.uid().to_owned());
        if let Err(error) = agent.volumes.tear_down(&uid).await {
            tracing::warn!(%error, pod = self.pod.name(), "volumes could not be taken down");
        }
    }
}

/// The name that a pod's containers see as the host's.
fn hostname(pod: &portcullis_machinery::Value, node: &str) -> String {
    if pod.bool_at(&["spec", "hostNetwork"]) {
        return node.to_owned();
    }
    let given = [pod.str_at(&["spec", "hostnameOverride"]), pod.str_at(&["spec", "hostname"])];
    let name = given.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| pod.name());
    // Linux takes 63 characters.
    name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

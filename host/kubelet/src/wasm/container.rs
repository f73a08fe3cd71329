//! A container: what runs, what it has come to, and how it is made to end.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::cpu::Meter;
use super::engine::{Workload, WorkloadEngine};
use super::log::{ContainerLog, LogStream};
use super::{command, http};
use crate::runtime::{ContainerConfig, ContainerState, ContainerStats, RuntimeError, Sandbox};

/// How a container came to its end.
pub(super) struct Ending {
    pub exit_code: i32,
    pub message: String,
}

/// What a container's task needs.
pub(super) struct Job {
    pub engine: Arc<WorkloadEngine>,
    pub config: ContainerConfig,
    /// What the pod's containers see as the host's name.
    pub hostname: String,
    pub meter: Arc<Meter>,
    pub stdout: LogStream,
    pub stderr: LogStream,
    /// Cancelled when the container is asked to end.
    pub stopping: CancellationToken,
}

impl Job {
    /// The WASI context of one instance.
    pub(super) fn wasi(&self) -> Result<WasiCtx, RuntimeError> {
        let mut builder = WasiCtxBuilder::new();
        builder.stdout(self.stdout.clone()).stderr(self.stderr.clone());
        // Every container runtime sets it; what the pod says wins.
        if !self.config.env.iter().any(|(name, _)| name == "HOSTNAME") {
            builder.env("HOSTNAME", &self.hostname);
        }
        builder.envs(&self.config.env);
        builder.args(&self.arguments());
        // A pod's containers reach the network as its processes do elsewhere; which of it is a network policy's matter.
        builder.inherit_network().allow_ip_name_lookup(true).allow_tcp(true).allow_udp(true);
        if let Some(directory) = &self.config.working_dir {
            builder.initial_cwd(directory);
        }
        for mount in &self.config.mounts {
            let permissions = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
            builder
                .preopened_dir(&mount.host_path, &mount.container_path, permissions)
                .map_err(|error| RuntimeError::Create(format!("cannot mount {}: {error:#}", mount.container_path)))?;
        }
        Ok(builder.build())
    }

    /// The guest's argv: a component has one entry point, so a command only names it.
    fn arguments(&self) -> Vec<String> {
        let mut argv = self.config.command.clone();
        if argv.is_empty() {
            argv.push(self.config.name.clone());
        }
        argv.extend(self.config.args.iter().cloned());
        argv
    }
}

/// A container that was started.
pub(super) struct Container {
    pub id: String,
    pub sandbox: String,
    meter: Arc<Meter>,
    state: watch::Receiver<ContainerState>,
    stopping: CancellationToken,
    killed: CancellationToken,
}

impl Container {
    /// Starts a workload.
    pub(super) async fn start(
        engine: Arc<WorkloadEngine>,
        executor: Handle,
        workload: Workload,
        sandbox: &Sandbox,
        config: ContainerConfig,
    ) -> Result<Arc<Self>, RuntimeError> {
        let log = ContainerLog::open(&config.log_path)?;
        let meter = Meter::new(config.cpu_limit_millis, config.memory_limit);
        let job = Job {
            engine,
            meter: Arc::clone(&meter),
            stdout: log.stream("stdout"),
            stderr: log.stream("stderr"),
            stopping: CancellationToken::new(),
            hostname: sandbox.hostname.clone(),
            config,
        };
        let id = format!("{:032x}", rand::random::<u128>());
        let started_at = Timestamp::now();
        let (state_sender, state) = watch::channel(ContainerState::Running { started_at });
        let (stopping, killed) = (job.stopping.clone(), CancellationToken::new());
        // Whatever can fail because of what the pod says fails here, before the container counts as started.
        let run: futures::future::BoxFuture<'static, Ending> = match workload {
            Workload::Command(pre) => {
                let wasi = job.wasi()?;
                Box::pin(command::run(job, pre, wasi))
            }
            Workload::Http(pre) => {
                job.wasi()?;
                let listeners = http::bind(&executor, sandbox.ip, &job.config.ports).await?;
                Box::pin(http::serve(job, pre, listeners))
            }
        };
        let container = Arc::new(Self {
            id,
            sandbox: sandbox.id.clone(),
            meter: Arc::clone(&meter),
            state,
            stopping,
            killed: killed.clone(),
        });
        executor.spawn(async move {
            let ending = tokio::select! {
                ending = run => ending,
                () = killed.cancelled() => Ending { exit_code: 137, message: String::new() },
            };
            let out_of_memory = meter.memory_exceeded() && ending.exit_code != 0;
            let (exit_code, reason) = match ending.exit_code {
                _ if out_of_memory => (137, "OOMKilled"),
                0 => (0, "Completed"),
                code => (code, "Error"),
            };
            // Nobody may be left to hear it: the container was removed meanwhile.
            let _ = state_sender.send(ContainerState::Exited {
                exit_code,
                reason: reason.into(),
                message: ending.message,
                started_at,
                finished_at: Timestamp::now(),
            });
        });
        Ok(container)
    }

    /// What it is doing.
    pub(super) fn state(&self) -> ContainerState {
        self.state.borrow().clone()
    }

    /// What it uses.
    pub(super) fn stats(&self) -> ContainerStats {
        ContainerStats { cpu_nanos: self.meter.cpu_nanos(), memory_bytes: self.meter.memory_bytes() }
    }

    /// Returns its last state once it has ended.
    pub(super) async fn wait(&self) -> ContainerState {
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            // The sender goes away only after it sent the last state.
            if matches!(now, ContainerState::Exited { .. }) || state.changed().await.is_err() {
                return state.borrow().clone();
            }
        }
    }

    /// Asks it to end, and ends it after `grace`.
    pub(super) async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        if grace.is_zero() || tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.killed.cancel();
            self.wait().await;
        }
    }
}

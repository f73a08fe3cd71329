//! Startup, liveness and readiness probes.
//!
//! [`start`] runs one probe of one container on a task of its own. What the probe has come to is in the handle's channel,
//! under the thresholds of the probe; every single attempt that did not simply succeed is reported besides, as the agent
//! makes an event of it. When a probe is started and what follows from its result is the agent's.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_client::transport::dial;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

mod grpc;
mod http;
mod spec;

pub use self::spec::{Action, ExecFn, ExecOutput, ProbeKind, ProbeSpec, ProbeSpecError, ProbeTarget};

/// How often an attempt that could not be made at all is made again at once.
const RETRIES: usize = 3;

/// What a probe has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// Nothing is known yet. Only startup probes say so: until they know better, liveness probes take a container for
    /// alive, and readiness probes for not ready.
    Unknown,
    /// The container is well.
    Success,
    /// It is not.
    Failure,
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The container is well.
    Success,
    /// It counts as well, for a reason that somebody should know.
    Warning(String),
    /// It is not well.
    Failure(String),
    /// There is no telling: the attempt could not be made. It does not count.
    Error(String),
}

impl Attempt {
    /// The reason and the message of the warning event that the attempt is worth, if it is.
    pub fn event(&self, kind: ProbeKind) -> Option<(&'static str, String)> {
        match self {
            Self::Success => None,
            Self::Warning(why) => Some(("ProbeWarning", format!("{kind} probe warning: {why}"))),
            Self::Failure(why) => Some(("Unhealthy", format!("{kind} probe failed: {why}"))),
            Self::Error(why) => {
                Some(("Unhealthy", format!("{kind} probe errored and resulted in unknown state: {why}")))
            }
        }
    }
}

/// A running probe; it ends when this is dropped.
#[derive(Debug)]
pub struct ProbeHandle {
    /// What the probe has come to. The channel closes when the probe has nothing more to say: a startup probe after its
    /// success, a startup or liveness probe after its failure, as the container is restarted then.
    pub result: watch::Receiver<ProbeResult>,
    _running: DropGuard,
}

/// Starts a probe. `report` is called for each attempt.
pub fn start(
    kind: ProbeKind,
    spec: ProbeSpec,
    target: ProbeTarget,
    report: impl Fn(&Attempt) + Send + Sync + 'static,
) -> ProbeHandle {
    let initial = match kind {
        ProbeKind::Startup => ProbeResult::Unknown,
        ProbeKind::Liveness => ProbeResult::Success,
        ProbeKind::Readiness => ProbeResult::Failure,
    };
    let (sender, result) = watch::channel(initial);
    let stopping = CancellationToken::new();
    let running = stopping.clone().drop_guard();
    tokio::spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = run(kind, &spec, &target, &sender, report) => {}
        }
    });
    ProbeHandle { result, _running: running }
}

async fn run(
    kind: ProbeKind,
    spec: &ProbeSpec,
    target: &ProbeTarget,
    sender: &watch::Sender<ProbeResult>,
    report: impl Fn(&Attempt),
) {
    let age = Timestamp::now().duration_since(target.started_at);
    tokio::time::sleep(spec.initial_delay.saturating_sub(Duration::try_from(age).unwrap_or_default())).await;
    let mut ticks = tokio::time::interval(spec.period);
    // An attempt that took longer than the period puts the next ones off; they do not pile up.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tally = Tally::default();
    loop {
        ticks.tick().await;
        let attempt = attempt(spec, target).await;
        report(&attempt);
        let Some(result) = tally.count(spec, &attempt) else { continue };
        sender.send_if_modified(|known| std::mem::replace(known, result) != result);
        let last = match kind {
            ProbeKind::Startup => true,
            ProbeKind::Liveness => result == ProbeResult::Failure,
            ProbeKind::Readiness => false,
        };
        if last {
            return;
        }
    }
}

/// How many attempts in a row have ended alike.
#[derive(Default)]
struct Tally {
    last: Option<bool>,
    run: u32,
}

impl Tally {
    /// Counts an attempt in: what the probe has come to, once the run is long enough to say.
    fn count(&mut self, spec: &ProbeSpec, attempt: &Attempt) -> Option<ProbeResult> {
        let well = match attempt {
            Attempt::Success | Attempt::Warning(_) => true,
            Attempt::Failure(_) => false,
            Attempt::Error(_) => return None,
        };
        self.run = if self.last == Some(well) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(well);
        match well {
            true if self.run >= spec.success_threshold => Some(ProbeResult::Success),
            false if self.run >= spec.failure_threshold => Some(ProbeResult::Failure),
            _ => None,
        }
    }
}

/// Makes one attempt.
pub(crate) async fn attempt(spec: &ProbeSpec, target: &ProbeTarget) -> Attempt {
    let mut attempt = Attempt::Error(String::new());
    for _ in 0..RETRIES {
        attempt = match &spec.action {
            Action::HttpGet(get) => http::probe(get, target, spec.timeout).await,
            Action::TcpSocket { host, port } => tcp(host, port, target, spec.timeout).await,
            Action::Grpc { port, service } => grpc::probe(*port, service, target, spec.timeout).await,
            Action::Exec { command } => exec(command, target, spec.timeout).await,
        };
        if !matches!(attempt, Attempt::Error(_)) {
            break;
        }
    }
    attempt
}

async fn tcp(host: &str, port: &spec::Port, target: &ProbeTarget, timeout: Duration) -> Attempt {
    let port = match target.port(port) {
        Ok(port) => port,
        Err(why) => return Attempt::Error(why),
    };
    match dial(&target.host(host), port, timeout).await {
        Ok(_) => Attempt::Success,
        Err(why) => Attempt::Failure(why),
    }
}

async fn exec(command: &[String], target: &ProbeTarget, timeout: Duration) -> Attempt {
    let Some(exec) = &target.exec else {
        return Attempt::Error("the container's runtime cannot run commands in a container".to_owned());
    };
    match tokio::time::timeout(timeout, exec(command.to_vec(), timeout)).await {
        Err(_) => Attempt::Failure(format!("command timed out: {command:?} timed out after {}s", timeout.as_secs())),
        Ok(Err(why)) => Attempt::Error(why),
        Ok(Ok(ExecOutput { exit_code: 0, .. })) => Attempt::Success,
        Ok(Ok(ExecOutput { output, .. })) => Attempt::Failure(output),
    }
}

#[cfg(test)]
mod tests;

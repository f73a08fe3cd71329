//! Lifecycle hooks: a request, a connection or a pause, after a container's start or before its end.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;

use super::spec::Container;
use crate::probes::{self, Attempt, ProbeSpec, ProbeTarget};

/// How long a hook's request may take, if no grace period ends it before.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The container that a hook is of.
pub(crate) struct Target(ProbeTarget);

impl Target {
    pub(crate) fn of(container: &Container<'_>, ip: IpAddr) -> Self {
        Self(ProbeTarget::new(ip, container.value))
    }
}

/// Runs a hook.
///
/// # Errors
/// What went wrong. A request's answer is none, whatever its code.
pub(crate) async fn run(hook: &Value, target: &Target) -> Result<(), String> {
    if let Some(seconds) = hook.int_at(&["sleep", "seconds"]) {
        tokio::time::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).await;
        return Ok(());
    }
    let mut spec = ProbeSpec::parse(hook).map_err(|error| error.to_string())?;
    spec.timeout = TIMEOUT;
    match probes::attempt(&spec, &target.0).await {
        Attempt::Success | Attempt::Warning(_) => Ok(()),
        Attempt::Failure(why) if why.starts_with("HTTP probe failed with statuscode") => Ok(()),
        Attempt::Failure(why) | Attempt::Error(why) => Err(why),
    }
}

//! One exchange with a webhook, and all that can come of it.

use std::time::Instant;

use bytes::Bytes;
use portcullis_machinery::{Status, Value};

use super::hook::Hook;
use super::matching::{Asked, Invocation};
use super::metrics::ErrorType;
use super::review::{Answer, Request, Unusable, denial};
use crate::outbound::OutboundError;

/// Which step a webhook is asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It may change the object.
    Mutating,
    /// It may refuse the request.
    Validating,
}

impl Step {
    /// The word that the metrics have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutating => "admit",
            Self::Validating => "validating",
        }
    }
}

/// Why a request does not go on, or would not but for the failure policy.
#[derive(Debug)]
pub(super) enum Failure {
    /// The webhook could not be asked, or gave no answer that counts. Its failure policy decides what comes of it. The
    /// code is what the metrics count it under.
    Calling {
        /// What is told.
        why: String,
        /// The code of what happened.
        code: u16,
    },
    /// The webhook refuses the request.
    Denied(Box<Status>),
    /// The request cannot go on whatever the policy says.
    Internal(Box<Status>),
}

fn calling(why: impl Into<String>, code: u16) -> Failure {
    Failure::Calling { why: why.into(), code }
}

/// Asks a webhook, and passes on what it says beside its verdict. `object` and `old` are in the version of the
/// invocation.
pub(super) async fn call(
    step: Step,
    hook: &Hook,
    asked: &Asked<'_>,
    invocation: &Invocation,
    object: &Value,
    old: &Value,
) -> Result<Answer, Failure> {
    if asked.attributes.dry_run {
        match hook.side_effects.as_deref() {
            Some("None" | "NoneOnDryRun") => {}
            None => return Err(calling("Webhook SideEffects is nil", 400)),
            Some(_) => {
                let why = format!("admission webhook {:?} does not support dry run", hook.name);
                return Err(Failure::Internal(Box::new(Status::bad_request(why))));
            }
        }
    }
    let request = Request::new(&hook.versions, asked, invocation, object, old)
        .map_err(|why| calling(format!("could not create admission objects: {why}"), 400))?;
    let destination = match &hook.destination {
        Ok(destination) => destination,
        Err(error) => return Err(calling(format!("could not get REST client: {error}"), 500)),
    };
    let server = &asked.scope.server;
    let body = Bytes::from(request.body.clone());
    let body = server.outbound.post(server, destination, body, hook.timeout).await.map_err(|error| {
        let code = match &error {
            OutboundError::Refused(status) => status.code,
            _ => 503,
        };
        calling(format!("failed to call webhook: {error}"), code)
    })?;
    let answer = request.answer(step == Step::Mutating, &body).map_err(|unusable| match unusable {
        Unusable::Unreadable(why) => calling(format!("failed to call webhook: {why}"), 503),
        Unusable::Invalid(why) => calling(format!("received invalid webhook response: {why}"), 503),
    })?;
    let cx = &asked.scope.cx;
    for (key, value) in &answer.audit_annotations {
        // Keys have one slash, as those of all annotations.
        if !key.is_empty() && !key.contains('/') {
            cx.annotate(&format!("{}/{key}", hook.name), value);
        }
    }
    for warning in answer.warnings.iter().filter(|warning| !warning.is_empty()) {
        cx.warn(warning.as_str());
    }
    if !answer.allowed {
        return Err(Failure::Denied(Box::new(denial(&hook.name, answer.result.as_ref()))));
    }
    Ok(answer)
}

/// Counts a call and settles what comes of it: nothing if it went well, or if the failure is one that the webhook's
/// policy ignores, which `open` is told.
pub(super) fn settle(
    step: Step,
    hook: &Hook,
    asked: &Asked<'_>,
    begun: Instant,
    failure: Option<Failure>,
    open: impl FnOnce(),
) -> Result<(), Status> {
    let metrics = &asked.scope.server.webhooks.metrics;
    let operation = asked.attributes.operation.as_str();
    let observe = |rejected: bool, code: u16| metrics.observe(hook, step, operation, begun.elapsed(), rejected, code);
    let rejected = |error: ErrorType, code: u16| {
        metrics.rejected(hook, step, operation, error, code);
        observe(true, code);
    };
    match failure {
        None => {
            observe(false, 200);
            Ok(())
        }
        Some(Failure::Calling { why, code }) if hook.ignores_failure => {
            tracing::warn!(webhook = hook.name, why, "a webhook could not be asked, and is passed over");
            observe(false, code);
            metrics.failed_open(hook, step);
            open();
            Ok(())
        }
        Some(Failure::Calling { why, code }) => {
            tracing::warn!(webhook = hook.name, why, "a webhook could not be asked");
            rejected(ErrorType::Calling, code);
            Err(Status::internal(format!("failed calling webhook {:?}: {why}", hook.name)))
        }
        Some(Failure::Denied(status)) => {
            rejected(ErrorType::None, status.code);
            Err(*status)
        }
        Some(Failure::Internal(status)) => {
            rejected(ErrorType::Server, 0);
            Err(*status)
        }
    }
}

//! What an answer does to the request, by the plugin's mode.

use portcullis_machinery::status::{Cause, StatusDetails};
use portcullis_machinery::{Status, Value};
use portcullis_plugins::mode::Mode;
use portcullis_plugins::outcomes::Verdict;
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::{AuditAnnotation, CallError, Denial};
use serde_json::json;

use super::super::failed;
use super::answer::Answer;
use super::turn::Decided;
use crate::admission::{AdmissionAttributes, GroupVersionName};
use crate::audit::Level;
use crate::context::Context;

/// The longest text of one Warning header, in bytes.
const MAX_WARNING: usize = 4 << 10;
/// The audit annotation that names the plugin that refused, and its module.
const DENIED_BY: &str = "plugins.portcullis.dev/denied-by";
/// The audit annotation that names a plugin that failed and was passed over by its failure policy.
const FAILED_OPEN: &str = "plugins.portcullis.dev/failed-open";
/// What the audit annotations begin with that say what a plugin decided; its name follows.
const DECISION: &str = "decision.plugins.portcullis.dev/";

/// What becomes of the request, if it is not refused.
pub(super) enum Effect {
    /// It goes on.
    None,
    /// It goes on with this object.
    Changed(Value),
    /// The object is not well formed.
    Invalid(Vec<Cause>),
}

/// Makes the decision of a turn effective, as far as the plugin's mode lets it be.
///
/// # Errors
/// The refusal.
pub(super) fn apply(
    cx: &Context,
    attributes: &AdmissionAttributes,
    decided: Option<Decided>,
) -> Result<Effect, Status> {
    let Some(Decided { plugin, answer }) = decided else { return Ok(Effect::None) };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            record(cx, &plugin, Verdict::Failed, &error.to_string(), 0);
            failed_in(cx, &plugin, &error)?;
            return Ok(Effect::None);
        }
    };
    let verdict = answer.verdict();
    record(cx, &plugin, verdict, &answer.reason(), answer.operations);
    match plugin.mode {
        Mode::Enforce => {
            tell(cx, &plugin, &answer.warnings, &answer.annotations);
            enforce(cx, attributes, &plugin, answer)
        }
        Mode::Warn => {
            tell(cx, &plugin, &answer.warnings, &answer.annotations);
            if verdict == Verdict::Denied {
                warn(cx, &format!("plugin {:?} would deny the request: {}", plugin.name, answer.reason()));
            }
            Ok(Effect::None)
        }
        Mode::Audit => {
            tell(cx, &plugin, &[], &answer.annotations);
            Ok(Effect::None)
        }
        Mode::Shadow => Ok(Effect::None),
    }
}

fn enforce(
    cx: &Context,
    attributes: &AdmissionAttributes,
    plugin: &LivePlugin,
    answer: Answer,
) -> Result<Effect, Status> {
    if let Some(denial) = &answer.denied {
        return Err(denied(cx, plugin, attributes, denial));
    }
    if !answer.causes.is_empty() {
        cx.annotate(DENIED_BY, &plugin.version());
        return Ok(Effect::Invalid(answer.causes));
    }
    Ok(answer.changed.map_or(Effect::None, Effect::Changed))
}

/// What becomes of the request when a component failed; see [`failed`]. Nothing where its decision would not have counted.
fn failed_in(cx: &Context, plugin: &LivePlugin, error: &CallError) -> Result<(), Status> {
    let result = failed(plugin, error);
    if plugin.mode == Mode::Enforce {
        result?;
    }
    cx.annotate(FAILED_OPEN, &format!("{}: {error}", plugin.name));
    Ok(())
}

/// Tells the audit log what a plugin decided: refusals, changes and failures wherever the request is recorded, and that
/// nothing was wrong where the policy wants as much as the request itself. What the binary's own components let through
/// is not worth a word.
fn record(cx: &Context, plugin: &LivePlugin, verdict: Verdict, reason: &str, operations: usize) {
    let level = if verdict == Verdict::Allowed { Level::Request } else { Level::Metadata };
    if plugin.mode == Mode::Shadow || (plugin.embedded && verdict == Verdict::Allowed) || !cx.records(level) {
        return;
    }
    let mut value = json!({
        "stage": plugin.policy.stage().as_str(),
        "digest": plugin.policy.digest().to_string(),
        "mode": plugin.mode.as_str(),
        "verdict": verdict.as_str(),
    });
    if !reason.is_empty() {
        value["reason"] = reason.into();
    }
    if operations > 0 {
        value["operations"] = operations.into();
    }
    cx.annotate_at(level, &format!("{DECISION}{}", plugin.name), &value.to_string());
}

fn warn(cx: &Context, text: &str) {
    cx.warn(&text[..text.floor_char_boundary(MAX_WARNING)]);
}

/// Passes on what a policy says beside its verdict.
fn tell(cx: &Context, plugin: &LivePlugin, warnings: &[String], annotations: &[AuditAnnotation]) {
    for annotation in annotations {
        cx.annotate(&format!("{}/{}", plugin.name, annotation.key), &annotation.value);
    }
    warnings.iter().for_each(|text| warn(cx, text));
}

/// The `Status` of a refusal, which the audit log hears of too.
fn denied(cx: &Context, plugin: &LivePlugin, attributes: &AdmissionAttributes, denial: &Denial) -> Status {
    cx.annotate(DENIED_BY, &plugin.version());
    let GroupVersionName { group, name: resource, .. } = &attributes.resource;
    let why = if plugin.embedded {
        denial.message.clone()
    } else {
        format!("plugin {:?} denied the request: {}", plugin.name, denial.message)
    };
    let mut status = Status::forbidden(group, resource, &attributes.name, &why);
    if (400..500).contains(&denial.code) && denial.code != 403 {
        status.code = denial.code;
        status.reason = reason_of(denial.code).to_owned();
        status.message = why;
    }
    if !denial.reason.is_empty() {
        status.reason.clone_from(&denial.reason);
    }
    if !denial.causes.is_empty() {
        let causes = denial.causes.iter().map(|cause| Cause {
            reason: cause.reason.clone(),
            message: cause.message.clone(),
            field: cause.field.clone(),
        });
        status.details.get_or_insert_with(StatusDetails::default).causes = causes.collect();
    }
    status
}

/// The reason that goes with a code where the component gives none (API reference, `StatusReason`).
fn reason_of(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "Forbidden",
    }
}

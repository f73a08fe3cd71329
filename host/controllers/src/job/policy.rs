//! What a Job says of its pods' ends: the failure policy and the success policy.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;

use super::Picture;
use super::indexes::{Indexes, parse};
use crate::common::condition;

/// The action of the first rule that fits a failed pod; `None` if no rule does.
pub(super) fn action<'a>(job: &'a Value, pod: &Value) -> Option<&'a str> {
    first_match(job, pod).map(|(action, _)| action)
}

/// Why a failed pod fails the whole Job, if it does.
pub(super) fn fails_job(job: &Value, pod: &Value) -> Option<String> {
    first_match(job, pod).filter(|(action, _)| *action == "FailJob").map(|(_, why)| why)
}

fn first_match<'a>(job: &'a Value, pod: &Value) -> Option<(&'a str, String)> {
    let rules = job.list_at(&["spec", "podFailurePolicy", "rules"]);
    rules.iter().enumerate().find_map(|(index, rule)| {
        let action = rule.str_at(&["action"]);
        let place = format!("{}/{}", pod.namespace(), pod.name());
        if let Some(wanted) = rule.at(&["onExitCodes"]) {
            let (container, code) = exit_code(wanted, pod)?;
            let why = format!(
                "Container {container} for pod {place} failed with exit code {code} matching {action} rule at index {index}"
            );
            return Some((action, why));
        }
        let fits = |pattern: &&Value| {
            let found = condition(pod, pattern.str_at(&["type"]));
            let status = if pattern.str_at(&["status"]).is_empty() { "True" } else { pattern.str_at(&["status"]) };
            found.is_some_and(|found| found.str_at(&["status"]) == status)
        };
        let pattern = rule.list_at(&["onPodConditions"]).iter().find(fits)?;
        let kind = pattern.str_at(&["type"]);
        Some((action, format!("Pod {place} has condition {kind} matching {action} rule at index {index}")))
    })
}

/// The container whose exit code the requirement fits, and the code.
fn exit_code<'a>(wanted: &Value, pod: &'a Value) -> Option<(&'a str, i64)> {
    let statuses = pod.list_at(&["status", "initContainerStatuses"]).iter();
    let mut statuses = statuses.chain(pod.list_at(&["status", "containerStatuses"]));
    statuses.find_map(|status| {
        let name = status.str_at(&["name"]);
        let of = wanted.str_at(&["containerName"]);
        let code = status.int_at(&["state", "terminated", "exitCode"]).filter(|code| *code != 0)?;
        let listed = wanted.list_at(&["values"]).iter().any(|value| value.as_i64() == Some(code));
        let fits = listed == (wanted.str_at(&["operator"]) == "In");
        ((of.is_empty() || of == name) && fits).then_some((name, code))
    })
}

/// Why an Indexed Job is done before all its indexes are, if it is.
pub(super) fn succeeds(picture: &Picture, indexes: &Indexes) -> Option<String> {
    let rules = picture.job.list_at(&["spec", "successPolicy", "rules"]);
    let completions = usize::try_from(picture.job.int_at(&["spec", "completions"]).unwrap_or(0)).unwrap_or(0);
    let met = |rule: &Value| {
        let listed = rule.at(&["succeededIndexes"]).and_then(Value::as_str).map(|text| parse(text, completions));
        let done = match &listed {
            Some(listed) => listed.intersection(&indexes.succeeded).count(),
            None => indexes.succeeded.len(),
        };
        match (rule.int_at(&["succeededCount"]), listed) {
            (Some(count), _) => usize::try_from(count).is_ok_and(|count| done >= count),
            (None, Some(listed)) => done == listed.len(),
            (None, None) => false,
        }
    };
    rules.iter().position(met).map(|index| format!("Matched rules at index {index}"))
}

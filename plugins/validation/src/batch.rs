//! The batch group: Jobs and CronJobs.

use portcullis_sdk::ValueRef;

use crate::{Errors, Review, core::template, meta, selector};

/// Checks an object of the batch group.
pub fn check(review: &Review, errors: &mut Errors) {
    let spec = review.object.get("spec");
    match review.kind {
        "Job" => {
            job("spec", spec, errors);
            if review.update {
                job_update(spec, review.old.get("spec"), errors);
            } else if spec.get("selector").is_none() {
                errors.required("spec.selector", "");
            }
        }
        "CronJob" => cron_job(review, spec, errors),
        _ => {}
    }
}

/// The spec of a Job, or of a CronJob's template, at `at`.
fn job(at: &str, spec: ValueRef, errors: &mut Errors) {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        errors.non_negative(format!("{at}.{field}"), spec.get(field));
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        errors.non_negative(format!("{at}.{field}"), spec.get(field));
    }
    let indexed = spec.get("completionMode").is_str("Indexed");
    match spec.get("completionMode").as_str() {
        None | Some("NonIndexed" | "Indexed") => {}
        Some(other) => errors.not_supported(format!("{at}.completionMode"), other, &["Indexed", "NonIndexed"]),
    }
    if indexed && spec.get("completions").is_none() {
        errors.required(format!("{at}.completions"), "when completion mode is Indexed");
    }
    if let Some(limit) = spec.get("backoffLimitPerIndex").as_i64().filter(|_| !indexed) {
        errors.invalid(format!("{at}.backoffLimitPerIndex"), &limit, "requires indexed completion mode");
    }
    let given = spec.get("selector");
    if !given.is_none() {
        selector::check(&format!("{at}.selector"), given, errors);
        let labels = spec.get("template").get("metadata").get("labels");
        if selector::is_valid(given) && !selector::matches(given, labels) {
            let field = format!("{at}.template.metadata.labels");
            errors.invalid(field, &labels, "`selector` does not match template `labels`");
        }
    }
    template::check(&format!("{at}.template"), spec.get("template"), None, errors);
    let field = format!("{at}.template.spec.restartPolicy");
    match spec.get("template").get("spec").get("restartPolicy").str_or_empty() {
        "OnFailure" | "Never" => {}
        "Always" | "" => errors.required(field, "valid values: \"OnFailure\", \"Never\""),
        other => errors.not_supported(field, other, &["OnFailure", "Never"]),
    }
}

/// What identifies the pods of a Job must not change while it runs.
fn job_update(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    for field in ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "successPolicy"] {
        errors.immutable(format!("spec.{field}"), new.get(field), old.get(field));
    }
    // The template may change while the Job is suspended; the number of completions with the parallelism if indexed.
    if old.get("suspend").as_bool() != Some(true) {
        errors.immutable("spec.template", new.get("template"), old.get("template"));
    }
    let scaled =
        old.get("completionMode").is_str("Indexed") && meta::same(new.get("completions"), new.get("parallelism"));
    if !scaled {
        errors.immutable("spec.completions", new.get("completions"), old.get("completions"));
    }
}

fn cron_job(review: &Review, spec: ValueRef, errors: &mut Errors) {
    let name = review.object.get("metadata").get("name").str_or_empty();
    // Eleven more are needed for the names of its Jobs.
    if !review.update && name.len() > 52 {
        errors.invalid("metadata.name", name, "must be no more than 52 characters");
    }
    if spec.get("schedule").str_or_empty().is_empty() {
        errors.required("spec.schedule", "");
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        errors.non_negative(format!("spec.{field}"), spec.get(field));
    }
    match spec.get("concurrencyPolicy").str_or_empty() {
        "Allow" | "Forbid" | "Replace" => {}
        "" => errors.required("spec.concurrencyPolicy", ""),
        other => errors.not_supported("spec.concurrencyPolicy", other, &["Allow", "Forbid", "Replace"]),
    }
    job("spec.jobTemplate.spec", spec.get("jobTemplate").get("spec"), errors);
}

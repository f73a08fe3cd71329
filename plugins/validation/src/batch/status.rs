//! What the controller says of a Job.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::shown::Typed;
use crate::values::same;
use crate::{Errors, Review, STATUS};

const COUNTERS: [&str; 5] = ["active", "succeeded", "failed", "ready", "terminating"];

fn is_true(status: ValueRef, kind: &str) -> bool {
    status.get("conditions").iter().any(|one| one.get("type").is_str(kind) && one.get("status").is_str("True"))
}

fn is_finished(status: ValueRef) -> bool {
    is_true(status, "Complete") || is_true(status, "Failed")
}

/// The status of a Job.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let (new, old, spec) = (review.object.get("status"), review.old.get("status"), review.spec());
    errors.all_non_negative(&STATUS, new, &COUNTERS);
    uncounted(new, errors);
    together(new, errors);
    completed(new, old, spec, errors);
    kept(new, old, errors);
    for counter in ["succeeded", "failed"] {
        let count = |status: ValueRef| status.get(counter).as_i64().unwrap_or(0);
        // Fewer indexes may mean fewer that succeeded.
        let scaled = counter == "succeeded" && is_scaled(spec, review.old_spec());
        if count(new) < count(old) && !scaled {
            errors.invalid(STATUS.child(counter), &count(new), format!("cannot decrease the {counter} counter"));
        }
    }
    if is_finished(new) {
        unfinished(new, errors);
    }
}

fn is_scaled(new: ValueRef, old: ValueRef) -> bool {
    new.get("completionMode").is_str("Indexed") && !same(new.get("completions"), old.get("completions"))
}

/// Pods that ended and are not yet counted: each once.
fn uncounted(status: ValueRef, errors: &mut Errors) {
    let uncounted = status.get("uncountedTerminatedPods");
    let at = STATUS.child("uncountedTerminatedPods");
    let mut seen = BTreeSet::new();
    for list in ["succeeded", "failed"] {
        let at = at.child(list);
        for (index, uid) in uncounted.get(list).iter().enumerate() {
            let uid = uid.str_or_empty();
            if uid.is_empty() {
                errors.invalid(at.index(index), uid, "must not be empty");
            } else {
                errors.unique(&mut seen, at.index(index), uid);
            }
        }
    }
}

/// Conditions that exclude or need each other.
fn together(status: ValueRef, errors: &mut Errors) {
    let at = STATUS.child("conditions");
    let is = |kind: &str| is_true(status, kind);
    let mut wrong = |found: bool, detail: &str| {
        if found {
            errors.invalid_bare(at, detail);
        }
    };
    wrong(is("Complete") && is("Failed"), "cannot set Complete=True and Failed=true conditions");
    wrong(is("Complete") && is("FailureTarget"), "cannot set Complete=True and FailureTarget=true conditions");
    wrong(
        is("SuccessCriteriaMet") && is("FailureTarget"),
        "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    );
    wrong(is("SuccessCriteriaMet") && is("Failed"), "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    wrong(
        is("Failed") && !is("FailureTarget"),
        "cannot set Failed=True condition without the FailureTarget=true condition",
    );
    wrong(
        is("Complete") && !is("SuccessCriteriaMet"),
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    );
}

/// When a Job began and ended.
fn completed(new: ValueRef, old: ValueRef, spec: ValueRef, errors: &mut Errors) {
    let (end, start, at) = (new.get("completionTime"), new.get("startTime"), STATUS.child("completionTime"));
    if is_true(new, "Complete") {
        if end.is_none() {
            errors.required(at, "completionTime is required for Complete jobs");
        }
        if start.is_none() {
            errors.required(STATUS.child("startTime"), "startTime is required for finished job");
        }
        if let (Some(start), Some(end)) = (start.as_str(), end.as_str())
            && end < start
        {
            errors.invalid(at, end, "completionTime cannot be set before startTime");
        }
    } else if !end.is_none() {
        errors.invalid(at, &end, "cannot set completionTime when there is no Complete=True condition");
    }
    let before = old.get("completionTime");
    if is_finished(old) && !before.is_none() && !end.is_none() && !same(end, before) {
        errors.invalid(at, &end, crate::errors::IMMUTABLE);
    }
    let before = old.get("startTime");
    if !before.is_none() && spec.get("suspend").as_bool() != Some(true) && !same(start, before) {
        let detail = "startTime cannot be modified for unsuspended job";
        if start.is_none() {
            errors.required(STATUS.child("startTime"), "startTime cannot be removed for unsuspended job");
        } else {
            errors.required(STATUS.child("startTime"), detail);
        }
    }
}

/// What is decided stays decided.
fn kept(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let at = STATUS.child("conditions");
    for (kind, what) in [
        ("Failed", "terminal Failed=True"),
        ("Complete", "terminal Complete=True"),
        ("FailureTarget", "FailureTarget=True"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet=True"),
    ] {
        if is_true(old, kind) && !is_true(new, kind) {
            errors.invalid_bare(at, format!("cannot disable the {what} condition"));
        }
    }
}

/// A finished Job has no pods any more.
fn unfinished(status: ValueRef, errors: &mut Errors) {
    for counter in ["active", "ready", "terminating"] {
        if let Some(count) = status.get(counter).as_i64().filter(|count| *count > 0) {
            let detail = format!("{counter}>0 is invalid for finished job");
            errors.invalid(STATUS.child(counter), &count, detail);
        }
    }
    let uncounted = status.get("uncountedTerminatedPods");
    if ["succeeded", "failed"].iter().any(|list| !uncounted.get(list).is_empty()) {
        let shown = Typed("UncountedTerminatedPods", uncounted);
        errors.invalid(STATUS.child("uncountedTerminatedPods"), &shown, "must be empty for finished job");
    }
}

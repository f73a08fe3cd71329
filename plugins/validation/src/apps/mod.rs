//! The apps group: Deployments, ReplicaSets, StatefulSets, DaemonSets and ControllerRevisions.

mod controller_revision;
mod daemon_set;
mod stateful_set;
mod status;
mod strategy;

pub(crate) use strategy::{at_most_all, count_or_percent};

use portcullis_sdk::ValueRef;

use crate::core::{always_restarts, pod};
use crate::{Errors, Field, Review, SPEC, selector};

/// Checks an object of the apps group.
pub fn check(review: &Review, errors: &mut Errors) {
    if !review.is_main() {
        return status::check(review, errors);
    }
    match review.kind {
        "Deployment" => deployment(review, errors),
        "ReplicaSet" => replica_set(review, errors),
        "StatefulSet" => stateful_set::check(review, errors),
        "DaemonSet" => daemon_set::check(review, errors),
        "ControllerRevision" => return controller_revision::check(review, errors),
        _ => return,
    }
    if review.update && review.kind != "StatefulSet" {
        fixed_selector(review, errors);
    }
}

fn fixed_selector(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.spec().get("selector"), review.old_spec().get("selector"));
    if !crate::values::same(new, old) {
        errors.invalid(SPEC.child("selector"), &selector::shown(new), crate::errors::IMMUTABLE);
    }
}

/// A selector that must be there, be valid, and not match everything.
fn check_selector(given: ValueRef, owner: &str, errors: &mut Errors) {
    let at = SPEC.child("selector");
    if given.is_none() {
        return errors.required(at, "");
    }
    selector::check(at, given, errors);
    if selector::is_empty(given) {
        errors.invalid(at, &selector::shown(given), format!("empty selector is invalid for {owner}"));
    }
}

/// The template, which the selector must match.
fn template(review: &Review, owner: &str, errors: &mut Errors) {
    let (spec, at) = (review.spec(), SPEC.child("template"));
    let (given, template) = (spec.get("selector"), spec.get("template"));
    let labels = template.get("metadata").get("labels");
    if !selector::is_valid(given) {
        return errors.invalid(SPEC.child("selector"), &selector::shown(given), "invalid label selector");
    }
    if (given.is_none() || !selector::is_empty(given)) && !portcullis_sdk::selects(given, labels) {
        mismatch(&at, labels, errors);
    }
    pod::template(at, template, review, errors);
    always_restarts(&at, template, owner, errors);
}

fn mismatch(at: &Field, labels: ValueRef, errors: &mut Errors) {
    errors.invalid(at.child("metadata.labels"), &labels, "`selector` does not match template `labels`");
}

fn deployment(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    errors.non_negative(SPEC.child("replicas"), spec.get("replicas"));
    check_selector(spec.get("selector"), "deployment", errors);
    template(review, "ReplicaSet", errors);
    strategy::deployment(spec.get("strategy"), errors);
    errors.all_non_negative(&SPEC, spec, &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"]);
    if let Some(deadline) = spec.get("progressDeadlineSeconds").as_i64()
        && deadline <= spec.get("minReadySeconds").as_i64().unwrap_or(0)
    {
        errors.invalid(SPEC.child("progressDeadlineSeconds"), &deadline, "must be greater than minReadySeconds");
    }
}

fn replica_set(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    errors.all_non_negative(&SPEC, spec, &["replicas", "minReadySeconds"]);
    check_selector(spec.get("selector"), "deployment", errors);
    template(review, "ReplicaSet", errors);
}

//! ReplicationControllers, whose selector is a plain map.

use portcullis_sdk::ValueRef;

use super::pod;
use crate::{Errors, Field, Review, SPEC, STATUS};

/// A ReplicationController.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    if review.subresource == "status" {
        return status(review.object.get("status"), errors);
    }
    let spec = review.spec();
    errors.non_negative(SPEC.child("minReadySeconds"), spec.get("minReadySeconds"));
    let selector = spec.get("selector");
    if selector.is_empty() {
        errors.required(SPEC.child("selector"), "");
    }
    errors.non_negative(SPEC.child("replicas"), spec.get("replicas"));
    let (template, at) = (spec.get("template"), SPEC.child("template"));
    if template.is_none() {
        return errors.required(at, "");
    }
    let labels = template.get("metadata").get("labels");
    if !selector.is_empty() && selector.entries().any(|(key, value)| !labels.get(key).is_str(value.str_or_empty())) {
        errors.invalid(at.child("metadata.labels"), &labels, "`selector` does not match template `labels`");
    }
    pod::template(at, template, review, errors);
    always_restarts(&at, template, "ReplicationController", errors);
}

/// The pods of `owner` are meant to run for ever.
pub(crate) fn always_restarts(at: &Field, template: ValueRef, owner: &str, errors: &mut Errors) {
    let (spec, at) = (template.get("spec"), at.child("spec"));
    let policy = spec.get("restartPolicy").str_or_empty();
    if policy != "Always" {
        errors.not_supported(at.child("restartPolicy"), policy, &["Always"]);
    }
    if !spec.get("activeDeadlineSeconds").is_none() {
        let detail = format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.forbidden(at.child("activeDeadlineSeconds"), detail);
    }
}

/// Counts of replicas: none negative, and no part larger than the whole.
pub(crate) fn status(status: ValueRef, errors: &mut Errors) {
    let members = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
    errors.all_non_negative(&STATUS, status, &members);
    let count = |name: &str| status.get(name).as_i64().unwrap_or(0);
    for name in ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] {
        if count(name) > count("replicas") {
            errors.invalid(STATUS.child(name), &count(name), "cannot be greater than status.replicas");
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let detail = "cannot be greater than readyReplicas";
        errors.invalid(STATUS.child("availableReplicas"), &count("availableReplicas"), detail);
    }
}

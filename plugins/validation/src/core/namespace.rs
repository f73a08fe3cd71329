//! Namespaces.

use crate::{Errors, Field, Review, SPEC, STATUS, formats};

/// A Namespace: its finalizers, and the labels of the Pod Security Standards.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    if review.subresource == "status" {
        return status(review, errors);
    }
    for finalizer in review.spec().get("finalizers") {
        let name = finalizer.str_or_empty();
        errors.invalid_each(SPEC.child("finalizers"), name, formats::qualified_name(name));
        if !name.contains('/') && name != "kubernetes" {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(SPEC.child("finalizers"), name, detail);
        }
    }
    if review.is_main() {
        pod_security(review, errors);
    }
}

fn pod_security(review: &Review, errors: &mut Errors) {
    let at = Field::new("metadata.labels");
    for (key, value) in review.object.get("metadata").get("labels").entries() {
        let Some(mode) = key.strip_prefix("pod-security.kubernetes.io/") else { continue };
        let value = value.str_or_empty();
        // A bad label that is there already must not block the removal of a finalizer.
        if review.old.get("metadata").get("labels").get(key).is_str(value) {
            continue;
        }
        match mode {
            "enforce" | "warn" | "audit" if !matches!(value, "privileged" | "baseline" | "restricted") => {
                errors.invalid(at.key(key), value, "must be one of privileged, baseline, restricted");
            }
            "enforce-version" | "warn-version" | "audit-version" if !is_version(value) => {
                errors.invalid(at.key(key), value, "must be \"latest\" or \"v1.x\"");
            }
            _ => {}
        }
    }
}

fn is_version(text: &str) -> bool {
    let minor = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
    };
    text == "latest" || text.strip_prefix("v1.").is_some_and(minor)
}

/// The phase follows from whether the namespace is being deleted.
fn status(review: &Review, errors: &mut Errors) {
    let phase = review.object.get("status").get("phase").str_or_empty();
    let at = STATUS.child("Phase");
    if review.object.get("metadata").get("deletionTimestamp").is_none() {
        if phase != "Active" {
            errors.invalid(at, phase, "may only be 'Active' if `deletionTimestamp` is empty");
        }
    } else if phase != "Terminating" {
        errors.invalid(at, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
    }
}

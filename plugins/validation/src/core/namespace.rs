//! Namespaces.

use crate::{Errors, Review, formats};

/// A Namespace: its finalizers, and the labels of the Pod Security Standards.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    for finalizer in review.object.get("spec").get("finalizers") {
        let name = finalizer.str_or_empty();
        errors.invalid_each("spec.finalizers", name, formats::qualified_name(name));
        if !name.contains('/') && name != "kubernetes" {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid("spec.finalizers", name, detail);
        }
    }
    for (key, value) in review.object.get("metadata").get("labels").entries() {
        let Some(mode) = key.strip_prefix("pod-security.kubernetes.io/") else { continue };
        let value = value.str_or_empty();
        // A bad label that is there already must not block the removal of a finalizer.
        if review.old.get("metadata").get("labels").get(key).is_str(value) {
            continue;
        }
        let field = format!("metadata.labels[{key}]");
        match mode {
            "enforce" | "warn" | "audit" if !matches!(value, "privileged" | "baseline" | "restricted") => {
                errors.invalid(field, value, "must be one of privileged, baseline, restricted");
            }
            "enforce-version" | "warn-version" | "audit-version" if !is_version(value) => {
                errors.invalid(field, value, "must be \"latest\" or \"v1.x\"");
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

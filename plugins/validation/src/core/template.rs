//! Pod templates, and what the kinds that have one share.

use portcullis_sdk::ValueRef;

use super::pod;
use crate::{Errors, Review, meta};

/// A pod template at `field`; `restart` is the only restart policy that its kind allows.
pub fn check(field: &str, template: ValueRef, restart: Option<&str>, errors: &mut Errors) {
    meta::labels(&format!("{field}.metadata.labels"), template.get("metadata").get("labels"), errors);
    meta::annotations(&format!("{field}.metadata.annotations"), template.get("metadata").get("annotations"), errors);
    pod::spec(&format!("{field}.spec"), template.get("spec"), errors);
    let policy = template.get("spec").get("restartPolicy").str_or_empty();
    if let Some(only) = restart.filter(|only| *only != policy) {
        errors.not_supported(format!("{field}.spec.restartPolicy"), policy, &[only]);
    }
    if !template.get("spec").get("ephemeralContainers").is_empty() {
        errors
            .forbidden(format!("{field}.spec.ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// A ReplicationController, whose selector is a plain map.
pub(super) fn replication_controller(review: &Review, errors: &mut Errors) {
    let spec = review.object.get("spec");
    errors.non_negative("spec.minReadySeconds", spec.get("minReadySeconds"));
    let selector = spec.get("selector");
    if selector.is_empty() {
        errors.required("spec.selector", "");
    }
    errors.non_negative("spec.replicas", spec.get("replicas"));
    if spec.get("template").is_none() {
        errors.required("spec.template", "");
        return;
    }
    let labels = spec.get("template").get("metadata").get("labels");
    if !selector.is_empty() && selector.entries().any(|(key, value)| !labels.get(key).is_str(value.str_or_empty())) {
        errors.invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`");
    }
    check("spec.template", spec.get("template"), Some("Always"), errors);
}

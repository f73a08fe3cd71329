//! The apps group: what Deployments, ReplicaSets, StatefulSets and DaemonSets must satisfy.

use portcullis_sdk::ValueRef;

use crate::{Errors, Review, core::template, selector};

/// Checks an object of the apps group.
pub fn check(review: &Review, errors: &mut Errors) {
    let spec = review.object.get("spec");
    let kind = match review.kind {
        "Deployment" => "deployment",
        "StatefulSet" => "statefulset",
        "DaemonSet" => "daemonset",
        "ReplicaSet" => "replicaset",
        _ => return,
    };
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        // The reference does not look at a StatefulSet's history limit.
        if review.kind == "StatefulSet" && field == "revisionHistoryLimit" {
            continue;
        }
        errors.non_negative(format!("spec.{field}"), spec.get(field));
    }
    check_selector(kind, spec, errors);
    if review.update {
        errors.immutable("spec.selector", spec.get("selector"), review.old.get("spec").get("selector"));
    }
    template::check("spec.template", spec.get("template"), Some("Always"), errors);
    match review.kind {
        "Deployment" => deployment(spec, errors),
        "StatefulSet" => stateful_set(spec, errors),
        _ => {}
    }
}

/// The selector must be there, valid, not empty, and match the template.
fn check_selector(kind: &str, spec: ValueRef, errors: &mut Errors) {
    let given = spec.get("selector");
    if given.is_none() {
        errors.required("spec.selector", "");
        return;
    }
    selector::check("spec.selector", given, errors);
    if selector::is_empty(given) {
        errors.invalid("spec.selector", &given, format!("empty selector is invalid for {kind}"));
    }
    let labels = spec.get("template").get("metadata").get("labels");
    if !selector::is_valid(given) {
        errors.invalid("spec.selector", &given, "invalid label selector");
    } else if !selector::is_empty(given) && !selector::matches(given, labels) {
        errors.invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`");
    }
}

fn deployment(spec: ValueRef, errors: &mut Errors) {
    let strategy = spec.get("strategy");
    match strategy.get("type").str_or_empty() {
        "Recreate" if !strategy.get("rollingUpdate").is_none() => {
            errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        }
        "Recreate" | "RollingUpdate" => {}
        _ => errors.not_supported("spec.strategy", &strategy, &["Recreate", "RollingUpdate"]),
    }
    let is_zero = |value: ValueRef| value.as_i64() == Some(0) || value.is_str("0%");
    let rolling = strategy.get("rollingUpdate");
    if is_zero(rolling.get("maxUnavailable")) && is_zero(rolling.get("maxSurge")) {
        let value = rolling.get("maxUnavailable");
        errors.invalid("spec.strategy.rollingUpdate.maxUnavailable", &value, "may not be 0 when `maxSurge` is 0");
    }
    for field in ["maxUnavailable", "maxSurge"] {
        errors.non_negative(format!("spec.strategy.rollingUpdate.{field}"), rolling.get(field));
    }
    if let Some(deadline) = spec.get("progressDeadlineSeconds").as_i64() {
        errors.non_negative("spec.progressDeadlineSeconds", spec.get("progressDeadlineSeconds"));
        if deadline <= spec.get("minReadySeconds").as_i64().unwrap_or(0) {
            errors.invalid("spec.progressDeadlineSeconds", &deadline, "must be greater than minReadySeconds");
        }
    }
}

fn stateful_set(spec: ValueRef, errors: &mut Errors) {
    let policy = spec.get("podManagementPolicy").str_or_empty();
    match policy {
        "" => errors.required("spec.podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
    let strategy = spec.get("updateStrategy");
    match strategy.get("type").str_or_empty() {
        "" => errors.required("spec.updateStrategy", ""),
        "RollingUpdate" => {
            let field = "spec.updateStrategy.rollingUpdate.partition";
            errors.non_negative(field, strategy.get("rollingUpdate").get("partition"));
        }
        "OnDelete" => {
            if !strategy.get("rollingUpdate").is_none() {
                let value = strategy.get("rollingUpdate");
                let detail = "only allowed for updateStrategy 'RollingUpdate'";
                errors.invalid("spec.updateStrategy.rollingUpdate", &value, detail);
            }
        }
        _ => errors.invalid("spec.updateStrategy", &strategy, "must be 'RollingUpdate' or 'OnDelete'"),
    }
    errors.non_negative("spec.ordinals.start", spec.get("ordinals").get("start"));
}

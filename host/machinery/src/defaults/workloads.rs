//! What makes pods of a template.

use serde_json::Value;

use super::{Members, copy_template_labels, each, existing, object, set, text};
use crate::defaults::pod;

pub(super) fn replication_controller(controller: &mut Members) {
    let labels = copy_template_labels(controller);
    // Of all workloads this one may be without a template; it is then refused and not filled in.
    let spec = object(controller, "spec");
    if spec.get("template").is_some_and(Value::is_object) {
        pod::template_of(spec);
    }
    if let Some(labels) = labels {
        if object(controller, "spec").get("selector").and_then(Value::as_object).is_none_or(|s| s.is_empty()) {
            object(controller, "spec").insert("selector".into(), labels.clone());
        }
        set(object(controller, "metadata"), "labels", labels);
    }
    set(object(controller, "spec"), "replicas", 1);
}

pub(super) fn deployment(deployment: &mut Members) {
    let spec = object(deployment, "spec");
    pod::template_of(spec);
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    let strategy = object(spec, "strategy");
    set(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
}

pub(super) fn replica_set(replica_set: &mut Members) {
    let spec = object(replica_set, "spec");
    pod::template_of(spec);
    set(spec, "replicas", 1);
}

pub(super) fn daemon_set(daemon_set: &mut Members) {
    // How often the template changed is a field of the reference's own form of the kind; in this one it is an annotation.
    set(object(object(daemon_set, "metadata"), "annotations"), "deprecated.daemonset.template.generation", "0");
    let spec = object(daemon_set, "spec");
    pod::template_of(spec);
    set(spec, "revisionHistoryLimit", 10);
    let strategy = object(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", 1);
        set(rolling, "maxSurge", 0);
    }
}

pub(super) fn stateful_set(stateful_set: &mut Members) {
    let spec = object(stateful_set, "spec");
    pod::template_of(spec);
    set(spec, "podManagementPolicy", "OrderedReady");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    let strategy = object(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(object(strategy, "rollingUpdate"), "partition", 0);
    }
    let retention = object(spec, "persistentVolumeClaimRetentionPolicy");
    set(retention, "whenDeleted", "Retain");
    set(retention, "whenScaled", "Retain");
    for claim in each(spec, "volumeClaimTemplates") {
        set(claim, "kind", "PersistentVolumeClaim");
        set(claim, "apiVersion", "v1");
        set(object(claim, "spec"), "volumeMode", "Filesystem");
        set(object(claim, "status"), "phase", "Pending");
    }
}

pub(super) fn job(job: &mut Members) {
    let labels = copy_template_labels(job);
    let spec = object(job, "spec");
    job_spec(spec);
    if let Some(labels) = labels {
        set(object(job, "metadata"), "labels", labels);
    }
}

fn job_spec(spec: &mut Members) {
    // Without either number a job is one pod; a work queue says its parallelism.
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    let per_index = spec.contains_key("backoffLimitPerIndex");
    set(spec, "backoffLimit", if per_index { i64::from(i32::MAX) } else { 6 });
    let by_failure_policy = spec.contains_key("podFailurePolicy");
    set(spec, "podReplacementPolicy", if by_failure_policy { "Failed" } else { "TerminatingOrFailed" });
    set(spec, "manualSelector", false);
    if let Some(policy) = existing(spec, "podFailurePolicy") {
        for rule in each(policy, "rules") {
            for pattern in each(rule, "onPodConditions") {
                // The field is always written, so that nothing is an empty text.
                if text(pattern, "status").is_empty() {
                    pattern.insert("status".into(), "True".into());
                }
            }
        }
    }
    pod::template_of(spec);
}

pub(super) fn cron_job(cron_job: &mut Members) {
    let spec = object(cron_job, "spec");
    set(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    // The template's own defaults come when the job is made; only the pod template is filled in here.
    let template = object(object(spec, "jobTemplate"), "spec");
    pod::template_of(template);
}

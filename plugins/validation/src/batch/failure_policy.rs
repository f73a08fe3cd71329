//! What a failed pod means for its Job.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, formats};

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

/// Checks the policy at `at`, which is part of `spec`.
pub(super) fn check(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let (rules, list) = (spec.get("podFailurePolicy").get("rules"), at.child("rules"));
    if rules.len() > 20 {
        errors.too_many(list, rules.len(), 20);
    }
    for (index, rule) in rules.iter().enumerate() {
        let at = list.index(index);
        match rule.get("action").str_or_empty() {
            "" => errors.required(at.child("action"), "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            action @ "FailIndex" if spec.get("backoffLimitPerIndex").is_none() => {
                errors.invalid(at.child("action"), action, "requires the backoffLimitPerIndex to be set");
            }
            action => errors.one_of(at.child("action"), action, &ACTIONS),
        }
        let (codes, conditions) = (rule.get("onExitCodes"), rule.get("onPodConditions"));
        if !codes.is_none() {
            exit_codes(&at.child("onExitCodes"), codes, spec, errors);
        }
        pod_conditions(&at.child("onPodConditions"), conditions, errors);
        if !codes.is_none() && !conditions.is_empty() {
            errors.invalid_bare(at, "specifying both OnExitCodes and OnPodConditions is not supported");
        }
        if codes.is_none() && conditions.is_empty() {
            errors.invalid_bare(at, "specifying one of OnExitCodes and OnPodConditions is required");
        }
    }
}

fn pod_conditions(at: &Field, conditions: ValueRef, errors: &mut Errors) {
    if conditions.len() > 20 {
        errors.too_many(at, conditions.len(), 20);
    }
    for (index, condition) in conditions.iter().enumerate() {
        let at = at.index(index);
        let (kind, status) = (condition.get("type").str_or_empty(), condition.get("status").str_or_empty());
        errors.invalid_each(at.child("type"), kind, formats::qualified_name(kind));
        if status.is_empty() {
            errors.required(at.child("status"), "valid values: [\"False\" \"True\" \"Unknown\"]");
        } else {
            errors.one_of(at.child("status"), status, &["False", "True", "Unknown"]);
        }
    }
}

fn exit_codes(at: &Field, codes: ValueRef, spec: ValueRef, errors: &mut Errors) {
    let operator = codes.get("operator").str_or_empty();
    if operator.is_empty() {
        errors.required(at.child("operator"), "valid values: [\"In\" \"NotIn\"]");
    } else {
        errors.one_of(at.child("operator"), operator, &["In", "NotIn"]);
    }
    if let Some(name) = codes.get("containerName").as_str() {
        let pod = spec.get("template").get("spec");
        let mut containers = pod.get("containers").iter().chain(pod.get("initContainers").iter());
        if !containers.any(|one| one.get("name").is_str(name)) {
            let detail = "must be one of the container or initContainer names in the pod template";
            errors.invalid(at.child("containerName"), name, detail);
        }
    }
    let (values, list) = (codes.get("values"), at.child("values"));
    if values.is_empty() {
        errors.invalid(list, &values, "at least one value is required");
    } else if values.len() > 255 {
        errors.too_many(list, values.len(), 255);
    }
    let (mut seen, mut ordered, mut before) = (BTreeSet::new(), true, i64::MIN);
    for (index, value) in values.iter().enumerate() {
        let code = value.as_i64().unwrap_or(0);
        if operator == "In" && code == 0 {
            errors.invalid(list.index(index), &code, "must not be 0 for the In operator");
        }
        if !seen.insert(code) {
            errors.duplicate(list.index(index), &code);
        }
        ordered &= before <= code;
        before = code;
    }
    if !ordered {
        errors.invalid(list, &values, "must be ordered");
    }
}

//! The autoscaling group: HorizontalPodAutoscalers of both versions.

use portcullis_sdk::ValueRef;

use crate::quantity::Quantity;
use crate::{Check, Errors, Field, Review, SPEC, STATUS, formats};

/// The sources of metrics: the type, the member, and its check.
const SOURCES: [(&str, &str, Check); 5] = [
    ("Object", "object", object_source),
    ("External", "external", external_source),
    ("Pods", "pods", pods_source),
    ("Resource", "resource", resource_source),
    ("ContainerResource", "containerResource", container_source),
];
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "HorizontalPodAutoscaler" {
        return;
    }
    if !review.is_main() {
        let members = ["currentReplicas", "desiredReplicas"];
        return errors.all_non_negative(&STATUS, review.object.get("status"), &members);
    }
    let spec = review.spec();
    let (least, most) = (spec.get("minReplicas").as_i64(), spec.get("maxReplicas").as_i64().unwrap_or(0));
    if let Some(least) = least.filter(|least| *least < 1) {
        errors.invalid(SPEC.child("minReplicas"), &least, "must be greater than or equal to 1");
    }
    if most < 0 {
        errors.invalid(SPEC.child("maxReplicas"), &most, "must be greater than or equal to 1");
    } else if most == 0 {
        errors.required(SPEC.child("maxReplicas"), "must be set and greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid(SPEC.child("maxReplicas"), &most, "must be greater than or equal to `minReplicas`");
    }
    reference(&SPEC.child("scaleTargetRef"), spec.get("scaleTargetRef"), true, errors);
    // The older version has one metric, and no list of them.
    if let Some(target) = spec.get("targetCPUUtilizationPercentage").as_i64().filter(|target| *target < 1) {
        let at = "spec.metrics[0].resource.target.averageUtilization";
        errors.invalid(at, &target, "must be greater than 0");
    }
    let (metrics, list) = (spec.get("metrics"), SPEC.child("metrics"));
    for (index, one) in metrics.iter().enumerate() {
        metric(&list.index(index), one, errors);
    }
    let from_outside = |one: ValueRef| matches!(one.get("type").str_or_empty(), "Object" | "External");
    if least == Some(0) && !metrics.iter().any(from_outside) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(list, detail);
    }
    let at = SPEC.child("behavior");
    for direction in ["scaleUp", "scaleDown"] {
        rules(&at.child(direction), spec.get("behavior").get(direction), errors);
    }
}

/// What is scaled, or measured. What is scaled must be of a group.
fn reference(at: &Field, reference: ValueRef, of_group: bool, errors: &mut Errors) {
    let text = |name| reference.get(name).str_or_empty();
    for member in ["kind", "name"] {
        if errors.needs(at.child(member), text(member)) {
            errors.invalid_each(at.child(member), text(member), formats::path_segment(text(member)));
        }
    }
    let version = text("apiVersion");
    let place = at.child("apiVersion");
    if version.matches('/').count() > 1 {
        errors.invalid(place, version, format!("unexpected GroupVersion string: {version}"));
    } else if of_group && !version.contains('/') && text("kind") != "ReplicationController" {
        errors.invalid(place, version, "apiVersion must specify API group");
    }
}

fn metric(at: &Field, metric: ValueRef, errors: &mut Errors) {
    let kind = metric.get("type").str_or_empty();
    if kind.is_empty() {
        errors.required(at.child("type"), "must specify a metric source type");
    }
    errors.one_of(at.child("type"), kind, &TYPES);
    let given = SOURCES.iter().filter(|(_, member, _)| !metric.get(member).is_none());
    if let Some((_, member, check)) = given.clone().next() {
        check(&at.child(member), metric.get(member), errors);
    }
    let expected = SOURCES.iter().find(|(name, ..)| *name == kind).map(|(_, member, _)| *member);
    match expected {
        None => errors.not_supported(at.child("type"), kind, &TYPES),
        Some(member) if metric.get(member).is_none() => {
            errors.required(at.child(member), "must populate information for the given metric source");
        }
        Some(_) => {}
    }
    if given.clone().count() > 1 || given.clone().count() == 1 && expected.is_some_and(|one| metric.get(one).is_none())
    {
        for (_, member, _) in given.filter(|(_, member, _)| Some(*member) != expected) {
            errors.forbidden(at.child(member), "must populate the given metric source only");
        }
    }
}

fn identifier(at: &Field, source: ValueRef, errors: &mut Errors) {
    let (at, name) = (at.child("metric"), source.get("metric").get("name").str_or_empty());
    if name.is_empty() {
        errors.required(at.child("name"), "must specify a metric name");
    } else {
        errors.invalid_each(at.child("name"), name, formats::path_segment(name));
    }
}

fn target(at: &Field, source: ValueRef, errors: &mut Errors) {
    let (target, at) = (source.get("target"), at.child("target"));
    let kind = target.get("type").str_or_empty();
    if kind.is_empty() {
        errors.required(at.child("type"), "must specify a metric target type");
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        errors.invalid(at.child("type"), kind, "must be either Utilization, Value, or AverageValue");
    }
    for member in ["value", "averageValue"] {
        let value = target.get(member);
        if Quantity::read(value).is_some_and(|amount| amount <= Quantity::ZERO) {
            errors.invalid(at.child(member), &value, "must be positive");
        }
    }
    if let Some(percent) = target.get("averageUtilization").as_i64().filter(|percent| *percent < 1) {
        errors.invalid(at.child("averageUtilization"), &percent, "must be greater than 0");
    }
}

fn has(source: ValueRef, member: &str) -> bool {
    !source.get("target").get(member).is_none()
}

fn object_source(at: &Field, source: ValueRef, errors: &mut Errors) {
    reference(&at.child("describedObject"), source.get("describedObject"), false, errors);
    identifier(at, source, errors);
    target(at, source, errors);
    if !has(source, "value") && !has(source, "averageValue") {
        let detail = "must set either a target value or averageValue";
        errors.required(at.child("target.averageValue"), detail);
    }
}

fn external_source(at: &Field, source: ValueRef, errors: &mut Errors) {
    identifier(at, source, errors);
    target(at, source, errors);
    match (has(source, "value"), has(source, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errors.required(at.child("target.averageValue"), detail);
        }
        (true, true) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.forbidden(at.child("target.value"), detail);
        }
        _ => {}
    }
}

fn pods_source(at: &Field, source: ValueRef, errors: &mut Errors) {
    identifier(at, source, errors);
    target(at, source, errors);
    let average = Quantity::read(source.get("target").get("averageValue"));
    if average.is_none_or(|amount| amount <= Quantity::ZERO) {
        errors.required(at.child("target.averageValue"), "must specify a positive target averageValue");
    }
}

fn resource_source(at: &Field, source: ValueRef, errors: &mut Errors) {
    if source.get("name").str_or_empty().is_empty() {
        errors.required(at.child("name"), "must specify a resource name");
    }
    usage(at, source, errors);
}

fn container_source(at: &Field, source: ValueRef, errors: &mut Errors) {
    if source.get("name").str_or_empty().is_empty() {
        errors.required(at.child("name"), "must specify a resource name");
    }
    if source.get("container").str_or_empty().is_empty() {
        errors.required(at.child("container"), "must specify a container");
    }
    usage(at, source, errors);
}

/// A target for what is used of a resource: a share of what was asked for, or an amount.
fn usage(at: &Field, source: ValueRef, errors: &mut Errors) {
    target(at, source, errors);
    match (has(source, "averageUtilization"), has(source, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.required(at.child("target.averageUtilization"), detail);
        }
        (true, true) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.forbidden(at.child("target.averageValue"), detail);
        }
        _ => {}
    }
}

/// How fast to follow.
fn rules(at: &Field, rules: ValueRef, errors: &mut Errors) {
    if rules.is_none() {
        return;
    }
    if let Some(seconds) = rules.get("stabilizationWindowSeconds").as_i64() {
        let place = at.child("stabilizationWindowSeconds");
        if seconds < 0 {
            errors.invalid(place, &seconds, "must be greater than or equal to zero");
        } else if seconds > 3600 {
            errors.invalid(place, &seconds, "must be less than or equal to 3600");
        }
    }
    errors.may_be_one_of(at.child("selectPolicy"), rules.get("selectPolicy"), &["Disabled", "Max", "Min"]);
    let (policies, list) = (rules.get("policies"), at.child("policies"));
    if policies.is_empty() {
        errors.required(list, "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        let at = list.index(index);
        errors.one_of(at.child("type"), policy.get("type").str_or_empty(), &["Percent", "Pods"]);
        for member in ["value", "periodSeconds"] {
            let number = policy.get(member).as_i64().unwrap_or(0);
            if number <= 0 {
                errors.invalid(at.child(member), &number, "must be greater than zero");
            } else if member == "periodSeconds" && number > 1800 {
                errors.invalid(at.child(member), &number, "must be less than or equal to 1800");
            }
        }
    }
    let tolerance = rules.get("tolerance");
    if Quantity::read(tolerance).is_some_and(|amount| amount < Quantity::ZERO) {
        errors.invalid(at.child("tolerance"), &tolerance, "must be greater or equal to zero");
    }
}

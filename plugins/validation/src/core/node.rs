//! Nodes.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::json_error;
use super::pod::resources;
use crate::shown::Typed;
use crate::{Errors, Field, Review, SPEC, STATUS, formats, meta};

const META: Field = Field::new("metadata");
const AVOID_PODS: &str = "scheduler.alpha.kubernetes.io/preferAvoidPods";

/// A Node. Its status is checked whichever way it is written.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    if review.is_main() {
        whole(review, errors);
    }
    if !review.update {
        return;
    }
    annotations(review, errors);
    amounts(review, errors);
    let at = STATUS.child("addresses");
    let addresses = review.object.get("status").get("addresses");
    let mut seen = BTreeSet::new();
    for (index, address) in addresses.iter().enumerate() {
        let text = |name| address.get(name).str_or_empty();
        if !seen.insert((text("type"), text("address"))) {
            errors.duplicate(at.index(index), &Typed("NodeAddress", address));
        }
    }
    let old = review.old_spec();
    let detail = "node updates may not change podCIDR except from \"\" to valid";
    let (ranges, before) = (spec.get("podCIDRs"), old.get("podCIDRs"));
    if !before.is_empty() {
        if before.len() != ranges.len() {
            errors.forbidden(SPEC.child("podCIDRs"), detail);
        }
        for _ in before.iter().zip(ranges.iter()).filter(|(one, other)| !other.is_str(one.str_or_empty())) {
            errors.forbidden(SPEC.child("podCIDRs"), detail);
        }
    }
    let before = old.get("providerID").str_or_empty();
    if !before.is_empty() && !spec.get("providerID").is_str(before) {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(SPEC.child("providerID"), detail);
    }
    // One that was not there before is dropped from an update.
    if !old.get("configSource").is_none() {
        config_source(&SPEC.child("configSource"), spec.get("configSource"), errors);
    }
    taints(spec.get("taints"), errors);
    if spec.get("externalID").str_or_empty() != old.get("externalID").str_or_empty() {
        errors.forbidden(SPEC.child("externalID"), "may not be updated");
    }
}

fn whole(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    annotations(review, errors);
    taints(spec.get("taints"), errors);
    amounts(review, errors);
    let (ranges, at) = (spec.get("podCIDRs"), SPEC.child("podCIDRs"));
    for (index, range) in ranges.iter().enumerate() {
        let range = range.str_or_empty();
        errors.invalid_each(at.index(index), range, formats::cidr(range));
    }
    if ranges.len() > 1 {
        let v6 = ranges.iter().filter(|range| range.str_or_empty().contains(':')).count();
        if v6 != 1 || ranges.len() > 2 {
            errors.invalid(at, &ranges, "may specify no more than one CIDR for each IP family");
        }
    }
}

fn annotations(review: &Review, errors: &mut Errors) {
    let text = review.annotation(AVOID_PODS);
    if !text.is_empty() && serde_json::from_str::<serde_json::Map<_, _>>(text).is_err() {
        let place = META.child("annotations");
        errors.invalid(place.child("AvoidPods"), AVOID_PODS, json_error(text.as_bytes()));
    }
}

/// Taints must be well formed, and differ by key and effect.
fn taints(taints: ValueRef, errors: &mut Errors) {
    let at = META.child("taints");
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let at = at.index(index);
        let text = |name| taint.get(name).str_or_empty();
        errors.invalid_each(at.child("key"), text("key"), formats::qualified_name(text("key")));
        let wrong = formats::label_value(text("value"));
        if !wrong.is_empty() {
            errors.invalid(at.child("value"), text("value"), wrong.join(";"));
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        errors.needs_one_of(at.child("effect"), text("effect"), &effects);
        if !seen.insert((text("key"), text("effect"))) {
            let detail = "taints must be unique by key and effect pair";
            errors.duplicate_because(at, &Typed("Taint", taint), detail);
        }
    }
}

fn amounts(review: &Review, errors: &mut Errors) {
    for list in ["capacity", "allocatable"] {
        let at = STATUS.child(list);
        for (name, value) in review.object.get("status").get(list).entries() {
            resources::amount(&at.child(name), name, value, errors);
        }
    }
}

/// Where a node's configuration was once taken from. Nothing uses it, and it is checked all the same.
fn config_source(at: &Field, source: ValueRef, errors: &mut Errors) {
    if source.is_none() {
        return;
    }
    let (map, place) = (source.get("configMap"), at.child("configMap"));
    if map.is_none() {
        let detail = "exactly one reference subfield must be non-nil";
        return errors.invalid(at, &Typed("NodeConfigSource", source), detail);
    }
    let text = |name| map.get(name).str_or_empty();
    for name in ["uid", "resourceVersion"] {
        if !text(name).is_empty() {
            errors.forbidden(place.child(name), format!("{name} must not be set in spec"));
        }
    }
    let rules: [(&str, meta::NameRule); 3] = [
        ("namespace", formats::dns_label),
        ("name", formats::dns_subdomain),
        ("kubeletConfigKey", formats::config_key),
    ];
    for (name, rule) in rules {
        if text(name).is_empty() {
            errors.required(place.child(name), format!("{name} must be set"));
        } else {
            errors.invalid_each(place.child(name), text(name), rule(text(name)));
        }
    }
}

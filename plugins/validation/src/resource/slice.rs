//! Slices: which devices a driver has, and where.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::claim::{driver, identifier};
use crate::core::pod::node_selector;
use crate::quantity::Quantity;
use crate::{Errors, Field, Review, SPEC, formats};

/// The most devices of a slice, and the most attributes and capacities of a device.
const MOST_DEVICES: usize = 128;
const MOST_FACTS: usize = 32;
const MOST_TAINTS: usize = 16;
const PLACES: [&str; 4] = ["nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection"];

/// A ResourceSlice.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    driver(&SPEC.child("driver"), spec.get("driver").str_or_empty(), errors);
    pool(&SPEC.child("pool"), spec.get("pool"), errors);
    if review.update {
        let old = review.old_spec();
        let pool = SPEC.child("pool");
        errors.immutable(pool.child("name"), spec.get("pool").get("name"), old.get("pool").get("name"));
        for member in ["driver", "nodeName"] {
            errors.immutable(SPEC.child(member), spec.get(member), old.get(member));
        }
    }
    placement(spec, errors);
    let (devices, list) = (spec.get("devices"), SPEC.child("devices"));
    if devices.len() > MOST_DEVICES {
        errors.too_many(list, devices.len(), MOST_DEVICES);
    }
    let mut seen = BTreeSet::new();
    for (index, one) in devices.iter().enumerate() {
        let at = list.index(index);
        device(&at, one, errors);
        errors.unique(&mut seen, at, one.get("name").str_or_empty());
    }
}

fn pool(at: &Field, pool: ValueRef, errors: &mut Errors) {
    let name = pool.get("name").str_or_empty();
    let place = at.child("name");
    if errors.needs(place, name) {
        if name.len() > 253 {
            errors.too_long(place, 253);
        }
        for part in name.split('/') {
            errors.invalid_each(place, part, formats::dns_subdomain(part));
        }
    }
    let count = pool.get("resourceSliceCount").as_i64().unwrap_or(0);
    if count <= 0 {
        errors.invalid(at.child("resourceSliceCount"), &count, "must be greater than zero");
    }
    errors.non_negative(at.child("generation"), pool.get("generation"));
}

fn placement(spec: ValueRef, errors: &mut Errors) {
    let set = |member: &str| match spec.get(member).as_bool() {
        Some(flag) => flag,
        None => !crate::values::is_blank(spec.get(member)),
    };
    if spec.get("nodeName").as_str() == Some("") {
        errors.invalid(SPEC.child("nodeName"), "", "must be either unset or set to a non-empty string");
    }
    for member in ["allNodes", "perDeviceNodeSelection"] {
        if spec.get(member).as_bool() == Some(false) {
            errors.invalid(SPEC.child(member), &false, "must be either unset or set to true");
        }
    }
    let given: Vec<&str> = PLACES.into_iter().filter(|member| set(member)).collect();
    match given[..] {
        [] => {
            let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
            errors.required(SPEC, detail);
        }
        ["nodeName"] => {
            let name = spec.get("nodeName").str_or_empty();
            errors.invalid_each(SPEC.child("nodeName"), name, formats::dns_subdomain(name));
        }
        ["nodeSelector"] => {
            let at = SPEC.child("nodeSelector");
            node_selector(&at, spec.get("nodeSelector"), errors);
            let terms = spec.get("nodeSelector").get("nodeSelectorTerms");
            if terms.len() > 1 {
                let detail = "must have exactly one node selector term";
                errors.invalid(at.child("nodeSelectorTerms"), &terms, detail);
            }
        }
        [_] => {}
        _ => {
            let list: Vec<String> = given.iter().map(|member| format!("`{member}`")).collect();
            let shown = format!("{{{}}}", list.join(", "));
            let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, \
                          but multiple fields are set";
            errors.invalid(SPEC, shown.as_str(), detail);
        }
    }
}

fn device(at: &Field, device: ValueRef, errors: &mut Errors) {
    let name = device.get("name").str_or_empty();
    errors.invalid_each(at.child("name"), name, formats::dns_label(name));
    let (attributes, capacity) = (device.get("attributes"), device.get("capacity"));
    let count = attributes.len() + capacity.len();
    if count > MOST_FACTS {
        let detail = format!("the total number of attributes and capacities must not exceed {MOST_FACTS}");
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        errors.invalid(at, &count, detail);
    }
    let place = at.child("attributes");
    for (name, value) in attributes.entries() {
        let at = place.key(name);
        fact_name(&at, name, errors);
        attribute_value(&at, value, errors);
    }
    let place = at.child("capacity");
    for (name, value) in capacity.entries() {
        let at = place.key(name);
        fact_name(&at, name, errors);
        let amount = value.get("value");
        if Quantity::read(amount).is_some_and(|amount| amount < Quantity::ZERO) {
            errors.invalid(at.child("value"), &amount, crate::errors::NON_NEGATIVE);
        }
    }
    let (taints, list) = (device.get("taints"), at.child("taints"));
    if taints.len() > MOST_TAINTS {
        errors.too_many(list, taints.len(), MOST_TAINTS);
    }
    for (index, taint) in taints.iter().enumerate() {
        let at = list.index(index);
        let text = |name| taint.get(name).str_or_empty();
        errors.invalid_each(at.child("key"), text("key"), formats::qualified_name(text("key")));
        if !text("value").is_empty() {
            errors.invalid_each(at.child("value"), text("value"), formats::label_value(text("value")));
        }
        errors.needs_one_of(at.child("effect"), text("effect"), &["NoExecute", "NoSchedule", "None"]);
    }
}

/// A name that may have a domain.
fn fact_name(at: &Field, name: &str, errors: &mut Errors) {
    match name.split_once('/') {
        Some((domain, id)) => {
            if domain.is_empty() {
                errors.required(at, "the domain must not be empty");
            } else {
                errors.invalid_each(at, domain, formats::dns_subdomain(domain));
            }
            if id.is_empty() {
                errors.required(at, "the name must not be empty");
            } else {
                identifier(at, id, errors);
            }
        }
        None if name.is_empty() => errors.required(at, "name required"),
        None => identifier(at, name, errors),
    }
}

fn attribute_value(at: &Field, value: ValueRef, errors: &mut Errors) {
    let given: Vec<&str> =
        ["bool", "int", "string", "version"].into_iter().filter(|kind| !value.get(kind).is_none()).collect();
    match given[..] {
        [] => errors.required(at, "exactly one value must be specified"),
        [kind] => {
            let text = value.get(kind).str_or_empty();
            if text.len() > 64 {
                errors.too_long(at.child(kind), 64);
            }
            if kind == "version" && !is_version(text) {
                errors.invalid(at.child(kind), text, "must be a string compatible with semver.org spec 2.0.0");
            }
        }
        _ => errors.invalid(at, &value, "exactly one value must be specified"),
    }
}

/// A version of three numbers, with a word before or after a build perhaps (semver.org, 2.0.0).
fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

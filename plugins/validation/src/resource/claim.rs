//! What a claim asks for.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::quantity::Quantity;
use crate::shown::Nothing;
use crate::{Errors, Field, formats};

/// The most of nearly everything in this group.
pub(super) const MOST: usize = 32;
/// The most alternatives of a request.
const MOST_ALTERNATIVES: usize = 8;
const MOST_TOLERATIONS: usize = 16;
/// How long an expression, and parameters, may be.
const EXPRESSION_LIMIT: usize = 10 << 10;
const PARAMETERS_LIMIT: usize = 10 << 10;

/// The spec of a claim at `at`.
pub(super) fn check(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let (devices, at) = (spec.get("devices"), at.child("devices"));
    let names = names(devices);
    let (requests, list) = (devices.get("requests"), at.child("requests"));
    if requests.len() > MOST {
        errors.too_many(list, requests.len(), MOST);
    }
    let mut seen = BTreeSet::new();
    for (index, one) in requests.iter().enumerate() {
        request(&list.index(index), one, errors);
        errors.unique(&mut seen, list.index(index), one.get("name").str_or_empty());
    }
    let (constraints, list) = (devices.get("constraints"), at.child("constraints"));
    if constraints.len() > MOST {
        errors.too_many(list, constraints.len(), MOST);
    }
    for (index, one) in constraints.iter().enumerate() {
        let at = list.index(index);
        request_names(&at.child("requests"), one.get("requests"), &names, errors);
        let attributes = ["matchAttribute", "distinctAttribute"];
        let given: Vec<_> = attributes.into_iter().filter(|member| !one.get(member).is_none()).collect();
        match given[..] {
            [] => errors.required(at.child("matchAttribute"), ""),
            [member] => attribute(&at.child(member), one.get(member).str_or_empty(), errors),
            _ => {
                let detail = "exactly one of matchAttribute or distinctAttribute must be set";
                errors.invalid(at, &Nothing, detail);
            }
        }
    }
    let (configs, list) = (devices.get("config"), at.child("config"));
    if configs.len() > MOST {
        errors.too_many(list, configs.len(), MOST);
    }
    for (index, one) in configs.iter().enumerate() {
        let at = list.index(index);
        request_names(&at.child("requests"), one.get("requests"), &names, errors);
        configuration(&at, one, errors);
    }
}

/// The names by which requests, and alternatives of them, are known.
fn names(devices: ValueRef) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for request in devices.get("requests") {
        let name = request.get("name").str_or_empty();
        names.insert(name.to_owned());
        for one in request.get("firstAvailable") {
            names.insert(format!("{name}/{}", one.get("name").str_or_empty()));
        }
    }
    names
}

fn request_names(at: &Field, list: ValueRef, known: &BTreeSet<String>, errors: &mut Errors) {
    if list.len() > MOST {
        errors.too_many(at, list.len(), MOST);
    }
    let mut seen = BTreeSet::new();
    for (index, name) in list.iter().enumerate() {
        let (at, name) = (at.index(index), name.str_or_empty());
        for part in name.splitn(2, '/') {
            errors.invalid_each(at, name, formats::dns_label(part));
        }
        if !known.contains(name) {
            let detail = "must be the name of a request in the claim or the name of a request and a subrequest \
                          separated by '/'";
            errors.invalid(at, name, detail);
        }
        errors.unique(&mut seen, at, name);
    }
}

fn request(at: &Field, request: ValueRef, errors: &mut Errors) {
    let name = request.get("name").str_or_empty();
    errors.invalid_each(at.child("name"), name, formats::dns_label(name));
    let (exactly, first) = (request.get("exactly"), request.get("firstAvailable"));
    let detail = "exactly one of `exactly` or `firstAvailable` is required";
    match (exactly.is_none(), first.is_empty()) {
        (true, true) => errors.required(at, detail),
        (false, false) => errors.invalid(at, &Nothing, format!("{detail}, but multiple fields are set")),
        (false, true) => asked(&at.child("exactly"), exactly, errors),
        (true, false) => {
            let list = at.child("firstAvailable");
            if first.len() > MOST_ALTERNATIVES {
                errors.too_many(list, first.len(), MOST_ALTERNATIVES);
            }
            let mut seen = BTreeSet::new();
            for (index, one) in first.iter().enumerate() {
                let at = list.index(index);
                let name = one.get("name").str_or_empty();
                errors.invalid_each(at.child("name"), name, formats::dns_label(name));
                asked(&at, one, errors);
                errors.unique(&mut seen, at, name);
            }
        }
    }
}

/// How many devices of which class, and what they must be like.
fn asked(at: &Field, asked: ValueRef, errors: &mut Errors) {
    let class = asked.get("deviceClassName").str_or_empty();
    if errors.needs(at.child("deviceClassName"), class) {
        errors.invalid_each(at.child("deviceClassName"), class, formats::dns_subdomain(class));
    }
    selectors(&at.child("selectors"), asked.get("selectors"), errors);
    let count = asked.get("count").as_i64().unwrap_or(0);
    match asked.get("allocationMode").str_or_empty() {
        "All" if count != 0 => {
            errors.invalid(at.child("count"), &count, "must not be specified when allocationMode is 'All'");
        }
        "All" => {}
        "ExactCount" => {
            if count <= 0 {
                errors.invalid(at.child("count"), &count, "must be greater than zero");
            }
        }
        other => errors.not_supported(at.child("allocationMode"), other, &["All", "ExactCount"]),
    }
    let (tolerations, list) = (asked.get("tolerations"), at.child("tolerations"));
    if tolerations.len() > MOST_TOLERATIONS {
        errors.too_many(list, tolerations.len(), MOST_TOLERATIONS);
    }
    for (index, one) in tolerations.iter().enumerate() {
        toleration(&list.index(index), one, errors);
    }
    let place = at.child("capacity.requests");
    for (name, value) in asked.get("capacity").get("requests").entries() {
        attribute(&place.key(name), name, errors);
        if Quantity::read(value).is_some_and(|amount| amount < Quantity::ZERO) {
            errors.invalid(place.key(name), &value, crate::errors::NON_NEGATIVE);
        }
    }
}

fn toleration(at: &Field, toleration: ValueRef, errors: &mut Errors) {
    let text = |name| toleration.get(name).str_or_empty();
    if !text("key").is_empty() {
        errors.invalid_each(at.child("key"), text("key"), formats::qualified_name(text("key")));
    }
    match text("operator") {
        "Exists" => {
            if !text("value").is_empty() {
                let detail = "must be empty for operator `Exists`";
                errors.invalid(at.child("value"), text("value"), detail);
            }
        }
        "Equal" => errors.invalid_each(at.child("value"), text("value"), formats::label_value(text("value"))),
        other => errors.needs_one_of(at.child("operator"), other, &["Equal", "Exists"]),
    }
    if text("key").is_empty() && text("operator") != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.invalid(at.child("operator"), text("operator"), detail);
    }
    if !text("effect").is_empty() {
        errors.one_of(at.child("effect"), text("effect"), &["NoExecute", "NoSchedule", "None"]);
    }
}

/// Conditions on devices; what the expressions say is checked by those who compile them.
pub(super) fn selectors(at: &Field, selectors: ValueRef, errors: &mut Errors) {
    if selectors.len() > MOST {
        errors.too_many(at, selectors.len(), MOST);
    }
    for (index, one) in selectors.iter().enumerate() {
        let (at, cel) = (at.index(index), one.get("cel"));
        let place = at.child("cel");
        if cel.is_none() {
            errors.required(place, "");
            continue;
        }
        let expression = cel.get("expression").str_or_empty();
        if expression.len() > EXPRESSION_LIMIT {
            errors.too_long(place.child("expression"), EXPRESSION_LIMIT);
        }
    }
}

/// Parameters for a driver.
pub(super) fn configuration(at: &Field, config: ValueRef, errors: &mut Errors) {
    let (opaque, at) = (config.get("opaque"), at.child("opaque"));
    if opaque.is_none() {
        return errors.required(at, "");
    }
    driver(&at.child("driver"), opaque.get("driver").str_or_empty(), errors);
    let parameters = opaque.get("parameters");
    let place = at.child("parameters");
    if parameters.is_none() {
        errors.required(place, "");
    } else if !matches!(parameters.kind(), portcullis_sdk::tape::Kind::Object) {
        errors.invalid(place, "<value omitted>", "must be a valid JSON object");
    } else if portcullis_sdk::to_json(parameters).to_string().len() > PARAMETERS_LIMIT {
        errors.too_long(place, PARAMETERS_LIMIT);
    }
}

/// The name of a driver.
pub(super) fn driver(at: &Field, name: &str, errors: &mut Errors) {
    if errors.needs(at, name) {
        if name.len() > 63 {
            errors.too_long(at, 63);
        }
        errors.invalid_each(at, name, formats::dns_subdomain(&name.to_lowercase()));
    }
}

/// The full name of an attribute or a capacity: a domain, a slash and an identifier.
pub(super) fn attribute(at: &Field, name: &str, errors: &mut Errors) {
    let Some((domain, id)) = name.split_once('/') else {
        return errors.invalid(at, name, "must include a domain");
    };
    if domain.is_empty() {
        errors.invalid(at, "", "the domain must not be empty");
    } else {
        if domain.len() > 63 {
            errors.too_long(at, 63);
        }
        errors.invalid_each(at, domain, formats::dns_subdomain(domain));
    }
    if id.is_empty() {
        errors.invalid(at, "", "the name must not be empty");
    } else {
        identifier(at, id, errors);
    }
}

/// An identifier of the C language, of 32 letters at most.
pub(super) fn identifier(at: &Field, id: &str, errors: &mut Errors) {
    if id.len() > 32 {
        errors.too_long(at, 32);
    }
    errors.invalid_each(at, id, formats::c_identifier(id));
}

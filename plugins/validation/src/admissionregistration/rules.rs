//! Rules: which operations on which resources.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, formats};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/// A rule that may name objects too.
pub(super) fn named(at: &Field, rule: ValueRef, errors: &mut Errors) {
    let list = at.child("resourceNames");
    let mut seen = BTreeSet::new();
    for (index, name) in rule.get("resourceNames").iter().enumerate() {
        let name = name.str_or_empty();
        errors.invalid_each(list.index(index), name, formats::path_segment(name));
        errors.unique(&mut seen, list.index(index), name);
    }
    check(at, rule, errors);
}

/// A rule of operations and resources.
pub(super) fn check(at: &Field, rule: ValueRef, errors: &mut Errors) {
    let (operations, list) = (rule.get("operations"), at.child("operations"));
    star_alone(list, operations, "operations", errors);
    for (index, operation) in operations.iter().enumerate() {
        errors.one_of(list.index(index), operation.str_or_empty(), &OPERATIONS);
    }
    star_alone(at.child("apiGroups"), rule.get("apiGroups"), "API groups", errors);
    let (versions, list) = (rule.get("apiVersions"), at.child("apiVersions"));
    star_alone(list, versions, "API versions", errors);
    for (index, version) in versions.iter().enumerate() {
        errors.needs(list.index(index), version.str_or_empty());
    }
    resources(at.child("resources"), rule.get("resources"), errors);
    errors.may_be_one_of(at.child("scope"), rule.get("scope"), &["*", "Cluster", "Namespaced"]);
}

fn star_alone(at: Field, list: ValueRef, what: &str, errors: &mut Errors) {
    if list.is_empty() {
        errors.required(at, "");
    } else if list.len() > 1 && list.iter().any(|one| one.is_str("*")) {
        errors.invalid(at, &list, format!("if '*' is present, must not specify other {what}"));
    }
}

fn resources(at: Field, list: ValueRef, errors: &mut Errors) {
    if list.is_empty() {
        errors.required(at, "");
    }
    let (mut whole, mut everywhere) = (BTreeSet::new(), BTreeSet::new());
    for (index, one) in list.iter().enumerate() {
        let text = one.str_or_empty();
        let Some((resource, sub)) = text.split_once('/') else {
            errors.needs(at.index(index), text);
            continue;
        };
        if whole.contains(resource) {
            let detail = format!("if '{resource}/*' is present, must not specify {text}");
            errors.invalid(at.index(index), text, detail);
        }
        if everywhere.contains(sub) {
            let detail = format!("if '*/{sub}' is present, must not specify {text}");
            errors.invalid(at.index(index), text, detail);
        }
        if sub == "*" {
            whole.insert(resource);
        }
        if resource == "*" {
            everywhere.insert(sub);
        }
    }
    let has = |name: &str| list.iter().any(|one| one.is_str(name));
    if list.len() > 1 && has("*/*") {
        errors.invalid(at, &list, "if '*/*' is present, must not specify other resources");
    }
    let plain = |one: ValueRef| !one.str_or_empty().contains('/') && !one.is_str("*");
    if has("*") && list.iter().any(plain) {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(at, &list, detail);
    }
}

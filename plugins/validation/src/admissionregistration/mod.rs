//! The group of admission: webhooks, and policies with their bindings. What their expressions say is checked by those
//! who compile them.

mod policy;
mod rules;
mod webhook;

pub(crate) use webhook::client;

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, formats, selector};

const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];
const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if !review.is_main() {
        return;
    }
    match review.kind {
        "ValidatingWebhookConfiguration" => webhook::check(review, false, errors),
        "MutatingWebhookConfiguration" => webhook::check(review, true, errors),
        "ValidatingAdmissionPolicy" => policy::validating(review, errors),
        "MutatingAdmissionPolicy" => policy::mutating(review, errors),
        "ValidatingAdmissionPolicyBinding" => policy::binding(review, true, errors),
        "MutatingAdmissionPolicyBinding" => policy::binding(review, false, errors),
        _ => {}
    }
}

/// Conditions under which something applies at all.
fn match_conditions(at: &Field, conditions: ValueRef, errors: &mut Errors) {
    if conditions.len() > 64 {
        errors.too_many(at, conditions.len(), 64);
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let at = at.index(index);
        let (name, expression) = (condition.get("name").str_or_empty(), condition.get("expression").str_or_empty());
        if expression.trim().is_empty() {
            errors.required(at.child("expression"), "");
        }
        if errors.needs(at.child("name"), name) {
            errors.unique(&mut seen, at.child("name"), name);
            errors.invalid_each(at.child("name"), name, formats::qualified_name(name));
        }
    }
}

/// Which requests are meant.
fn match_resources(at: &Field, resources: ValueRef, errors: &mut Errors) {
    for member in ["namespaceSelector", "objectSelector"] {
        selector::check(at.child(member), resources.get(member), errors);
    }
    for member in ["resourceRules", "excludeResourceRules"] {
        let list = at.child(member);
        for (index, rule) in resources.get(member).iter().enumerate() {
            rules::named(&list.index(index), rule, errors);
        }
    }
    let policy = resources.get("matchPolicy").str_or_empty();
    errors.needs_one_of(at.child("matchPolicy"), policy, &MATCH_POLICIES);
}

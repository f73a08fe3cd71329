//! Which nodes, and which pods' company, a pod wants.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, formats, selector};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The affinity at `at`.
pub(super) fn check(at: &Field, affinity: ValueRef, errors: &mut Errors) {
    let (nodes, place) = (affinity.get("nodeAffinity"), at.child("nodeAffinity"));
    if !nodes.get(REQUIRED).is_none() {
        node_selector(&place.child(REQUIRED), nodes.get(REQUIRED), errors);
    }
    let list = place.child(PREFERRED);
    for (index, term) in nodes.get(PREFERRED).iter().enumerate() {
        let at = list.index(index);
        weight(&at, term, errors);
        node_selector_term(&at.child("preference"), term.get("preference"), false, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (pods, place) = (affinity.get(kind), at.child(kind));
        let list = place.child(REQUIRED);
        for (index, term) in pods.get(REQUIRED).iter().enumerate() {
            pod_term(&list.index(index), term, errors);
        }
        let list = place.child(PREFERRED);
        for (index, term) in pods.get(PREFERRED).iter().enumerate() {
            let at = list.index(index);
            weight(&at, term, errors);
            pod_term(&at.child("podAffinityTerm"), term.get("podAffinityTerm"), errors);
        }
    }
}

fn weight(at: &Field, term: ValueRef, errors: &mut Errors) {
    let weight = term.get("weight").as_i64().unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid(at.child("weight"), &weight, "must be in the range 1-100");
    }
}

/// A NodeSelector.
pub(crate) fn node_selector(at: &Field, selector: ValueRef, errors: &mut Errors) {
    let (terms, list) = (selector.get("nodeSelectorTerms"), at.child("nodeSelectorTerms"));
    if terms.is_empty() {
        errors.required(list, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        node_selector_term(&list.index(index), term, true, errors);
    }
}

/// One of its terms; `strict` where the values must be values of labels.
fn node_selector_term(at: &Field, term: ValueRef, strict: bool, errors: &mut Errors) {
    let list = at.child("matchExpressions");
    for (index, expression) in term.get("matchExpressions").iter().enumerate() {
        by_label(&list.index(index), expression, strict, errors);
    }
    let list = at.child("matchFields");
    for (index, expression) in term.get("matchFields").iter().enumerate() {
        by_field(&list.index(index), expression, errors);
    }
}

fn by_label(at: &Field, expression: ValueRef, strict: bool, errors: &mut Errors) {
    let (values, list) = (expression.get("values"), at.child("values"));
    match expression.get("operator").str_or_empty() {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(list, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.forbidden(list, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.required(list, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid(at.child("operator"), other, "not a valid selector operator"),
    }
    let key = expression.get("key").str_or_empty();
    errors.invalid_each(at.child("key"), key, formats::qualified_name(key));
    for (index, value) in values.iter().enumerate().filter(|_| strict) {
        let value = value.str_or_empty();
        errors.invalid_each(list.index(index), value, formats::label_value(value));
    }
}

fn by_field(at: &Field, expression: ValueRef, errors: &mut Errors) {
    let (values, list) = (expression.get("values"), at.child("values"));
    match expression.get("operator").str_or_empty() {
        "In" | "NotIn" => {
            if values.len() != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.required(list, detail);
            }
        }
        other => errors.invalid(at.child("operator"), other, "not a valid selector operator"),
    }
    let key = expression.get("key").str_or_empty();
    if key != "metadata.name" {
        return errors.invalid(at.child("key"), key, "not a valid field selector key");
    }
    for (index, value) in values.iter().enumerate() {
        let value = value.str_or_empty();
        errors.invalid_each(list.index(index), value, formats::dns_subdomain(value));
    }
}

fn pod_term(at: &Field, term: ValueRef, errors: &mut Errors) {
    selector::check(at.child("labelSelector"), term.get("labelSelector"), errors);
    selector::check(at.child("namespaceSelector"), term.get("namespaceSelector"), errors);
    for namespace in term.get("namespaces") {
        let name = namespace.str_or_empty();
        errors.invalid_each(at.child("namespace"), name, formats::dns_label(name));
    }
    label_keys(at, term, errors);
    let key = term.get("topologyKey").str_or_empty();
    if key.is_empty() {
        errors.required(at.child("topologyKey"), "can not be empty");
    }
    errors.invalid_each(at.child("topologyKey"), key, formats::qualified_name(key));
}

/// Keys whose values are taken from the pod itself.
fn label_keys(at: &Field, term: ValueRef, errors: &mut Errors) {
    let selector = term.get("labelSelector");
    for member in ["matchLabelKeys", "mismatchLabelKeys"] {
        let (keys, list) = (term.get(member), at.child(member));
        if !keys.is_empty() && selector.is_none() {
            errors.forbidden(list, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            let key = key.str_or_empty();
            errors.invalid_each(list.index(index), key, formats::qualified_name(key));
        }
    }
    let keys = term.get("matchLabelKeys");
    let mut seen: Vec<&str> = selector.get("matchLabels").entries().map(|(key, _)| key).collect();
    for expression in selector.get("matchExpressions") {
        let key = expression.get("key").str_or_empty();
        let index = keys.iter().position(|one| one.is_str(key));
        if let Some(index) = index.filter(|_| seen.contains(&key)) {
            errors.invalid(at.index(index), key, "exists in both matchLabelKeys and labelSelector");
        }
        seen.push(key);
    }
    let list = at.child("matchLabelKeys");
    for (index, key) in keys.iter().enumerate() {
        let key = key.str_or_empty();
        if term.get("mismatchLabelKeys").iter().any(|one| one.is_str(key)) {
            errors.invalid(list.index(index), key, "exists in both matchLabelKeys and mismatchLabelKeys");
        }
    }
}

//! ResourceQuotas.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::pod::resources;
use crate::errors::IMMUTABLE;
use crate::{Errors, Field, Review, SPEC, STATUS};

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
/// Resources that can be limited and need no domain.
const LIMITABLE: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
];
/// Those of them that belong to pods.
const OF_PODS: [&str; 9] = [
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
    "pods",
    "requests.ephemeral-storage",
    "limits.ephemeral-storage",
];

fn is_huge(name: &str) -> bool {
    name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

fn is_limitable(name: &str) -> bool {
    LIMITABLE.contains(&name) && name != "storage" || is_huge(name)
}

/// A ResourceQuota.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let (spec, status) = (review.spec(), review.object.get("status"));
    if review.is_main() {
        amounts(&SPEC.child("hard"), spec.get("hard"), errors);
        scopes(spec, errors);
        selector(spec, errors);
    }
    if !review.update || !review.is_main() {
        amounts(&STATUS.child("hard"), status.get("hard"), errors);
        amounts(&STATUS.child("used"), status.get("used"), errors);
    }
    if review.update && review.is_main() {
        let set = |spec: ValueRef<'_>| -> BTreeSet<String> {
            spec.get("scopes").iter().map(|scope| scope.str_or_empty().to_owned()).collect()
        };
        if set(spec) != set(review.old_spec()) {
            errors.invalid(SPEC.child("scopes"), &spec.get("scopes"), IMMUTABLE);
        }
    }
}

fn amounts(at: &Field, list: ValueRef, errors: &mut Errors) {
    for (name, value) in list.entries() {
        let at = at.key(name);
        resources::name(&at, name, errors);
        if !name.contains('/') && !is_limitable(name) {
            errors.invalid(at, name, "must be a standard resource for quota");
        }
        resources::amount(&at, name, value, errors);
    }
}

/// Whether a scope can narrow down what is counted of a resource.
fn applies(scope: &str, resource: &str) -> bool {
    let of_pods = OF_PODS.contains(&resource) || is_huge(resource);
    match scope {
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => of_pods,
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

/// Pairs of scopes that nothing is in both of.
fn conflicts<'a>(scopes: impl Iterator<Item = &'a str> + Clone) -> usize {
    let has = |name: &str| scopes.clone().any(|scope| scope == name);
    let pairs = [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")];
    pairs.iter().filter(|(one, other)| has(one) && has(other)).count()
}

fn scopes(spec: ValueRef, errors: &mut Errors) {
    let (scopes, at) = (spec.get("scopes"), SPEC.child("scopes"));
    for scope in scopes.iter().map(|scope| scope.str_or_empty()) {
        if !SCOPES.contains(&scope) {
            errors.invalid(at, &scopes, "unsupported scope");
        }
        for _ in spec.get("hard").entries().filter(|(name, _)| is_limitable(name) && !applies(scope, name)) {
            errors.invalid(at, &scopes, "unsupported scope applied to resource");
        }
    }
    for _ in 0..conflicts(scopes.iter().map(|scope| scope.str_or_empty())) {
        errors.invalid(at, &scopes, "conflicting scopes");
    }
}

fn selector(spec: ValueRef, errors: &mut Errors) {
    let (selector, at) = (spec.get("scopeSelector"), SPEC.child("scopeSelector"));
    let (list, at) = (selector.get("matchExpressions"), at.child("matchExpressions"));
    for expression in list {
        let (scope, operator) = (expression.get("scopeName").str_or_empty(), expression.get("operator").str_or_empty());
        if !SCOPES.contains(&scope) {
            errors.invalid(at.child("scopeName"), scope, "unsupported scope");
        }
        for _ in spec.get("hard").entries().filter(|(name, _)| is_limitable(name) && !applies(scope, name)) {
            errors.invalid(at, &selector, "unsupported scope applied to resource");
        }
        let plain = matches!(
            scope,
            "BestEffort" | "NotBestEffort" | "Terminating" | "NotTerminating" | "CrossNamespacePodAffinity"
        );
        if plain && operator != "Exists" {
            let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                          ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                          ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.invalid(at.child("operator"), operator, detail);
        }
        let values = expression.get("values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.required(at.child("values"), detail);
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.invalid(at.child("values"), &values, detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(at.child("operator"), other, "not a valid selector operator"),
        }
    }
    for _ in 0..conflicts(list.iter().map(|one| one.get("scopeName").str_or_empty())) {
        errors.invalid(at, &spec.get("scopes"), "conflicting scopes");
    }
}

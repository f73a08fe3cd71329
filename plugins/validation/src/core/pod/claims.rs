//! Claims of devices that a pod's containers may use.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::Context;
use crate::shown::Typed;
use crate::{Errors, Field, formats};

/// The claims of a pod.
pub(super) fn check(at: &Field, context: &Context, errors: &mut Errors) {
    let list = at.child("resourceClaims");
    let mut names = BTreeSet::new();
    for (index, claim) in context.spec.get("resourceClaims").iter().enumerate() {
        let at = list.index(index);
        let name = claim.get("name").str_or_empty();
        let (existing, template) = (claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName"));
        if errors.needs(at.child("name"), name) {
            if names.insert(name) {
                errors.invalid_each(at.child("name"), name, formats::dns_label(name));
            } else {
                errors.duplicate(at.child("name"), name);
            }
        }
        let shown = Typed("PodResourceClaim", claim);
        if !existing.is_none() && !template.is_none() {
            let detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
            errors.invalid(at, &shown, detail);
        }
        if existing.is_none() && template.is_none() {
            let detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
            errors.invalid(at, &shown, detail);
        }
        for (member, value) in [("resourceClaimName", existing), ("resourceClaimTemplateName", template)] {
            if let Some(name) = value.as_str() {
                errors.invalid_each(at.child(member), name, formats::dns_subdomain(name));
            }
        }
    }
}

/// The claims that a container names must be among the pod's.
pub(super) fn of_container(at: &Field, claims: ValueRef, pod: ValueRef, errors: &mut Errors) {
    let mut known: Vec<&str> = pod.get("resourceClaims").iter().map(|claim| claim.get("name").str_or_empty()).collect();
    known.sort_unstable();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let (at, name, request) =
            (at.index(index), claim.get("name").str_or_empty(), claim.get("request").str_or_empty());
        if !errors.needs(at, name) {
            continue;
        }
        if seen.contains(name) {
            errors.duplicate(at, name);
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                errors.invalid_each(at.child("request"), request, formats::dns_label(request));
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                errors.duplicate(at, &key);
            } else if request.is_empty() {
                let parts = format!("{name}/");
                for _ in seen.iter().filter(|one| one.starts_with(&parts)) {
                    errors.duplicate(at, name);
                }
            }
            seen.insert(key);
        }
        if !known.contains(&name) {
            let list = if known.is_empty() { " which is empty".to_owned() } else { format!(": {}", known.join(", ")) };
            errors.not_found_because(at, name, format!("must be one of the names in pod.spec.resourceClaims{list}"));
        }
    }
}

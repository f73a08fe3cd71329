//! RBAC.

use portcullis_sdk::ValueRef;

use crate::shown::{Nothing, Typed};
use crate::{Errors, Field, Review, formats, selector, values};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks a role or a binding.
pub fn check(review: &Review, errors: &mut Errors) {
    match review.kind {
        "Role" | "ClusterRole" => role(review, errors),
        "RoleBinding" | "ClusterRoleBinding" => binding(review, errors),
        _ => {}
    }
}

fn role(review: &Review, errors: &mut Errors) {
    let namespaced = review.kind == "Role";
    let list = Field::new("rules");
    for (index, rule) in review.object.get("rules").iter().enumerate() {
        let at = list.index(index);
        if rule.get("verbs").is_empty() {
            errors.required(at.child("verbs"), "verbs must contain at least one value");
        }
        let paths = rule.get("nonResourceURLs");
        if !paths.is_empty() {
            let field = at.child("nonResourceURLs");
            if namespaced {
                errors.invalid(field, &paths, "namespaced rules cannot apply to non-resource URLs");
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|name| !rule.get(name).is_empty()) {
                errors.invalid(field, &paths, "rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        if rule.get("apiGroups").is_empty() {
            errors.required(at.child("apiGroups"), "resource rules must supply at least one api group");
        }
        if rule.get("resources").is_empty() {
            errors.required(at.child("resources"), "resource rules must supply at least one resource");
        }
    }
    let aggregation = review.object.get("aggregationRule");
    if !namespaced && !aggregation.is_none() {
        let selectors = aggregation.get("clusterRoleSelectors");
        if selectors.is_empty() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.required("aggregationRule.clusterRoleSelectors", detail);
        }
        let list = Field::new("aggregationRule.clusterRoleSelectors");
        for (index, one) in selectors.iter().enumerate() {
            let at = list.index(index);
            selector::check(at, one, errors);
            if !selector::is_valid(one) {
                errors.invalid(at, &Nothing, "invalid label selector.");
            }
        }
    }
}

fn binding(review: &Review, errors: &mut Errors) {
    let namespaced = review.kind == "RoleBinding";
    let role = review.object.get("roleRef");
    if review.update && !values::same(role, review.old.get("roleRef")) {
        errors.invalid("roleRef", &Typed("RoleRef", role), "cannot change roleRef");
    }
    let group = role.get("apiGroup").str_or_empty();
    if group != GROUP {
        errors.not_supported("roleRef.apiGroup", group, &[GROUP]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let kind = role.get("kind").str_or_empty();
    if !kinds.contains(&kind) {
        errors.not_supported("roleRef.kind", kind, kinds);
    }
    match role.get("name").str_or_empty() {
        "" => errors.required("roleRef.name", ""),
        name => errors.invalid_each("roleRef.name", name, formats::path_segment(name)),
    }
    let list = Field::new("subjects");
    for (index, subject) in review.object.get("subjects").iter().enumerate() {
        check_subject(&list.index(index), subject, namespaced, errors);
    }
}

fn check_subject(at: &Field, subject: ValueRef, namespaced: bool, errors: &mut Errors) {
    let text = |field| subject.get(field).str_or_empty();
    if text("name").is_empty() {
        errors.required(at.child("name"), "");
    }
    let group = text("apiGroup");
    match text("kind") {
        "ServiceAccount" => {
            if !text("name").is_empty() {
                errors.invalid_each(at.child("name"), text("name"), formats::dns_subdomain(text("name")));
            }
            if !group.is_empty() {
                errors.not_supported(at.child("apiGroup"), group, &[""]);
            }
            if !namespaced && text("namespace").is_empty() {
                errors.required(at.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.not_supported(at.child("apiGroup"), group, &[GROUP]);
            }
        }
        kind => errors.not_supported(at.child("kind"), kind, &["ServiceAccount", "User", "Group"]),
    }
}

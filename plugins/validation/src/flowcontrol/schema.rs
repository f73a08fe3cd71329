//! FlowSchemas.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, SPEC, formats};

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// A FlowSchema.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let (precedence, at) = (spec.get("matchingPrecedence").as_i64().unwrap_or(0), SPEC.child("matchingPrecedence"));
    if precedence <= 0 {
        errors.invalid(at, &precedence, "must be a positive value");
    }
    if precedence > 10_000 {
        errors.invalid(at, &precedence, "must not be greater than 10000");
    }
    if precedence == 1 && review.name() != "exempt" {
        errors.invalid(at, &precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
    }
    let method = spec.get("distinguisherMethod");
    if let Some(kind) = method.get("type").as_str()
        && !matches!(kind, "ByNamespace" | "ByUser")
    {
        errors.not_supported(SPEC.child("distinguisherMethod"), &method, &["ByNamespace", "ByUser"]);
    }
    let (level, at) = (spec.get("priorityLevelConfiguration"), SPEC.child("priorityLevelConfiguration"));
    match level.get("name").str_or_empty() {
        "" => errors.required(at.child("name"), "must reference a priority level"),
        name => errors.invalid_each(at.child("name"), name, formats::dns_subdomain(name)),
    }
    let list = SPEC.child("rules");
    for (index, rule) in spec.get("rules").iter().enumerate() {
        check_rule(&list.index(index), rule, errors);
    }
}

fn check_rule(at: &Field, rule: ValueRef, errors: &mut Errors) {
    let (subjects, list) = (rule.get("subjects"), at.child("subjects"));
    if subjects.is_empty() {
        errors.required(list, "subjects must contain at least one value");
    }
    for (index, one) in subjects.iter().enumerate() {
        subject(&list.index(index), one, errors);
    }
    let (resources, paths) = (rule.get("resourceRules"), rule.get("nonResourceRules"));
    if resources.is_empty() && paths.is_empty() {
        errors.required(at, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    let list = at.child("resourceRules");
    for (index, one) in resources.iter().enumerate() {
        resource_rule(&list.index(index), one, errors);
    }
    let list = at.child("nonResourceRules");
    for (index, one) in paths.iter().enumerate() {
        path_rule(&list.index(index), one, errors);
    }
}

fn subject(at: &Field, subject: ValueRef, errors: &mut Errors) {
    let kind = subject.get("kind").str_or_empty();
    let members = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    if !members.iter().any(|(name, _)| *name == kind) {
        return errors.not_supported(at.child("kind"), kind, &["Group", "ServiceAccount", "User"]);
    }
    for (name, member) in members {
        let (given, place) = (subject.get(member), at.child(member));
        if name != kind {
            if !given.is_none() {
                errors.forbidden(place, format!("{member} is forbidden when subject kind is not '{name}'"));
            }
            continue;
        }
        if given.is_none() {
            errors.required(place, format!("{member} is required when subject kind is '{name}'"));
            continue;
        }
        let named = given.get("name").str_or_empty();
        if errors.needs(place.child("name"), named) && name == "ServiceAccount" && named != "*" {
            errors.invalid_each(place.child("name"), named, formats::dns_subdomain(named));
        }
        if name == "ServiceAccount" {
            match given.get("namespace").str_or_empty() {
                "" => errors.required(place.child("namespace"), "must specify namespace for service account"),
                of => errors.invalid_each(place.child("namespace"), of, formats::dns_label(of)),
            }
        }
    }
}

fn has_star(list: ValueRef) -> bool {
    list.iter().any(|one| one.is_str("*"))
}

/// A list that is not empty, and names nothing beside `*`.
fn star_alone(at: Field, list: ValueRef, what: &str, required: &str, errors: &mut Errors) {
    if list.is_empty() {
        errors.required(at, required);
    } else if list.len() > 1 && has_star(list) {
        errors.invalid(at, &list, format!("if '*' is present, must not specify other {what}"));
    }
}

fn verbs(at: &Field, verbs: ValueRef, errors: &mut Errors) {
    star_alone(at.child("verbs"), verbs, "verbs", "verbs must contain at least one value", errors);
    let known = |verb: ValueRef| VERBS.contains(&verb.str_or_empty());
    if !verbs.is_empty() && !has_star(verbs) && !verbs.iter().all(known) {
        errors.not_supported(at.child("verbs"), &verbs, &VERBS);
    }
}

fn resource_rule(at: &Field, rule: ValueRef, errors: &mut Errors) {
    verbs(at, rule.get("verbs"), errors);
    let detail = "resource rules must supply at least one api group";
    star_alone(at.child("apiGroups"), rule.get("apiGroups"), "api groups", detail, errors);
    let detail = "resource rules must supply at least one resource";
    star_alone(at.child("resources"), rule.get("resources"), "resources", detail, errors);
    let (namespaces, list) = (rule.get("namespaces"), at.child("namespaces"));
    if namespaces.is_empty() && rule.get("clusterScope").as_bool() != Some(true) {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.required(list, detail);
    } else if has_star(namespaces) {
        star_alone(list, namespaces, "namespaces", "", errors);
    } else {
        for (index, namespace) in namespaces.iter().enumerate() {
            let name = namespace.str_or_empty();
            errors.invalid_each(list.index(index), name, formats::dns_label(name));
        }
    }
}

fn path_rule(at: &Field, rule: ValueRef, errors: &mut Errors) {
    verbs(at, rule.get("verbs"), errors);
    let (paths, list) = (rule.get("nonResourceURLs"), at.child("nonResourceURLs"));
    let detail = "nonResourceURLs must contain at least one value";
    star_alone(list, paths, "non-resource URLs", detail, errors);
    if has_star(paths) {
        return;
    }
    for (index, path) in paths.iter().enumerate() {
        let path = path.str_or_empty();
        if let Some(wrong) = url_path(path) {
            errors.invalid(list.index(index), path, wrong);
        }
    }
}

fn url_path(path: &str) -> Option<&'static str> {
    let wild = path.find('*');
    match path {
        "" => Some("must not be empty"),
        "/" => None,
        path if !path.starts_with('/') => Some("must start with slash"),
        path if path.contains(' ') => Some("must not contain white-space"),
        path if path.contains("//") => Some("must not contain double slash"),
        path if wild.is_some_and(|at| at + 1 != path.len()) => Some("wildcard can only do suffix matching"),
        path if wild.is_some() && !path.ends_with("/*") => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}

//! Webhook configurations.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::{FAILURE_POLICIES, MATCH_POLICIES, match_conditions, rules};
use crate::{Errors, Field, Review, formats, selector};

const FORM: &str = "; desired format: https://host[/path]";
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// A configuration's webhooks.
pub(super) fn check(review: &Review, mutating: bool, errors: &mut Errors) {
    let list = Field::new("webhooks");
    let mut names = BTreeSet::new();
    for (index, hook) in review.object.get("webhooks").iter().enumerate() {
        let at = list.index(index);
        let name = hook.get("name").str_or_empty();
        if errors.needs(at.child("name"), name) {
            errors.invalid_each(at.child("name"), name, formats::full_domain(name));
        }
        let place = at.child("rules");
        for (index, rule) in hook.get("rules").iter().enumerate() {
            rules::check(&place.index(index), rule, errors);
        }
        errors.may_be_one_of(at.child("failurePolicy"), hook.get("failurePolicy"), &FAILURE_POLICIES);
        errors.may_be_one_of(at.child("matchPolicy"), hook.get("matchPolicy"), &MATCH_POLICIES);
        match hook.get("sideEffects").as_str() {
            None => errors.required(at.child("sideEffects"), "must specify one of None, NoneOnDryRun"),
            Some(effects) => errors.one_of(at.child("sideEffects"), effects, &["None", "NoneOnDryRun"]),
        }
        if let Some(seconds) = hook.get("timeoutSeconds").as_i64().filter(|seconds| !(1..=30).contains(seconds)) {
            let detail = "the timeout value must be between 1 and 30 seconds";
            errors.invalid(at.child("timeoutSeconds"), &seconds, detail);
        }
        for member in ["namespaceSelector", "objectSelector"] {
            selector::check(at.child(member), hook.get(member), errors);
        }
        if mutating {
            let policies = ["IfNeeded", "Never"];
            errors.may_be_one_of(at.child("reinvocationPolicy"), hook.get("reinvocationPolicy"), &policies);
        }
        client(&at.child("clientConfig"), hook.get("clientConfig"), errors);
        match_conditions(&at.child("matchConditions"), hook.get("matchConditions"), errors);
        review_versions(&at.child("admissionReviewVersions"), hook.get("admissionReviewVersions"), errors);
        if !name.is_empty() {
            errors.unique(&mut names, at.child("name"), name);
        }
    }
}

fn review_versions(at: &Field, versions: ValueRef, errors: &mut Errors) {
    if versions.is_empty() {
        return errors.required(at, "must specify one of v1, v1beta1");
    }
    let mut seen = BTreeSet::new();
    for (index, version) in versions.iter().enumerate() {
        let version = version.str_or_empty();
        if seen.insert(version) {
            errors.invalid_each(at.index(index), version, formats::dns_1035_label(version));
        } else {
            errors.invalid(at.index(index), version, "duplicate version");
        }
    }
    if !seen.iter().any(|version| VERSIONS.contains(version)) {
        errors.invalid(at, &versions, "must include at least one of v1, v1beta1");
    }
}

/// How a webhook is reached: by URL, or through a service.
pub(crate) fn client(at: &Field, client: ValueRef, errors: &mut Errors) {
    let (address, service) = (client.get("url").as_str(), client.get("service"));
    match (address, service.is_none()) {
        (Some(address), true) => url(&at.child("url"), address, errors),
        (None, false) => through_service(&at.child("service"), service, errors),
        _ => errors.required(at, "exactly one of url or service is required"),
    }
}

fn url(at: &Field, text: &str, errors: &mut Errors) {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once(':').unwrap_or(("", rest));
    let authority = rest.strip_prefix("//").map_or("", |rest| rest.split('/').next().unwrap_or(""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if scheme != "https" {
        errors.invalid(at, scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        errors.invalid(at, host, format!("host must be specified{FORM}"));
    }
    if authority.contains('@') {
        errors.invalid(at, user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        errors.invalid(at, fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        errors.invalid(at, query, "query parameters are not permitted in the URL");
    }
}

fn through_service(at: &Field, service: ValueRef, errors: &mut Errors) {
    for (member, what) in [("name", "service name is required"), ("namespace", "service namespace is required")] {
        if service.get(member).str_or_empty().is_empty() {
            errors.required(at.child(member), what);
        }
    }
    if let Some(port) = service.get("port").as_i64()
        && let Some(wrong) = formats::port_number(port)
    {
        errors.invalid(at.child("port"), &port, format!("port is not valid: {wrong}"));
    }
    let (path, at) = (service.get("path").str_or_empty(), at.child("path"));
    match path {
        "" | "/" => return,
        "//" => return errors.invalid(at, path, "segment[0] may not be empty"),
        _ => {}
    }
    if !path.starts_with('/') {
        errors.invalid(at, path, "must start with a '/'");
    }
    let rest = path.char_indices().nth(1).map_or("", |(start, _)| &path[start..]);
    for (index, part) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if part.is_empty() {
            errors.invalid(at, path, format!("segment[{index}] may not be empty"));
            continue;
        }
        for wrong in formats::dns_subdomain(part) {
            errors.invalid(at, path, format!("segment[{index}]: {wrong}"));
        }
    }
}

//! The group of APIServices.

use crate::{Errors, Review, SPEC, formats};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "APIService" || !review.is_main() {
        return;
    }
    let spec = review.spec();
    let text = |name| spec.get(name).str_or_empty();
    let (group, version) = (text("group"), text("version"));
    let name = format!("{version}.{group}");
    let good = formats::path_segment(review.name()).is_empty() && !review.name().is_empty();
    if !review.update && good && review.name() != name {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {name:?}");
        errors.invalid("metadata.name", review.name(), detail);
    }
    if group.is_empty() && version != "v1" {
        let detail = "only v1 may have an empty group and it better be legacy kube";
        errors.required(SPEC.child("group"), detail);
    }
    if !group.is_empty() {
        errors.invalid_each(SPEC.child("group"), group, formats::dns_subdomain(group));
    }
    errors.invalid_each(SPEC.child("version"), version, formats::dns_1035_label(version));
    for (member, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let number = spec.get(member).as_i64().unwrap_or(0);
        if !(1..=most).contains(&number) {
            errors.invalid(SPEC.child(member), &number, format!("must be positive and less than {most}"));
        }
    }
    let (service, bundle) = (spec.get("service"), text("caBundle"));
    let insecure = spec.get("insecureSkipTLSVerify").as_bool() == Some(true);
    let place = SPEC.child("insecureSkipTLSVerify");
    if service.is_none() {
        if !bundle.is_empty() {
            let size = bundle.trim_end_matches('=').len() * 3 / 4;
            let detail = "local APIServices may not have a caBundle";
            errors.invalid(SPEC.child("caBundle"), format!("{size} bytes").as_str(), detail);
        }
        if insecure {
            errors.invalid(place, &true, "local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    }
    let at = SPEC.child("service");
    for member in ["namespace", "name"] {
        errors.needs(at.child(member), service.get(member).str_or_empty());
    }
    if let Some(port) = service.get("port").as_i64()
        && let Some(wrong) = formats::port_number(port)
    {
        errors.invalid(at.child("port"), &port, format!("port is not valid: {wrong}"));
    }
    if insecure && !bundle.is_empty() {
        errors.invalid(place, &true, "may not be true if caBundle is present");
    }
}

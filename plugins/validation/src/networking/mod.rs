//! The networking group: Ingresses and their classes, NetworkPolicies, and addresses of services.

mod ingress;
mod policy;

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::values::same;
use crate::{Errors, Field, Review, SPEC, formats};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    match (review.kind, review.is_main()) {
        ("Ingress", true) => ingress::check(review, errors),
        ("Ingress", false) => ingress::status(review, errors),
        ("IngressClass", true) => ingress::class(review, errors),
        ("NetworkPolicy", true) => policy::check(review, errors),
        ("IPAddress", true) => address(review, errors),
        ("ServiceCIDR", true) => ranges(review, errors),
        _ => {}
    }
}

/// The name of an IPAddress: the address in its plainest form.
pub fn address_name(name: &str) -> Vec<String> {
    let mut wrong = formats::ip(name);
    if let Some(address) = formats::parse_ip(name).filter(|address| wrong.is_empty() && address.to_string() != name) {
        wrong.push(format!("must be in canonical form ({:?})", address.to_string()));
    }
    wrong
}

fn address(review: &Review, errors: &mut Errors) {
    let (parent, at) = (review.spec().get("parentRef"), SPEC.child("parentRef"));
    if review.update {
        return errors.immutable(at, parent, review.old_spec().get("parentRef"));
    }
    if parent.is_none() {
        return errors.required(at, "");
    }
    let text = |name| parent.get(name).str_or_empty();
    if !text("group").is_empty() {
        errors.invalid_each(at.child("group"), text("group"), formats::dns_subdomain(text("group")));
    }
    for member in ["resource", "name"] {
        if errors.needs(at.child(member), text(member)) {
            errors.invalid_each(at.child(member), text(member), formats::path_segment(text(member)));
        }
    }
    if !text("namespace").is_empty() {
        errors.invalid_each(at.child("namespace"), text("namespace"), formats::path_segment(text("namespace")));
    }
}

/// A ServiceCIDR: one range, or one of each family.
fn ranges(review: &Review, errors: &mut Errors) {
    let (ranges, at) = (review.spec().get("cidrs"), SPEC.child("cidrs"));
    if review.update {
        let before = review.old_spec().get("cidrs");
        // A second family may be added.
        let extended = before.len() == 1 && ranges.len() == 2 && same(before.index(0), ranges.index(0));
        if !extended {
            if !same(ranges, before) {
                errors.invalid(at, &ranges, IMMUTABLE);
            }
            return;
        }
    }
    if ranges.is_empty() {
        return errors.required(at, "at least one CIDR required");
    }
    if ranges.len() > 2 {
        return errors.invalid(at, &ranges, "may only hold up to 2 values");
    }
    let v6 = ranges.iter().filter(|range| range.str_or_empty().contains(':')).count();
    if ranges.len() == 2 && v6 != 1 {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.invalid(at, &ranges, detail);
    }
    for (index, range) in ranges.iter().enumerate() {
        let (at, text) = (at.index(index), range.str_or_empty());
        let wrong = formats::cidr(text);
        let plain = formats::Cidr::parse(text).map(formats::Cidr::canonical);
        if let Some(plain) = plain.filter(|plain| wrong.is_empty() && plain != text) {
            errors.invalid(at, text, format!("must be in canonical form ({plain:?})"));
        }
        errors.invalid_each(at, text, wrong);
    }
}

/// A reference to an object: group, kind and name.
fn reference(at: &Field, reference: ValueRef, errors: &mut Errors) {
    let text = |name| reference.get(name).str_or_empty();
    if let Some(group) = reference.get("apiGroup").as_str() {
        errors.invalid_each(at.child("apiGroup"), group, formats::dns_subdomain(group));
    }
    for member in ["kind", "name"] {
        if errors.needs(at.child(member), text(member)) {
            errors.invalid_each(at.child(member), text(member), formats::path_segment(text(member)));
        }
    }
}

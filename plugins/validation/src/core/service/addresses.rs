//! A service's addresses and their families, which must fit each other.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::{is_headless, kind};
use crate::{Errors, SPEC, formats};

/// Checks `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`.
pub(super) fn check(spec: ValueRef, errors: &mut Errors) {
    if kind(spec) == "ExternalName" {
        return;
    }
    let (first, all, at) = (spec.get("clusterIP").str_or_empty(), spec.get("clusterIPs"), SPEC.child("clusterIPs"));
    if first.is_empty() {
        if !all.is_empty() {
            errors.invalid(at, &all, "must be empty when `clusterIP` is not specified");
        }
    } else if all.is_empty() {
        errors.required(at, "");
    } else if !all.index(0).is_str(first) {
        errors.invalid(at, &all, "first value must match `clusterIP`");
    }
    let (families, place) = (spec.get("ipFamilies"), SPEC.child("ipFamilies"));
    let mut seen = BTreeSet::new();
    for (index, family) in families.iter().enumerate() {
        let family = family.str_or_empty();
        errors.one_of(place.index(index), family, &["IPv4", "IPv6"]);
        errors.unique(&mut seen, place.index(index), family);
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    errors.may_be_one_of(SPEC.child("ipFamilyPolicy"), spec.get("ipFamilyPolicy"), &policies);
    if !plain(all, errors) {
        return;
    }
    let v6 = all.iter().filter(|ip| ip.str_or_empty().contains(':')).count();
    if all.len() > 1 && (all.len() != 2 || v6 != 1) {
        errors.invalid(at, &all, "may specify no more than one IP for each IP family");
    }
    if is_headless(spec) {
        return;
    }
    for (index, (ip, family)) in all.iter().zip(families.iter()).enumerate() {
        let (ip, family) = (ip.str_or_empty(), family.str_or_empty());
        if matches!(family, "IPv4" | "IPv6") && ip.contains(':') != (family == "IPv6") {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.invalid(at.index(index), ip, detail);
        }
    }
}

/// Each address for itself. What else is said of them makes sense only if they are.
fn plain(all: ValueRef, errors: &mut Errors) -> bool {
    let (at, mut good) = (SPEC.child("clusterIPs"), true);
    for (index, ip) in all.iter().enumerate() {
        let ip = ip.str_or_empty();
        if index == 0 && ip == "None" {
            if all.len() > 1 {
                good = false;
                errors.invalid(at, &all, "'None' must be the first and only value");
            }
            continue;
        }
        let wrong = formats::ip(ip);
        good &= wrong.is_empty();
        errors.invalid_each(at.index(index), ip, wrong);
    }
    if all.len() > 2 {
        errors.invalid(at, &all, "may only hold up to 2 values");
    }
    good
}

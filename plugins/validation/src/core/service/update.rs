//! What may change of a service: a second address may come and go, the first stays.

use portcullis_sdk::ValueRef;

use super::{is_headless, kind, needs_health_check};
use crate::{Errors, SPEC};

const FIXED: &str = "may not change once set";

/// Checks `new` against `old`.
pub(super) fn check(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    if kind(new) != "ExternalName" && kind(old) != "ExternalName" {
        if !(is_headless(new) && is_headless(old)) {
            kept(new, old, "clusterIPs", "clusterIP", errors);
        }
        if !is_headless(new) && !is_headless(old) {
            kept(new, old, "ipFamilies", "ipFamily", errors);
        }
    }
    let class = "loadBalancerClass";
    if kind(new) == "LoadBalancer" && kind(old) == "LoadBalancer" && !same(new.get(class), old.get(class)) {
        errors.invalid(SPEC.child(class), &new.get(class), FIXED);
    }
    super::class(new, errors);
    let port = "healthCheckNodePort";
    if needs_health_check(new) && needs_health_check(old) && new.get(port).as_i64() != old.get(port).as_i64() {
        errors.forbidden(SPEC.child(port), crate::errors::IMMUTABLE);
    }
}

fn same(one: ValueRef, other: ValueRef) -> bool {
    one.as_str() == other.as_str()
}

/// The list `member`, one of which is called `single`.
fn kept(new: ValueRef, old: ValueRef, member: &str, single: &str, errors: &mut Errors) {
    let (after, before, at) = (new.get(member), old.get(member), SPEC.child(member));
    if before.len() == after.len() {
        for (index, (one, other)) in before.iter().zip(after.iter()).enumerate() {
            if !same(one, other) {
                let place = if member == "clusterIPs" { index } else { 0 };
                errors.invalid(at.index(place), &after, FIXED);
            }
        }
        return;
    }
    if after.is_empty() {
        errors.invalid(at.index(0), &after, format!("primary {single} can not be unset"));
    } else if !before.is_empty() && !same(before.index(0), after.index(0)) {
        errors.invalid(at.index(0), &after, FIXED);
    }
    let policy = new.get("ipFamilyPolicy");
    if before.len() > after.len() && after.len() == 1 && !policy.is_str("SingleStack") {
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {single}");
        errors.invalid(SPEC.child("ipFamilyPolicy"), &policy, detail);
    }
}

//! LimitRanges.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::pod::resources::{self, text};
use crate::quantity::Quantity;
use crate::{Errors, Field, Review, SPEC, formats};

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
/// A list, and what its values are called.
type Named = (&'static str, &'static str);
/// Comparisons of two lists, in order: where the error is, whose value is shown, and which must not be greater.
const ORDERED: [(&str, &str, Named, Named); 6] = [
    ("min", "min", ("min", "min value"), ("max", "max value")),
    ("defaultRequest", "defaultRequest", ("min", "min value"), ("defaultRequest", "default request value")),
    ("defaultRequest", "defaultRequest", ("defaultRequest", "default request value"), ("max", "max value")),
    (
        "defaultRequest",
        "defaultRequest",
        ("defaultRequest", "default request value"),
        ("default", "default limit value"),
    ),
    ("default", "min", ("min", "min value"), ("default", "default value")),
    ("default", "max", ("default", "default value"), ("max", "max value")),
];

/// A LimitRange.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let list = SPEC.child("limits");
    let mut kinds = BTreeSet::new();
    for (index, limit) in review.spec().get("limits").iter().enumerate() {
        let at = list.index(index);
        let kind = limit.get("type").str_or_empty();
        let wrong = formats::qualified_name(kind);
        let known = matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim");
        if wrong.is_empty() && !kind.contains('/') && !known {
            errors.invalid(at.child("type"), kind, "must be a standard limit type or fully qualified");
        }
        errors.invalid_each(at.child("type"), kind, wrong);
        errors.unique(&mut kinds, at.child("type"), kind);
        item(&at, kind, limit, errors);
    }
}

fn item(at: &Field, kind: &str, limit: ValueRef, errors: &mut Errors) {
    for list in LISTS {
        let place = at.child(list);
        if kind == "Pod" && list.starts_with("default") {
            if !limit.get(list).is_empty() {
                errors.forbidden(place, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        if list == "maxLimitRequestRatio"
            && kind == "PersistentVolumeClaim"
            && ["min", "max"].iter().all(|list| limit.get(list).get("storage").is_none())
        {
            let detail = "either minimum or maximum storage value is required, but neither was provided";
            errors.required(at.child("limits"), detail);
        }
        for (name, _) in limit.get(list).entries() {
            let place = place.key(name);
            if matches!(kind, "Pod" | "Container") {
                resources::container_name(&place, name, errors);
            } else {
                resources::name(&place, name, errors);
            }
        }
    }
    let names: BTreeSet<&str> = LISTS
        .iter()
        .filter(|list| kind != "Pod" || !list.starts_with("default"))
        .flat_map(|list| limit.get(list).entries().map(|(name, _)| name))
        .collect();
    for name in names {
        amounts(at, kind, name, limit, errors);
    }
}

fn amounts(at: &Field, kind: &str, name: &str, limit: ValueRef, errors: &mut Errors) {
    let value = |list: &str| match list {
        "default" | "defaultRequest" if kind == "Pod" => ValueRef::ABSENT,
        list => limit.get(list).get(name),
    };
    let amount = |list: &str| Quantity::read(value(list));
    for (place, shown, (small, small_name), (large, large_name)) in ORDERED {
        if amount(small).zip(amount(large)).is_some_and(|(small, large)| small > large) {
            let (small, large) = (text(value(small)), text(value(large)));
            let detail = format!("{small_name} {small} is greater than {large_name} {large}");
            errors.invalid(at.child(place).key(name), &value(shown), detail);
        }
    }
    let place = at.child("maxLimitRequestRatio");
    let ratio = value("maxLimitRequestRatio");
    if let Some(amount) = Quantity::read(ratio) {
        if amount < Quantity::whole(1) {
            errors.invalid(place.key(name), &ratio, format!("ratio {} is less than 1", text(ratio)));
        }
        if let (Some(least), Some(most)) = (Quantity::read(value("min")), Quantity::read(value("max"))) {
            let widest = most.as_f64() / least.as_f64();
            if amount.as_f64() > widest {
                let detail = format!("ratio {} is greater than max/min = {widest:.6}", text(ratio));
                errors.invalid(place.key(name), &ratio, detail);
            }
        }
    }
    let (default, request) = (value("default"), value("defaultRequest"));
    let differ = Quantity::read(default).zip(Quantity::read(request)).is_some_and(|(one, other)| one != other);
    if differ && !resources::may_overcommit(name) {
        let (default, asked) = (text(default), text(request));
        let detail = format!("default value {default} must equal to defaultRequest value {asked} in {name}");
        errors.invalid(at.child("defaultRequest").key(name), &request, detail);
    }
}

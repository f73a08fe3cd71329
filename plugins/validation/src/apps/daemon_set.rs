//! DaemonSets.

use portcullis_sdk::ValueRef;

use super::mismatch;
use super::strategy::{amount, at_most_all, count_or_percent};
use crate::core::{always_restarts, pod};
use crate::shown::Typed;
use crate::{Errors, Review, SPEC, selector};

/// A DaemonSet.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let (given, template, at) = (spec.get("selector"), spec.get("template"), SPEC.child("template"));
    let labels = template.get("metadata").get("labels");
    selector::check(SPEC.child("selector"), given, errors);
    if selector::is_valid(given) && !portcullis_sdk::selects(given, labels) {
        mismatch(&at, labels, errors);
    }
    if !given.is_none() && selector::is_empty(given) {
        let shown = selector::shown(given);
        errors.invalid(SPEC.child("selector"), &shown, "empty selector is invalid for daemonset");
    }
    pod::template(at, template, review, errors);
    always_restarts(&at, template, "DaemonSet", errors);
    errors.non_negative(SPEC.child("minReadySeconds"), spec.get("minReadySeconds"));
    update_strategy(spec.get("updateStrategy"), errors);
    errors.non_negative(SPEC.child("revisionHistoryLimit"), spec.get("revisionHistoryLimit"));
}

fn update_strategy(strategy: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("updateStrategy");
    let (rolling, place) = (strategy.get("rollingUpdate"), at.child("rollingUpdate"));
    match strategy.get("type").str_or_empty() {
        "OnDelete" => return,
        "RollingUpdate" if rolling.is_none() => return errors.required(place, ""),
        "RollingUpdate" => {}
        _ => {
            let shown = Typed("DaemonSetUpdateStrategy", strategy);
            return errors.not_supported(at, &shown, &["RollingUpdate", "OnDelete"]);
        }
    }
    let members = ["maxUnavailable", "maxSurge"];
    for member in members {
        count_or_percent(&place.child(member), rolling.get(member), errors);
    }
    for member in members {
        at_most_all(&place.child(member), rolling.get(member), errors);
    }
    let surge = rolling.get("maxSurge");
    match (amount(rolling.get("maxUnavailable")) != 0, amount(surge) != 0) {
        (true, true) => {
            errors.invalid(place.child("maxSurge"), &surge, "may not be set when maxUnavailable is non-zero");
        }
        (false, false) => errors.required(place.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}

//! How pods are replaced by newer ones.

use portcullis_sdk::ValueRef;

use crate::shown::Typed;
use crate::{Errors, Field, SPEC, formats};

/// A Deployment's strategy.
pub(super) fn deployment(strategy: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("strategy");
    let (rolling, place) = (strategy.get("rollingUpdate"), at.child("rollingUpdate"));
    match strategy.get("type").str_or_empty() {
        "Recreate" => {
            if !rolling.is_none() {
                errors.forbidden(place, "may not be specified when strategy `type` is 'Recreate'");
            }
        }
        "RollingUpdate" if rolling.is_none() => {
            errors.required(place, "this should be defaulted and never be nil");
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            count_or_percent(&place.child("maxUnavailable"), unavailable, errors);
            count_or_percent(&place.child("maxSurge"), surge, errors);
            if amount(unavailable) == 0 && amount(surge) == 0 {
                errors.invalid(place.child("maxUnavailable"), &unavailable, "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(&place.child("maxUnavailable"), unavailable, errors);
        }
        _ => errors.not_supported(at, &Typed("DeploymentStrategy", strategy), &["Recreate", "RollingUpdate"]),
    }
}

/// A number that is not negative, or a percentage.
pub(crate) fn count_or_percent(at: &Field, value: ValueRef, errors: &mut Errors) {
    match value.as_str() {
        Some(text) => errors.invalid_each(at, text, formats::percent(text)),
        None => errors.non_negative(at, value),
    }
}

fn percent(value: ValueRef) -> Option<i64> {
    let text = value.as_str().filter(|text| formats::percent(text).is_empty())?;
    text.trim_end_matches('%').parse().ok()
}

/// No more than all of them.
pub(crate) fn at_most_all(at: &Field, value: ValueRef, errors: &mut Errors) {
    if percent(value).is_some_and(|percent| percent > 100) {
        errors.invalid(at, &value, "must not be greater than 100%");
    }
}

/// The number, or the percentage.
pub(super) fn amount(value: ValueRef) -> i64 {
    value.as_i64().or_else(|| percent(value)).unwrap_or(0)
}

//! PriorityLevelConfigurations.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, SPEC};

/// How much a request can be told apart from others, at most.
const MOST_BITS: i32 = 60;

/// A PriorityLevelConfiguration.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let kind = spec.get("type").str_or_empty();
    let (limited, exempt) = (spec.get("limited"), spec.get("exempt"));
    if (review.name() == "exempt") != (kind == "Exempt") && matches!(kind, "Exempt" | "Limited") {
        let detail = "must be 'Exempt' if and only if `name` is 'exempt'";
        errors.invalid(SPEC.child("type"), kind, detail);
    }
    match kind {
        "Exempt" => {
            if !limited.is_none() {
                errors.forbidden(SPEC.child("limited"), "must be nil if the type is not Limited");
            }
            shares(&SPEC.child("exempt"), exempt, errors);
        }
        "Limited" => {
            if !exempt.is_none() {
                errors.forbidden(SPEC.child("exempt"), "must be nil if the type is Limited");
            }
            if limited.is_none() {
                errors.required(SPEC.child("limited"), "must not be empty when type is Limited");
            } else {
                check_limited(&SPEC.child("limited"), limited, errors);
            }
        }
        _ => errors.not_supported(SPEC.child("type"), kind, &["Exempt", "Limited"]),
    }
}

fn shares(at: &Field, level: ValueRef, errors: &mut Errors) {
    if let Some(shares) = level.get("nominalConcurrencyShares").as_i64().filter(|shares| *shares < 0) {
        errors.invalid(at.child("nominalConcurrencyShares"), &shares, "must be a non-negative integer");
    }
    if let Some(percent) = level.get("lendablePercent").as_i64().filter(|percent| !(0..=100).contains(percent)) {
        errors.invalid(at.child("lendablePercent"), &percent, "must be between 0 and 100, inclusive");
    }
}

fn check_limited(at: &Field, level: ValueRef, errors: &mut Errors) {
    if let Some(shares) = level.get("nominalConcurrencyShares").as_i64().filter(|shares| *shares < 0) {
        errors.invalid(at.child("nominalConcurrencyShares"), &shares, "must be a non-negative integer");
    }
    let (response, place) = (level.get("limitResponse"), at.child("limitResponse"));
    let queuing = response.get("queuing");
    match response.get("type").str_or_empty() {
        "Reject" => {
            if !queuing.is_none() {
                let detail = "must be nil if limited.limitResponse.type is not Limited";
                errors.forbidden(place.child("queuing"), detail);
            }
        }
        "Queue" if queuing.is_none() => {
            let detail = "must not be empty if limited.limitResponse.type is Limited";
            errors.required(place.child("queuing"), detail);
        }
        "Queue" => check_queuing(&place.child("queuing"), queuing, errors),
        other => errors.not_supported(place.child("type"), other, &["Queue", "Reject"]),
    }
    if let Some(percent) = level.get("lendablePercent").as_i64().filter(|percent| !(0..=100).contains(percent)) {
        errors.invalid(at.child("lendablePercent"), &percent, "must be between 0 and 100, inclusive");
    }
    if let Some(percent) = level.get("borrowingLimitPercent").as_i64().filter(|percent| *percent < 0) {
        let detail = "if specified, must be a non-negative integer";
        errors.invalid(at.child("borrowingLimitPercent"), &percent, detail);
    }
}

fn check_queuing(at: &Field, queuing: ValueRef, errors: &mut Errors) {
    let number = |name: &str| queuing.get(name).as_i64().unwrap_or(0);
    let (length, queues, hand) = (number("queueLengthLimit"), number("queues"), number("handSize"));
    if length <= 0 {
        errors.invalid(at.child("queueLengthLimit"), &length, "must be positive");
    }
    if queues <= 0 {
        errors.invalid(at.child("queues"), &queues, "must be positive");
    } else if queues > 10_000_000 {
        errors.invalid(at.child("queues"), &queues, "must not be greater than 10000000");
    }
    if hand <= 0 {
        errors.invalid(at.child("handSize"), &hand, "must be positive");
    } else if hand > queues {
        let detail = format!("should not be greater than queues ({queues})");
        errors.invalid(at.child("handSize"), &hand, detail);
    } else if entropy(queues, hand) > MOST_BITS {
        let bits = entropy(queues, hand);
        let detail =
            format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {bits}");
        errors.invalid(at.child("handSize"), &hand, detail);
    }
}

/// How many bits it takes to deal such a hand from so many queues.
fn entropy(queues: i64, hand: i64) -> i32 {
    let falling: f64 = (0..hand.min(1_000)).map(|dealt| ((queues - dealt) as f64).log2()).sum();
    falling.ceil() as i32
}

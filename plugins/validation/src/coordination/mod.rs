//! Leases.

use crate::{Errors, Review, SPEC};

/// Checks a Lease. Its `strategy` and `preferredHolder` are of a feature that is off, and never stored.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "Lease" {
        return;
    }
    let spec = review.spec();
    if let Some(seconds) = spec.get("leaseDurationSeconds").as_i64().filter(|seconds| *seconds <= 0) {
        errors.invalid(SPEC.child("leaseDurationSeconds"), &seconds, "must be greater than 0");
    }
    errors.non_negative(SPEC.child("leaseTransitions"), spec.get("leaseTransitions"));
}

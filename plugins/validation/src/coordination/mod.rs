//! Leases.

use crate::{Errors, Review};

/// Checks a Lease.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "Lease" {
        return;
    }
    let spec = review.object.get("spec");
    if let Some(seconds) = spec.get("leaseDurationSeconds").as_i64().filter(|seconds| *seconds <= 0) {
        errors.invalid("spec.leaseDurationSeconds", &seconds, "must be greater than 0");
    }
    errors.non_negative("spec.leaseTransitions", spec.get("leaseTransitions"));
}

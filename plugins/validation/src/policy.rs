//! The policy group: PodDisruptionBudgets.

use crate::apps::{at_most_all, count_or_percent};
use crate::shown::Typed;
use crate::{Errors, Review, SPEC, STATUS, selector};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "PodDisruptionBudget" {
        return;
    }
    if !review.is_main() {
        let members = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
        return errors.all_non_negative(&STATUS, review.object.get("status"), &members);
    }
    let spec = review.spec();
    let limits = ["minAvailable", "maxUnavailable"];
    if limits.iter().all(|limit| !spec.get(limit).is_none()) {
        let shown = Typed("PodDisruptionBudgetSpec", spec);
        errors.invalid(SPEC, &shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for limit in limits {
        count_or_percent(&SPEC.child(limit), spec.get(limit), errors);
        at_most_all(&SPEC.child(limit), spec.get(limit), errors);
    }
    selector::check(SPEC.child("selector"), spec.get("selector"), errors);
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    errors.may_be_one_of(SPEC.child("unhealthyPodEvictionPolicy"), spec.get("unhealthyPodEvictionPolicy"), &policies);
}

//! What a claim was given, and who may use it.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::values::same;
use crate::{Errors, Review, STATUS};

/// The most users of a claim.
const MOST_USERS: usize = 256;

/// The status of a ResourceClaim.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.object.get("status"), review.old.get("status"));
    let (users, list) = (new.get("reservedFor"), STATUS.child("reservedFor"));
    if users.len() > MOST_USERS {
        errors.too_many(list, users.len(), MOST_USERS);
    }
    let mut seen = BTreeSet::new();
    for (index, user) in users.iter().enumerate() {
        let at = list.index(index);
        for member in ["resource", "name", "uid"] {
            errors.needs(at.child(member), user.get(member).str_or_empty());
        }
        errors.unique(&mut seen, at.child("uid"), user.get("uid").str_or_empty());
    }
    let allocated = !new.get("allocation").is_none();
    if !users.is_empty() && !allocated {
        errors.forbidden(list, "may not be specified when `allocated` is not set");
    }
    // Nobody new once the claim is on its way out.
    let ending = !review.object.get("metadata").get("deletionTimestamp").is_none();
    let known = |user: ValueRef| old.get("reservedFor").iter().any(|one| same(one, user));
    if ending && !users.iter().all(known) {
        errors.forbidden(
            list,
            "new entries may not be added while `deletionTimestamp` or `deallocationRequested` are set",
        );
    }
    let before = old.get("allocation");
    if !before.is_none() && allocated && !same(new.get("allocation"), before) {
        errors.invalid(STATUS.child("allocation"), &new.get("allocation"), IMMUTABLE);
    }
}

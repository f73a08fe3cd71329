//! ControllerRevisions.

use portcullis_sdk::tape::Kind;

use crate::errors::IMMUTABLE;
use crate::values::same;
use crate::{Errors, Review};

/// A ControllerRevision: data that never changes.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let data = review.object.get("data");
    if !review.update {
        match data.kind() {
            Kind::Absent | Kind::Null => errors.required("data", "data is mandatory"),
            Kind::Object => {}
            _ => errors.required("data", "data must be a valid JSON object"),
        }
    }
    errors.non_negative("revision", review.object.get("revision"));
    if review.update && !same(data, review.old.get("data")) {
        errors.invalid("data", &data, IMMUTABLE);
    }
}

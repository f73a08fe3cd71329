//! The node group: RuntimeClasses.

use crate::core::pod::{resources, scheduling};
use crate::shown::Typed;
use crate::values::same;
use crate::{Errors, Field, Review, formats, meta};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "RuntimeClass" {
        return;
    }
    let class = review.object;
    if review.update {
        errors.immutable("handler", class.get("handler"), review.old.get("handler"));
    }
    let handler = class.get("handler").str_or_empty();
    if errors.needs("handler", handler) {
        errors.invalid_each("handler", handler, formats::dns_label(handler));
    }
    resources::overhead(&Field::new("overhead"), class.get("overhead").get("podFixed"), errors);
    let (placement, at) = (class.get("scheduling"), Field::new("scheduling"));
    meta::labels(at.child("nodeSelector"), placement.get("nodeSelector"), errors);
    let (list, place) = (placement.get("tolerations"), at.child("tolerations"));
    scheduling::tolerations(&place, list, errors);
    for (index, one) in list.iter().enumerate() {
        if list.iter().take(index).any(|other| same(one, other)) {
            errors.duplicate(place.index(index), &Typed("Toleration", one));
        }
    }
}

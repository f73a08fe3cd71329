//! The flow control group: FlowSchemas and PriorityLevelConfigurations.

mod level;
mod schema;

use crate::{Errors, Review};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    match (review.kind, review.is_main()) {
        ("FlowSchema", true) => schema::check(review, errors),
        ("PriorityLevelConfiguration", true) => level::check(review, errors),
        _ => {}
    }
}

//! The batch group: Jobs and CronJobs.

mod cron_job;
mod failure_policy;
mod job;
mod schedule;
mod status;
mod success_policy;

use crate::{Errors, Review};

/// Checks an object of the batch group.
pub fn check(review: &Review, errors: &mut Errors) {
    match (review.kind, review.is_main()) {
        ("Job", true) => job::check(review, errors),
        ("Job", false) => status::check(review, errors),
        ("CronJob", true) => cron_job::check(review, errors),
        _ => {}
    }
}

//! The scheduling group: PriorityClasses.

use crate::errors::IMMUTABLE;
use crate::{Errors, Review};

/// The most that a class may be worth that is not the system's.
const MOST: i64 = 1_000_000_000;
/// The classes of the system, and what they are worth.
const OF_SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "PriorityClass" {
        return;
    }
    let (class, name) = (review.object, review.name());
    let value = class.get("value").as_i64().unwrap_or(0);
    let policy = class.get("preemptionPolicy");
    if review.update {
        if value != review.old.get("value").as_i64().unwrap_or(0) {
            errors.forbidden("value", "may not be changed in an update.");
        }
        if policy.str_or_empty() != review.old.get("preemptionPolicy").str_or_empty() {
            errors.invalid("preemptionPolicy", &policy, IMMUTABLE);
        }
        return;
    }
    if name.starts_with("system-") {
        let why = match OF_SYSTEM.iter().find(|(known, _)| *known == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, worth)) if *worth != value => Some(format!("value of {name} PriorityClass must be {worth}")),
            Some(_) if class.get("globalDefault").as_bool() == Some(true) => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            let detail =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
            errors.forbidden("metadata.name", detail);
        }
    } else if value > MOST {
        errors.forbidden("value", format!("maximum allowed value of a user defined priority is {MOST}"));
    }
    if !policy.is_none() {
        errors.needs_one_of("preemptionPolicy", policy.str_or_empty(), &["PreemptLowerPriority", "Never"]);
    }
}

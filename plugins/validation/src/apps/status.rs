//! What controllers say of their pods: counts, none negative, and no part larger than the whole.

use portcullis_sdk::ValueRef;

use crate::core::replica_status;
use crate::{Errors, Review, STATUS};

const WHOLE: &str = "cannot be greater than status.replicas";

/// The status of a kind of the group.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let (status, old) = (review.object.get("status"), review.old.get("status"));
    match review.kind {
        "ReplicaSet" => return replica_status(status, errors),
        "Deployment" => {
            let members = [
                "observedGeneration",
                "replicas",
                "updatedReplicas",
                "terminatingReplicas",
                "readyReplicas",
                "availableReplicas",
                "unavailableReplicas",
                "collisionCount",
            ];
            errors.all_non_negative(&STATUS, status, &members);
            parts(status, &["updatedReplicas", "readyReplicas", "availableReplicas"], errors);
        }
        "StatefulSet" => {
            let members = [
                "replicas",
                "readyReplicas",
                "currentReplicas",
                "updatedReplicas",
                "availableReplicas",
                "observedGeneration",
                "collisionCount",
            ];
            errors.all_non_negative(&STATUS, status, &members);
            let members = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
            parts(status, &members, errors);
        }
        "DaemonSet" => {
            let members = [
                "currentNumberScheduled",
                "numberMisscheduled",
                "desiredNumberScheduled",
                "numberReady",
                "observedGeneration",
                "updatedNumberScheduled",
                "numberAvailable",
                "numberUnavailable",
                "collisionCount",
            ];
            errors.all_non_negative(&STATUS, status, &members);
        }
        _ => return,
    }
    let (after, before) = (status.get("collisionCount").as_i64(), old.get("collisionCount").as_i64());
    if before.is_some_and(|before| after.is_none_or(|after| after < before)) {
        let value = status.get("collisionCount");
        errors.invalid(STATUS.child("collisionCount"), &value, "cannot be decremented");
    }
}

fn parts(status: ValueRef, members: &[&str], errors: &mut Errors) {
    let count = |name: &str| status.get(name).as_i64().unwrap_or(0);
    for member in members {
        if count(member) > count("replicas") {
            errors.invalid(STATUS.child(member), &count(member), WHOLE);
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let detail = "cannot be greater than readyReplicas";
        errors.invalid(STATUS.child("availableReplicas"), &count("availableReplicas"), detail);
    }
}

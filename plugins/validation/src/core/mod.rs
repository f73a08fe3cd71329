//! The core group.

mod config_map;
mod endpoints;
mod limit_range;
mod namespace;
mod node;
pub(crate) mod pod;
mod replication_controller;
mod resource_quota;
mod service;
pub(crate) mod volume;
pub(crate) mod volume_claim;

pub(crate) use config_map::{decode as decode_base64, json_error};
pub(crate) use replication_controller::{always_restarts, status as replica_status};

use crate::{Errors, Field, Review, events};

/// Checks an object of the core group.
pub fn check(review: &Review, errors: &mut Errors) {
    match review.kind {
        "Pod" => return pod::check(review, errors),
        "Namespace" => return namespace::check(review, errors),
        "Node" => return node::check(review, errors),
        "PersistentVolume" => return volume::check(review, errors),
        "PersistentVolumeClaim" => return volume_claim::check(review, errors),
        "ReplicationController" => return replication_controller::check(review, errors),
        "ResourceQuota" => return resource_quota::check(review, errors),
        "Service" => return service::check(review, errors),
        _ => {}
    }
    if !review.is_main() {
        return;
    }
    match review.kind {
        "ConfigMap" => config_map::config_map(review, errors),
        "Secret" => config_map::secret(review, errors),
        "Endpoints" => endpoints::check(review, errors),
        "Event" => events::check(review, errors),
        "LimitRange" => limit_range::check(review, errors),
        "PodTemplate" => {
            pod::template(Field::new("template"), review.object.get("template"), review, errors);
        }
        _ => {}
    }
}

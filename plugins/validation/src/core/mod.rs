//! The core group.

mod config;
mod namespace;
pub mod pod;
mod resources;
mod scheduling;
mod service;
pub mod template;

#[cfg(test)]
pub(crate) use resources::quantity;

use crate::{Errors, Review};

/// Checks an object of the core group.
pub fn check(review: &Review, errors: &mut Errors) {
    match review.kind {
        "ConfigMap" => config::config_map(review, errors),
        "Secret" => config::secret(review, errors),
        "Namespace" => namespace::check(review, errors),
        "Pod" => pod::check(review, errors),
        "PodTemplate" => template::check("template", review.object.get("template"), None, errors),
        "ReplicationController" => template::replication_controller(review, errors),
        "Service" => service::check(review, errors),
        _ => {}
    }
}

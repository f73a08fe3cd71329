//! The group of devices: claims and their templates, classes, and slices of what nodes have.

mod claim;
mod slice;
mod status;

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::shown::Typed;
use crate::values::same;
use crate::{Errors, Field, Review, SPEC, meta};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    match (review.kind, review.is_main()) {
        ("ResourceClaim", true) => {
            claim::check(&SPEC, review.spec(), errors);
            fixed(review, errors);
        }
        ("ResourceClaim", false) => status::check(review, errors),
        ("ResourceClaimTemplate", true) => {
            let metadata = review.spec().get("metadata");
            let at = SPEC.child("metadata");
            meta::annotations(at.child("annotations"), metadata.get("annotations"), errors);
            meta::labels(at.child("labels"), metadata.get("labels"), errors);
            claim::check(&SPEC.child("spec"), review.spec().get("spec"), errors);
            fixed(review, errors);
        }
        ("DeviceClass", true) => class(review.spec(), errors),
        ("ResourceSlice", true) => slice::check(review, errors),
        _ => {}
    }
}

/// What a claim asks for never changes.
fn fixed(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.spec(), review.old_spec());
    if review.update && !same(new, old) {
        let shown = if review.kind == "ResourceClaim" { "ResourceClaimSpec" } else { "ResourceClaimTemplateSpec" };
        errors.invalid(SPEC, &Typed(shown, new), IMMUTABLE);
    }
}

fn class(spec: ValueRef, errors: &mut Errors) {
    claim::selectors(&SPEC.child("selectors"), spec.get("selectors"), errors);
    let (configs, list) = (spec.get("config"), SPEC.child("config"));
    if configs.len() > claim::MOST {
        errors.too_many(list, configs.len(), claim::MOST);
    }
    for (index, config) in configs.iter().enumerate() {
        claim::configuration(&list.index(index), config, errors);
    }
    if let Some(name) = spec.get("extendedResourceName").as_str() {
        extended_name(&SPEC.child("extendedResourceName"), name, errors);
    }
}

fn extended_name(at: &Field, name: &str, errors: &mut Errors) {
    let native = !name.contains('/') || name.contains("kubernetes.io/") || name.starts_with("requests.");
    let long = !crate::formats::qualified_name(&format!("requests.{name}")).is_empty();
    if native || long {
        errors.invalid(at, name, "must be a valid extended resource name");
    }
}

//! The rules of objects that a schema cannot say: names and formats, fields that depend on each other, fields that must
//! not change. Pure functions over tapes; a module for each kind, and [`meta`] for what all kinds have in common.
//!
//! Reasons, field paths and messages are those that clients of Kubernetes 1.36 see.

pub mod apps;
pub mod batch;
pub mod coordination;
pub mod core;
pub mod errors;
pub mod formats;
pub mod meta;
pub mod rbac;
pub mod selector;

use portcullis_sdk::{FieldError, ValueRef};

pub use errors::Errors;

/// What is under review.
#[derive(Clone, Copy)]
pub struct Review<'a> {
    /// The object as it would be stored, with defaults.
    pub object: ValueRef<'a>,
    /// The stored object; absent on create.
    pub old: ValueRef<'a>,
    /// Whether this is an update.
    pub update: bool,
    /// The resource's group.
    pub group: &'a str,
    /// The object's kind.
    pub kind: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
}

/// All that is wrong with the object. Subresources other than `status` have kinds of their own and are not looked at
/// here; on `status` only the metadata is.
pub fn validate(review: &Review) -> Vec<FieldError> {
    let mut errors = Errors::new();
    if !matches!(review.subresource, "" | "status") {
        return errors.into_inner();
    }
    // Reviews are questions, not objects: they are never stored and need no name.
    if matches!(review.group, "authentication.k8s.io" | "authorization.k8s.io") {
        return errors.into_inner();
    }
    meta::check(review, &mut errors);
    if review.subresource.is_empty() {
        match review.group {
            "" => core::check(review, &mut errors),
            "apps" => apps::check(review, &mut errors),
            "batch" => batch::check(review, &mut errors),
            "rbac.authorization.k8s.io" => rbac::check(review, &mut errors),
            "coordination.k8s.io" => coordination::check(review, &mut errors),
            _ => {}
        }
    }
    errors.into_inner()
}

#[cfg(test)]
mod tests;

//! The rules of objects that a schema cannot say: names and formats, fields that depend on each other, fields that must
//! not change. Pure functions over tapes; a folder for each API group, a module for each kind, and [`meta`] for what all
//! kinds have in common.
//!
//! Reasons, field paths and messages are those that clients of Kubernetes 1.36 see, and so is the order of the errors.
//! A path is built on the stack ([`Field`]) and becomes text only when there is an error to report.

pub mod admissionregistration;
pub mod apiextensions;
pub mod apiregistration;
pub mod apps;
pub mod autoscaling;
pub mod batch;
pub mod certificates;
pub mod coordination;
pub mod core;
pub mod discovery;
pub mod errors;
pub mod events;
pub mod field;
pub mod flowcontrol;
pub mod formats;
pub mod meta;
pub mod networking;
pub mod node;
pub mod policy;
pub mod quantity;
pub mod rbac;
pub mod resource;
pub mod scheduling;
pub mod selector;
pub mod shown;
pub mod storage;
pub mod values;

use portcullis_sdk::{FieldError, ValueRef};

pub use errors::Errors;
pub use field::Field;

/// The path of `spec`.
pub(crate) const SPEC: Field = Field::new("spec");
/// The path of `status`.
pub(crate) const STATUS: Field = Field::new("status");

/// The check of a part at a place.
pub(crate) type Check = fn(&Field, ValueRef, &mut Errors);

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
    /// Whether containers may have all rights of their host.
    pub allow_privileged: bool,
}

impl<'a> Review<'a> {
    /// The object's `spec`.
    pub fn spec(&self) -> ValueRef<'a> {
        self.object.get("spec")
    }

    /// The stored object's `spec`.
    pub fn old_spec(&self) -> ValueRef<'a> {
        self.old.get("spec")
    }

    /// The object's name.
    pub fn name(&self) -> &'a str {
        self.object.get("metadata").get("name").str_or_empty()
    }

    /// The object's namespace.
    pub fn namespace(&self) -> &'a str {
        self.object.get("metadata").get("namespace").str_or_empty()
    }

    /// An annotation's value; empty if it is not there.
    pub fn annotation(&self, name: &str) -> &'a str {
        self.object.get("metadata").get("annotations").get(name).str_or_empty()
    }

    /// Whether the object itself is written, and not a subresource.
    pub fn is_main(&self) -> bool {
        self.subresource.is_empty()
    }
}

/// All that is wrong with the object. A kind's module sees the subresources whose body is the object too.
pub fn validate(review: &Review) -> Vec<FieldError> {
    let mut errors = Errors::new();
    // Reviews are questions, not objects: they are never stored and need no name.
    if matches!(review.group, "authentication.k8s.io" | "authorization.k8s.io") {
        return errors.into_inner();
    }
    if !matches!(review.subresource, "" | "status" | "approval" | "resize" | "ephemeralcontainers" | "finalize") {
        return errors.into_inner();
    }
    // The rules of these kinds leave metadata to the checks that follow if nothing else is wrong.
    let later = !review.update && matches!(review.kind, "Event" | "PodDisruptionBudget");
    if !later {
        meta::check(review, &mut errors);
    }
    by_kind(review, &mut errors);
    if later && errors.is_empty() {
        meta::check(review, &mut errors);
    }
    errors.into_inner()
}

fn by_kind(review: &Review, errors: &mut Errors) {
    match review.group {
        "" => core::check(review, errors),
        "admissionregistration.k8s.io" => admissionregistration::check(review, errors),
        "apiextensions.k8s.io" => apiextensions::check(review, errors),
        "apiregistration.k8s.io" => apiregistration::check(review, errors),
        "apps" => apps::check(review, errors),
        "autoscaling" => autoscaling::check(review, errors),
        "batch" => batch::check(review, errors),
        "certificates.k8s.io" => certificates::check(review, errors),
        "coordination.k8s.io" => coordination::check(review, errors),
        "discovery.k8s.io" => discovery::check(review, errors),
        "events.k8s.io" => events::check(review, errors),
        "flowcontrol.apiserver.k8s.io" => flowcontrol::check(review, errors),
        "networking.k8s.io" => networking::check(review, errors),
        "node.k8s.io" => node::check(review, errors),
        "policy" => policy::check(review, errors),
        "rbac.authorization.k8s.io" => rbac::check(review, errors),
        "resource.k8s.io" => resource::check(review, errors),
        "scheduling.k8s.io" => scheduling::check(review, errors),
        "storage.k8s.io" => storage::check(review, errors),
        _ => {}
    }
}

#[cfg(test)]
mod tests;

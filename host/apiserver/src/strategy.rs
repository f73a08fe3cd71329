//! What differs between kinds on the write path, as small functions over the generic handlers (the reference's
//! registry strategies). Anything that can be data is in the definition instead.

pub mod allocate;
mod disabled;
pub mod plugins;
mod pod;
pub mod prepare;
pub mod revision;

use portcullis_machinery::definition::plugins::GROUP as PLUGINS;
use portcullis_machinery::{Status, Value, object};

use crate::handlers::Scope;
use crate::modules;
pub use prepare::{METADATA_KEPT_BY_STATUS, prepare_for_create, prepare_for_update};

/// What becomes of dependents if a deletion does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GarbagePolicy {
    /// The garbage collector deletes them.
    Background,
    /// They stay.
    Orphan,
    /// The garbage collector does not know the kind.
    Unsupported,
}

/// The kind's policy.
pub fn garbage_policy(scope: &Scope) -> GarbagePolicy {
    match (scope.group(), scope.resource()) {
        ("", "events") | ("events.k8s.io", "events") => GarbagePolicy::Unsupported,
        ("", "replicationcontrollers") | ("batch", "jobs") => GarbagePolicy::Orphan,
        _ => GarbagePolicy::Background,
    }
}

/// Whether a deletion answers with the object (and not with a Status).
pub fn returns_deleted(scope: &Scope) -> bool {
    match scope.group() {
        "" => matches!(
            scope.resource(),
            "namespaces"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "pods"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
                | "services"
        ),
        "resource.k8s.io" => true,
        "storage.k8s.io" => scope.resource() != "csistoragecapacities",
        _ => false,
    }
}

/// Whether nothing of the kind's own holds an object that is to be deleted (a namespace's `spec.finalizers`).
pub fn may_end(scope: &Scope, object: &Value) -> bool {
    scope.definition.kind != "Namespace"
        || !scope.group().is_empty()
        || object::list_at(object, &["spec", "finalizers"]).is_empty()
}

/// Refuses the deletion of what a cluster cannot be without.
///
/// # Errors
/// 403 for the namespaces `default`, `kube-system` and `kube-public`, 409 for a Module that is in use.
pub fn check_delete(scope: &Scope) -> Result<(), Status> {
    let immortal = matches!(scope.name.as_str(), "default" | "kube-system" | "kube-public");
    if immortal && scope.definition.kind == "Namespace" && scope.group().is_empty() {
        return Err(Status::forbidden("", "namespaces", &scope.name, "this namespace may not be deleted"));
    }
    if scope.definition.kind == "Module" && scope.group() == PLUGINS {
        modules::check_unused(scope)?;
    }
    Ok(())
}

/// Whether the resource is the definitions of custom resources.
pub fn is_definition(scope: &Scope) -> bool {
    scope.definition.builtin && scope.definition.kind == "CustomResourceDefinition"
}

/// Prepares an object that is about to be deleted: a definition of custom resources is held until its instances are gone.
pub fn prepare_for_delete(scope: &Scope, object: &mut Value) {
    if is_definition(scope) {
        crate::customresources::begin_deletion(object);
    }
}

/// Takes what the new object needs from allocators (addresses and ports of services).
///
/// # Errors
/// 422 or 500 if it cannot be had.
pub async fn begin_create(scope: &Scope, object: &mut Value, dry_run: bool) -> Result<allocate::Claim, Status> {
    allocate::begin(scope, object, None, dry_run).await
}

/// The same for a change.
///
/// # Errors
/// 422 or 500 if it cannot be had.
pub async fn begin_update(
    scope: &Scope,
    new: &mut Value,
    old: &Value,
    dry_run: bool,
) -> Result<allocate::Claim, Status> {
    allocate::begin(scope, new, Some(old), dry_run).await
}

/// Ends a claim: what was taken stays if the write took place, what was given up goes; else the reverse.
pub async fn finish(scope: &Scope, claim: allocate::Claim, written: bool) {
    allocate::finish(scope, claim, written).await;
}

/// The rules of the project's own kinds, which no component may check (see `matching` in the crate of plugins).
///
/// # Errors
/// 422 with a cause for each field that is wrong.
pub fn check(scope: &Scope, object: &Value) -> Result<(), Status> {
    if scope.definition.kind == "Plugin" && scope.group() == PLUGINS && scope.sub().is_empty() {
        return plugins::check(object);
    }
    Ok(())
}

/// What follows the end of an object: a service's addresses and ports are free again, a Module's
/// content goes.
pub async fn after_delete(scope: &Scope, object: &Value) {
    if scope.definition.kind == "Module" && scope.group() == PLUGINS {
        modules::content::release(&*scope.server.store, object).await;
    }
    allocate::release(scope, object).await;
}

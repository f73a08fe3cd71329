//! Claims, volumes and classes: which belong together, and what is written on them when they do.
//!
//! A claim and a volume are bound once each names the other: the volume in its `claimRef`, with the claim's uid, the claim
//! in its `volumeName`, with the annotation [`BIND_COMPLETED`]. The volume is always written first, so that two claims
//! can never have the same one.

use portcullis_client::ObjectExt;
use portcullis_machinery::{Value, object};
use serde_json::json;

pub mod matching;
#[cfg(test)]
mod tests;
pub mod topology;

/// On a claim: the binding is written on both sides.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim or a volume: it was a controller and no user that bound it, so that a controller may unbind it.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it for a claim.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim or a volume: the driver that stands in for one that was part of Kubernetes.
pub const MIGRATED_TO: &str = "pv.kubernetes.io/migrated-to";
/// On a claim: who is to make a volume for it.
pub const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// The name that [`PROVISIONER`] had, which provisioners still read.
pub const PROVISIONER_BETA: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// On a claim: the node on which its first pod will be, so that a volume can be made for that node.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// The provisioner of classes whose volumes are all made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// What `storageClassName` was before it was a field.
const CLASS_BETA: &str = "volume.beta.kubernetes.io/storage-class";

/// The class that a claim or a volume names; empty if none.
pub fn class_of(object: &Value) -> &str {
    object.annotation(CLASS_BETA).unwrap_or_else(|| object.str_at(&["spec", "storageClassName"]))
}

/// Whether a claim says anything of a class, be it that it wants none.
pub fn names_class(claim: &Value) -> bool {
    claim.annotation(CLASS_BETA).is_some()
        || claim.at(&["spec", "storageClassName"]).is_some_and(|class| !class.is_null())
}

/// Whether claims of a class are bound only once a pod has them.
pub fn waits_for_consumer(class: &Value) -> bool {
    class.str_at(&["volumeBindingMode"]) == "WaitForFirstConsumer"
}

/// Whether a claim is bound, and the binding complete.
pub fn is_bound(claim: &Value) -> bool {
    !claim.str_at(&["spec", "volumeName"]).is_empty() && claim.annotation(BIND_COMPLETED).is_some()
}

/// Whether a volume is kept for a claim, or bound to it.
pub fn belongs_to(volume: &Value, claim: &Value) -> bool {
    let Some(reference) = volume.at(&["spec", "claimRef"]).filter(|reference| !reference.is_null()) else {
        return false;
    };
    let uid = reference.str_at(&["uid"]);
    reference.str_at(&["name"]) == claim.name()
        && reference.str_at(&["namespace"]) == claim.namespace()
        && (uid.is_empty() || uid == claim.uid())
}

/// The volume as it is once it is bound to the claim; `None` if it is already.
pub fn bound_to(volume: &Value, claim: &Value) -> Option<Value> {
    let mut bound = volume.clone();
    if volume.str_at(&["spec", "claimRef", "uid"]) != claim.uid() || !belongs_to(volume, claim) {
        let reference = json!({
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": claim.namespace(),
            "name": claim.name(),
            "uid": claim.uid(),
            "resourceVersion": claim.resource_version(),
        });
        object::set_at(&mut bound, &["spec", "claimRef"], reference);
    }
    // A user's own choice of the claim stays the user's.
    if !belongs_to(volume, claim) && volume.annotation(BOUND_BY_CONTROLLER).is_none() {
        object::set_at(&mut bound, &["metadata", "annotations", BOUND_BY_CONTROLLER], "yes");
    }
    (bound != *volume).then_some(bound)
}

/// A claim that a pod has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodClaim {
    /// The claim's name.
    pub name: String,
    /// Whether it is made for the pod, and ends with it.
    pub ephemeral: bool,
}

/// The claims that a pod has, in the order of its volumes.
pub fn claims_of(pod: &Value) -> impl Iterator<Item = PodClaim> {
    pod.list_at(&["spec", "volumes"]).iter().filter_map(|volume| {
        if volume.get("ephemeral").is_some_and(|ephemeral| !ephemeral.is_null()) {
            return Some(PodClaim { name: format!("{}-{}", pod.name(), volume.str_at(&["name"])), ephemeral: true });
        }
        let claim = volume.str_at(&["persistentVolumeClaim", "claimName"]);
        (!claim.is_empty()).then(|| PodClaim { name: claim.to_owned(), ephemeral: false })
    })
}

/// Whether a claim was made for a pod.
pub fn is_made_for(claim: &Value, pod: &Value) -> bool {
    claim.controller_of().is_some_and(|owner| owner.str_at(&["uid"]) == pod.uid())
}

//! The search for a claim's volume.

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;
use portcullis_machinery::quantity::Quantity;
use portcullis_machinery::selector::LabelSelector;

use super::{belongs_to, class_of, topology};

/// Who searches, which decides about what may be found.
pub enum Search<'a> {
    /// The controller; for claims that wait for a pod it finds only what is already kept for them.
    Controller {
        /// Whether the claim's class waits for a pod.
        waits: bool,
    },
    /// The scheduler, for a pod on this node.
    Node(&'a Value),
}

/// The volume that suits a claim best: one that is kept for it, else the smallest that is free, large enough and of the
/// same kind. Volumes that `taken` says are another's are passed over.
///
/// # Errors
/// If the claim's selector is not valid.
pub fn find(
    claim: &Value,
    volumes: &[Object],
    search: &Search<'_>,
    taken: impl Fn(&Value) -> bool,
) -> Result<Option<Object>, String> {
    let selector = match claim.at(&["spec", "selector"]).filter(|selector| !selector.is_null()) {
        Some(selector) => Some(LabelSelector::from_object(Some(selector))?),
        None => None,
    };
    let wanted = requested(claim);
    let reserved = |volume: &Value| volume.at(&["spec", "claimRef"]).is_some_and(|reference| !reference.is_null());
    let mut best: Option<(usize, Quantity, &Object)> = None;
    for volume in volumes {
        let Some(size) = capacity(volume) else { continue };
        let kept = belongs_to(volume, claim);
        if taken(volume) || (reserved(volume) && !kept) || volume.is_deleting() {
            continue;
        }
        if wanted.as_ref().is_some_and(|wanted| size < *wanted) || !same_mode(claim, volume) {
            continue;
        }
        if attributes_class(claim) != attributes_class(volume) {
            continue;
        }
        let reachable = match search {
            Search::Controller { .. } => true,
            Search::Node(node) => topology::reaches(volume, node),
        };
        if kept && (matches!(search, Search::Node(_)) || gives_access(volume, claim)) {
            return Ok(reachable.then(|| volume.clone()));
        }
        let free = volume.str_at(&["status", "phase"]) == "Available"
            && selector.as_ref().is_none_or(|selector| selector.matches_object(volume))
            && class_of(volume) == class_of(claim)
            && gives_access(volume, claim);
        if !free || !reachable || matches!(search, Search::Controller { waits: true }) {
            continue;
        }
        // A volume that can do more than is asked for is left to those who ask for more.
        let excess = match search {
            Search::Controller { .. } => volume.list_at(&["spec", "accessModes"]).len(),
            Search::Node(_) => 0,
        };
        if best.as_ref().is_none_or(|(least, smallest, _)| (excess, &size) < (*least, smallest)) {
            best = Some((excess, size, volume));
        }
    }
    Ok(best.map(|(_, _, volume)| volume.clone()))
}

/// Why a volume that a claim names does not suit it.
pub fn objection(volume: &Value, claim: &Value) -> Option<String> {
    if volume.is_deleting() {
        return Some(format!("the volume is marked for deletion \"{}\"", volume.name()));
    }
    // Sizes are compared in whole bytes here.
    let bytes = |size: Option<Quantity>| size.map_or(0, |size| size.value());
    let found = if bytes(capacity(volume)) < bytes(requested(claim)) {
        "requested PV is too small"
    } else if class_of(volume) != class_of(claim) {
        "storageClassName does not match"
    } else if attributes_class(volume) != attributes_class(claim) {
        "volumeAttributesClassName does not match"
    } else if !same_mode(claim, volume) {
        "incompatible volumeMode"
    } else if !gives_access(volume, claim) {
        "incompatible accessMode"
    } else {
        return None;
    };
    Some(found.to_owned())
}

/// Whether both are file systems, or both block devices.
pub fn same_mode(claim: &Value, volume: &Value) -> bool {
    let mode = |object: &Value| match object.str_at(&["spec", "volumeMode"]) {
        "" => "Filesystem".to_owned(),
        mode => mode.to_owned(),
    };
    mode(claim) == mode(volume)
}

/// How much a volume holds.
pub fn capacity(volume: &Value) -> Option<Quantity> {
    Quantity::from_json(volume.at(&["spec", "capacity", "storage"])?).ok()
}

/// How much a claim asks for.
pub fn requested(claim: &Value) -> Option<Quantity> {
    Quantity::from_json(claim.at(&["spec", "resources", "requests", "storage"])?).ok()
}

fn attributes_class(object: &Value) -> &str {
    object.str_at(&["spec", "volumeAttributesClassName"])
}

/// Whether the volume can be used in every way that the claim asks for.
fn gives_access(volume: &Value, claim: &Value) -> bool {
    let given = volume.list_at(&["spec", "accessModes"]);
    claim.list_at(&["spec", "accessModes"]).iter().all(|mode| given.contains(mode))
}

//! What is to become of an object, by what became of its owners.

use portcullis_client::{ObjectExt, Propagation};
use portcullis_machinery::Value;

use super::{FOREGROUND, ORPHAN};

/// What is to become of an object.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Keep,
    /// Some owners are gone (their uids), others remain.
    DropOwners(Vec<String>),
    Delete(Propagation),
}

/// How it is with an owner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Owner {
    Present,
    Gone,
    /// Present, and being deleted in the foreground: it waits for this object if the reference blocks.
    WaitsForUs,
}

/// What is to become of an object with these owners.
pub(super) fn judge(object: &Value, owners: &[(String, Owner)], has_dependents: bool) -> Verdict {
    let of = |state: Owner| owners.iter().filter(move |(_, owner)| *owner == state).map(|(uid, _)| uid.clone());
    let (gone, waiting): (Vec<String>, Vec<String>) = (of(Owner::Gone).collect(), of(Owner::WaitsForUs).collect());
    if owners.is_empty() || gone.is_empty() && waiting.is_empty() {
        return Verdict::Keep;
    }
    if of(Owner::Present).next().is_some() {
        return Verdict::DropOwners(gone.into_iter().chain(waiting).collect());
    }
    let has = |name: &str| object.list_at(&["metadata", "finalizers"]).iter().any(|finalizer| finalizer == name);
    // Those that the object owns are to be gone before it, as it is to be gone before its owner.
    if !waiting.is_empty() && has_dependents {
        return Verdict::Delete(Propagation::Foreground);
    }
    // What the object itself was asked for before stays as it was.
    Verdict::Delete(match (has(ORPHAN), has(FOREGROUND)) {
        (true, _) => Propagation::Orphan,
        (_, true) => Propagation::Foreground,
        _ => Propagation::Background,
    })
}

/// The owners that waited for the older form of an object, and do not wait for the newer one.
pub(super) fn unblocked<'a>(old: &'a Value, new: &'a Value) -> impl Iterator<Item = &'a Value> {
    let waits = |owner: &&Value| owner.bool_at(&["blockOwnerDeletion"]);
    let still = move |owner: &Value| {
        new.owner_references().iter().filter(waits).any(|now| now.str_at(&["uid"]) == owner.str_at(&["uid"]))
    };
    old.owner_references().iter().filter(waits).filter(move |owner| !still(owner))
}

//! Volumes of a pod. What each kind of volume must say is in `sources` and `volume_kinds`.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_sdk::ValueRef;

use super::{Context, sources};
use crate::{Errors, Field, formats};

/// The good volumes of a pod, by name.
pub(super) struct Volumes<'a>(BTreeMap<&'a str, ValueRef<'a>>);

impl<'a> Volumes<'a> {
    /// The volume of that name.
    pub(super) fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        self.0.get(name).copied()
    }
}

/// Checks the volumes at `at`. Those with errors are not among the answer, so that mounts of them are errors too.
pub(super) fn check<'a>(at: &Field, context: &Context<'a>, errors: &mut Errors) -> Volumes<'a> {
    let mut good = BTreeMap::new();
    let volumes = context.spec.get("volumes");
    let created: BTreeSet<String> = volumes
        .iter()
        .filter(|volume| !volume.get("ephemeral").is_none() && !context.pod_name.is_empty())
        .map(|volume| format!("{}-{}", context.pod_name, volume.get("name").str_or_empty()))
        .collect();
    for (index, volume) in volumes.iter().enumerate() {
        let (at, before) = (at.index(index), errors.len());
        let name = volume.get("name").str_or_empty();
        sources::of_pod(&at, volume, context, errors);
        if errors.needs(at.child("name"), name) {
            errors.invalid_each(at.child("name"), name, formats::dns_label(name));
        }
        if good.contains_key(name) {
            errors.duplicate(at.child("name"), name);
        }
        if errors.len() == before {
            good.insert(name, volume);
        }
        let claim = volume.get("persistentVolumeClaim").get("claimName").str_or_empty();
        if created.contains(claim) {
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            errors.invalid(at.child("persistentVolumeClaim.claimName"), claim, detail);
        }
    }
    Volumes(good)
}

//! What becomes of a volume.

use portcullis_client::{ClientError, EventType, Object, ObjectExt};
use portcullis_machinery::{Value, object};
use portcullis_placement::volumes::{BOUND_BY_CONTROLLER, MIGRATED_TO, PROVISIONED_BY, matching};

use super::{Controller, claim_key};

impl Controller {
    pub(super) async fn sync_volume(&self, name: &str) -> Result<(), ClientError> {
        let Some(volume) = self.volumes.get_key(name) else { return Ok(()) };
        // Free, or kept for a claim that may be still to come.
        if volume.str_at(&["spec", "claimRef", "uid"]).is_empty() {
            return self.set_volume_phase(&volume, "Available", "").await.map(drop);
        }
        let Some(claim) = self.claim_for(&volume).await? else { return self.give_back(&volume).await };
        let named = claim.str_at(&["spec", "volumeName"]);
        if named == volume.name() {
            return self.set_volume_phase(&volume, "Bound", "").await.map(drop);
        }
        if named.is_empty() {
            if !matching::same_mode(&claim, &volume) {
                let message = format!(
                    "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"{}\" due to incompatible volumeMode.",
                    claim.name()
                );
                self.event(&volume, EventType::Warning, "VolumeMismatch", &message);
                let message = format!(
                    "Cannot bind PersistentVolume \"{}\" to requested PersistentVolumeClaim due to incompatible volumeMode.",
                    volume.name()
                );
                self.event(&claim, EventType::Warning, "VolumeMismatch", &message);
            } else if let Some(key) = claim_key(&volume) {
                // Half bound: the claim's side is still to be written.
                self.claim_queue.add(key);
            }
            return Ok(());
        }
        // The claim got another volume. One that was made for it has no other use.
        let made_for_it = volume.annotation(PROVISIONED_BY).is_some()
            && volume.str_at(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete";
        if made_for_it { self.give_back(&volume).await } else { self.unbind(&volume).await }
    }

    pub(super) async fn set_volume_phase(
        &self,
        volume: &Object,
        phase: &str,
        why: &str,
    ) -> Result<Object, ClientError> {
        if volume.str_at(&["status", "phase"]) == phase {
            return Ok(volume.clone());
        }
        let mut updated = (**volume).clone();
        object::set_at(&mut updated, &["status", "phase"], phase);
        object::remove_at(&mut updated, &["status", "message"]);
        if !why.is_empty() {
            object::set_at(&mut updated, &["status", "message"], why);
        }
        self.write_status(&self.volumes, updated).await
    }

    /// A volume's claim is gone: what its policy says is done.
    async fn give_back(&self, volume: &Object) -> Result<(), ClientError> {
        let mut volume = volume.clone();
        if !matches!(volume.str_at(&["status", "phase"]), "Released" | "Failed") {
            volume = self.set_volume_phase(&volume, "Released", "").await?;
        }
        let Some(end) = end_of(&volume) else { return Ok(()) };
        if volume.str_at(&["status", "phase"]) != "Failed" {
            self.set_volume_phase(&volume, "Failed", &end.why).await?;
            self.event(&volume, EventType::Warning, end.reason, &end.why);
        }
        Ok(())
    }

    /// Frees a volume from a claim that got another. A user's choice of the claim stays, but not of which one of that name.
    async fn unbind(&self, volume: &Object) -> Result<(), ClientError> {
        let mut free = (**volume).clone();
        if volume.annotation(BOUND_BY_CONTROLLER).is_some() {
            object::remove_at(&mut free, &["spec", "claimRef"]);
            object::remove_at(&mut free, &["metadata", "annotations", BOUND_BY_CONTROLLER]);
        } else {
            object::remove_at(&mut free, &["spec", "claimRef", "uid"]);
        }
        let free = self.write(&self.volumes, free).await?;
        self.set_volume_phase(&free, "Available", "").await.map(drop)
    }
}

/// Why a volume cannot be reclaimed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: &'static str,
    pub(super) why: String,
}

/// Why a volume that was given back fails; none if somebody else deals with it, or nobody has to.
///
/// Deleting what is stored is the work of who made the volume. Nothing here deletes or cleans any storage, so that those
/// whom nobody made can only be told of.
pub(super) fn end_of(volume: &Value) -> Option<End> {
    if volume.annotation(MIGRATED_TO).is_some_and(|driver| !driver.is_empty()) {
        return None;
    }
    match volume.str_at(&["spec", "persistentVolumeReclaimPolicy"]) {
        "Retain" => None,
        "Delete" => {
            let maker = volume.annotation(PROVISIONED_BY).unwrap_or("");
            let outside = !maker.is_empty() && !maker.starts_with("kubernetes.io/");
            if outside || volume.at(&["spec", "csi"]).is_some() {
                return None;
            }
            let why = format!(
                "error getting deleter volume plugin for volume \"{}\": no deletable volume plugin matched",
                volume.name()
            );
            Some(End { reason: "VolumeFailedDelete", why })
        }
        "Recycle" => {
            Some(End { reason: "VolumeFailedRecycle", why: "No recycler plugin found for the volume!".into() })
        }
        _ => Some(End {
            reason: "VolumeUnknownReclaimPolicy",
            why: "Volume has unrecognized PersistentVolumeReclaimPolicy".into(),
        }),
    }
}

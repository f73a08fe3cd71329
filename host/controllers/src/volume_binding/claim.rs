//! What becomes of a claim.

use portcullis_client::resource::PERSISTENTVOLUMES;
use portcullis_client::{ClientError, EventType, Object, ObjectExt};
use portcullis_machinery::{Value, object};
use portcullis_placement::volumes::matching::{self, Search};
use portcullis_placement::volumes::{self, BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE};
use serde_json::json;

use super::{Controller, LATER};
use crate::common::is_over;

impl Controller {
    pub(super) async fn sync_claim(&self, key: &str) -> Result<(), ClientError> {
        let Some(claim) = self.claims.get_key(key) else { return Ok(()) };
        if claim.annotation(BIND_COMPLETED).is_some() {
            return self.keep(&claim).await;
        }
        if claim.str_at(&["spec", "volumeName"]).is_empty() {
            self.find_volume(&claim).await?;
        } else {
            self.take_volume(&claim).await?;
        }
        if self.claims.get_key(key).is_some_and(|claim| super::is_pending(&claim)) {
            self.claim_queue.add_after(key.to_owned(), LATER);
        }
        Ok(())
    }

    /// A claim that was bound stays bound, or is lost.
    async fn keep(&self, claim: &Object) -> Result<(), ClientError> {
        let named = claim.str_at(&["spec", "volumeName"]);
        if named.is_empty() {
            let why = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
            return self.lose(claim, "ClaimLost", why).await;
        }
        let Some(volume) = self.volume(named).await? else {
            let why = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            return self.lose(claim, "ClaimLost", why).await;
        };
        let holder = volume.str_at(&["spec", "claimRef", "uid"]);
        let free = volume.at(&["spec", "claimRef"]).is_none_or(Value::is_null);
        if free || holder == claim.uid() {
            return self.bind(claim, &volume).await;
        }
        let why = "Two claims are bound to the same volume, this one is bound incorrectly";
        self.lose(claim, "ClaimMisbound", why).await
    }

    /// A volume by its name, of the server if the cache does not know it.
    async fn volume(&self, name: &str) -> Result<Option<Object>, ClientError> {
        if let Some(volume) = self.volumes.get_key(name) {
            return Ok(Some(volume));
        }
        match self.client.get(&PERSISTENTVOLUMES, "", name).await {
            Ok(volume) => Ok(Some(volume.into())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn lose(&self, claim: &Object, reason: &str, why: &str) -> Result<(), ClientError> {
        if claim.str_at(&["status", "phase"]) != "Lost" {
            self.set_phase(claim, "Lost", None).await?;
            self.event(claim, EventType::Warning, reason, why);
        }
        Ok(())
    }

    /// For a claim to which any volume will do that suits it.
    async fn find_volume(&self, claim: &Object) -> Result<(), ClientError> {
        let class = Some(volumes::class_of(claim)).filter(|name| !name.is_empty());
        let class = class.and_then(|name| self.classes.get_key(name));
        let waits = class.as_ref().is_some_and(|class| volumes::waits_for_consumer(class));
        match matching::find(claim, &self.volumes.list(), &Search::Controller { waits }, |_| false) {
            Ok(Some(volume)) => return self.bind(claim, &volume).await,
            Ok(None) => {}
            // The server lets no such selector in; one of before is told of.
            Err(why) => self.event(claim, EventType::Warning, "FailedBinding", &why),
        }
        if !volumes::names_class(claim) {
            if let Some(class) = self.default_class() {
                let mut classed = (**claim).clone();
                object::set_at(&mut classed, &["spec", "storageClassName"], class.name());
                self.write(&self.claims, classed).await?;
                return Ok(());
            }
        }
        if waits && claim.annotation(SELECTED_NODE).is_none() {
            let (reason, message) = self.waits_for(claim);
            self.event(claim, EventType::Normal, reason, &message);
        } else if !volumes::class_of(claim).is_empty() {
            return self.ask_for_volume(claim, class.as_ref()).await;
        } else {
            let message = "no persistent volumes available for this claim and no storage class is set";
            self.event(claim, EventType::Normal, "FailedBinding", message);
        }
        self.set_phase(claim, "Pending", None).await.map(drop)
    }

    /// What a claim of a class that waits for a consumer waits for.
    fn waits_for(&self, claim: &Value) -> (&'static str, String) {
        let pods = self.pods.list_namespace(claim.namespace());
        let mut names: Vec<&str> = pods
            .iter()
            .filter(|pod| !is_over(pod) && pod.str_at(&["spec", "nodeName"]).is_empty())
            .filter(|pod| volumes::claims_of(pod).any(|own| own.name == claim.name()))
            .map(|pod| pod.name())
            .collect();
        names.sort_unstable();
        match names[..] {
            [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
            [pod] => ("WaitForPodScheduled", format!("waiting for pod {pod} to be scheduled")),
            _ => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", names.join(","))),
        }
    }

    /// The class of claims that name none: of those marked so, the youngest.
    fn default_class(&self) -> Option<Object> {
        let marked = |class: &Object| {
            ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
                .iter()
                .any(|annotation| class.annotation(annotation) == Some("true"))
        };
        let age = |class: &Object| {
            let born = class.str_at(&["metadata", "creationTimestamp"]).to_owned();
            (std::cmp::Reverse(born), class.name().to_owned())
        };
        self.classes.list().into_iter().filter(marked).min_by_key(age)
    }

    /// Tells whoever makes volumes of the class that one is wanted.
    async fn ask_for_volume(&self, claim: &Object, class: Option<&Object>) -> Result<(), ClientError> {
        let Some(class) = class else {
            let message = format!("storageclass.storage.k8s.io \"{}\" not found", volumes::class_of(claim));
            self.event(claim, EventType::Warning, "ProvisioningFailed", &message);
            return Ok(());
        };
        let provisioner = class.str_at(&["provisioner"]);
        // Those that were part of Kubernetes are not any more; what is left of the prefix makes no volumes.
        if provisioner.starts_with("kubernetes.io/") {
            let message = "no volume plugin matched";
            self.event(claim, EventType::Warning, "ProvisioningFailed", message);
            return Ok(());
        }
        if claim.annotation(volumes::PROVISIONER) != Some(provisioner) {
            let mut asking = (**claim).clone();
            for annotation in [volumes::PROVISIONER, volumes::PROVISIONER_BETA] {
                object::set_at(&mut asking, &["metadata", "annotations", annotation], provisioner);
            }
            self.write(&self.claims, asking).await?;
        }
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
             system administrator. If volume creation is delayed, please verify that the provisioner is running and \
             correctly registered."
        );
        self.event(claim, EventType::Normal, "ExternalProvisioning", &message);
        Ok(())
    }

    /// For a claim that names its volume.
    async fn take_volume(&self, claim: &Object) -> Result<(), ClientError> {
        let Some(volume) = self.volume(claim.str_at(&["spec", "volumeName"])).await? else {
            return self.set_phase(claim, "Pending", None).await.map(drop);
        };
        if volumes::belongs_to(&volume, claim) {
            return self.bind(claim, &volume).await;
        }
        if volume.at(&["spec", "claimRef"]).is_some_and(|reference| !reference.is_null()) {
            let message = format!("volume \"{}\" already bound to a different claim.", volume.name());
            self.event(claim, EventType::Warning, "FailedBinding", &message);
        } else if let Some(why) = matching::objection(&volume, claim) {
            let message = format!("Cannot bind to requested volume \"{}\": {why}", volume.name());
            self.event(claim, EventType::Warning, "VolumeMismatch", &message);
        } else {
            return self.bind(claim, &volume).await;
        }
        self.set_phase(claim, "Pending", None).await.map(drop)
    }

    /// Binds both to each other, as far as they are not yet: first the volume, then the claim.
    async fn bind(&self, claim: &Object, volume: &Object) -> Result<(), ClientError> {
        let volume = match volumes::bound_to(volume, claim) {
            Some(bound) => self.write(&self.volumes, bound).await?,
            None => volume.clone(),
        };
        let volume = self.set_volume_phase(&volume, "Bound", "").await?;
        let mut bound = (**claim).clone();
        if claim.str_at(&["spec", "volumeName"]) != volume.name() {
            object::set_at(&mut bound, &["spec", "volumeName"], volume.name());
            object::set_at(&mut bound, &["metadata", "annotations", BOUND_BY_CONTROLLER], "yes");
        }
        if claim.annotation(BIND_COMPLETED).is_none() {
            object::set_at(&mut bound, &["metadata", "annotations", BIND_COMPLETED], "yes");
        }
        let claim = if bound == **claim { claim.clone() } else { self.write(&self.claims, bound).await? };
        self.set_phase(&claim, "Bound", Some(&volume)).await.map(drop)
    }

    /// Writes a claim's phase, and what its volume is like.
    async fn set_phase(&self, claim: &Object, phase: &str, volume: Option<&Value>) -> Result<Object, ClientError> {
        let status = status_of(claim, phase, volume);
        if claim.get("status") == Some(&status) {
            return Ok(claim.clone());
        }
        let mut updated = (**claim).clone();
        updated["status"] = status;
        self.write_status(&self.claims, updated).await
    }
}

/// A claim's status in a phase, with this volume.
pub(super) fn status_of(claim: &Value, phase: &str, volume: Option<&Value>) -> Value {
    let mut status = claim.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let before = status.str_at(&["phase"]).to_owned();
    status["phase"] = phase.into();
    let Some(volume) = volume else {
        for field in ["accessModes", "capacity", "currentVolumeAttributesClassName"] {
            object::remove_at(&mut status, &[field]);
        }
        return status;
    };
    if let Some(modes) = volume.at(&["spec", "accessModes"]) {
        status["accessModes"] = modes.clone();
    }
    // Later the size may differ on purpose: a file system need not fill its device.
    if before != phase {
        let size = volume.annotation("volume.alpha.kubernetes.io/pre-resize-capacity").map(Value::from);
        match size {
            Some(size) => status["capacity"]["storage"] = size,
            None => status["capacity"] = volume.at(&["spec", "capacity"]).cloned().unwrap_or_else(|| json!({})),
        }
    }
    if before == "Pending" && phase == "Bound" {
        match volume.at(&["spec", "volumeAttributesClassName"]).filter(|class| !class.is_null()) {
            Some(class) => status["currentVolumeAttributesClassName"] = class.clone(),
            None => drop(object::remove_at(&mut status, &["currentVolumeAttributesClassName"])),
        }
    }
    status
}

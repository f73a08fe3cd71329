//! What was chosen for claims is written, and waited for: the controller of volumes finishes what is begun here.

use std::time::Duration;

use portcullis_client::resource::{PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES};
use portcullis_client::{Client, ClientError, Informer, Object, ObjectExt};
use portcullis_machinery::object;
use portcullis_placement::volumes::{SELECTED_NODE, bound_to, is_bound};
use tokio::time::Instant;

use super::{Choice, Volumes};

/// How long claims are waited for (the reference's `bindTimeoutSeconds`).
const PATIENCE: Duration = Duration::from_secs(600);
const PERIOD: Duration = Duration::from_millis(50);

/// Why a pod's claims were not bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// A write was refused; most often because somebody else was first.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The pod went meanwhile.
    #[error("pod does not exist any more")]
    PodGone,
    /// A volume was taken back.
    #[error("ClaimRef got reset for pv {0:?}")]
    Unbound(String),
    /// Whoever makes volumes could not make one for the node.
    #[error("provisioning failed for PVC {0:?}")]
    NotProvisioned(String),
    /// It took too long.
    #[error("timed out waiting for the condition")]
    Timeout,
}

impl Volumes {
    /// Keeps the chosen volumes from other pods until [`Self::release`].
    pub(crate) fn reserve(&self, choice: &Choice) {
        let mut reserved = self.reserved.lock();
        for (claim, volume) in &choice.bind {
            reserved.insert(volume.name().to_owned(), claim.uid().to_owned());
        }
    }

    pub(crate) fn release(&self, choice: &Choice) {
        let mut reserved = self.reserved.lock();
        for (_, volume) in &choice.bind {
            reserved.remove(volume.name());
        }
    }

    /// Writes what was chosen, and waits until all claims are bound.
    pub(crate) async fn bind(
        &self,
        client: &Client,
        pods: &Informer,
        pod: &Object,
        node: &str,
        choice: &Choice,
    ) -> Result<(), BindError> {
        let mut versions = Vec::new();
        for (claim, volume) in &choice.bind {
            if let Some(bound) = bound_to(volume, claim) {
                let written = client.update(&PERSISTENTVOLUMES, &bound).await?;
                versions.push((written.name().to_owned(), version(&written)));
            }
        }
        for claim in &choice.provision {
            if claim.annotation(SELECTED_NODE) != Some(node) {
                let mut chosen = (**claim).clone();
                object::set_at(&mut chosen, &["metadata", "annotations", SELECTED_NODE], node);
                let written = client.update(&PERSISTENTVOLUMECLAIMS, &chosen).await?;
                versions.push((written.key(), version(&written)));
            }
        }
        let until = Instant::now() + PATIENCE;
        while !self.are_bound(pods, pod, node, choice, &versions)? {
            if Instant::now() > until {
                return Err(BindError::Timeout);
            }
            tokio::time::sleep(PERIOD).await;
        }
        Ok(())
    }

    fn are_bound(
        &self,
        pods: &Informer,
        pod: &Object,
        node: &str,
        choice: &Choice,
        versions: &[(String, u64)],
    ) -> Result<bool, BindError> {
        if pods.get_key(&pod.key()).is_none_or(|known| known.uid() != pod.uid()) {
            return Err(BindError::PodGone);
        }
        // What was written and not seen yet says nothing.
        let behind = |informer: &Informer, key: &str| {
            let written = versions.iter().find(|(name, _)| name == key).map(|(_, version)| *version);
            let known = informer.get_key(key).map(|known| version(&known));
            written.is_some_and(|written| known.is_some_and(|known| known < written))
        };
        let mut all = true;
        for (claim, volume) in &choice.bind {
            if behind(&self.volumes, volume.name()) {
                return Ok(false);
            }
            let holder = self.volumes.get_key(volume.name());
            if holder.is_none_or(|volume| volume.str_at(&["spec", "claimRef", "uid"]) != claim.uid()) {
                return Err(BindError::Unbound(volume.name().to_owned()));
            }
            all &= self.claims.get_key(&claim.key()).is_some_and(|claim| is_bound(&claim));
        }
        for claim in &choice.provision {
            if behind(&self.claims, &claim.key()) {
                return Ok(false);
            }
            let known = self.claims.get_key(&claim.key());
            if known.as_ref().is_none_or(|claim| claim.annotation(SELECTED_NODE) != Some(node)) {
                return Err(BindError::NotProvisioned(claim.name().to_owned()));
            }
            all &= known.is_some_and(|claim| is_bound(&claim));
        }
        Ok(all)
    }
}

fn version(object: &portcullis_machinery::Value) -> u64 {
    object.resource_version().parse().unwrap_or(0)
}

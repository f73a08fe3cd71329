//! Claims get their volumes, and volumes that were given back are reclaimed.
//!
//! A claim and a volume each have a queue. A claim that is not bound looks for a volume that suits it, or asks for one to be
//! made; a volume whose claim is gone becomes `Released`, and is given up, freed or kept as its policy says. Making volumes
//! is the work of provisioners outside, which are told by annotations. Claims of a class that waits for a consumer are left
//! to the scheduler, which writes its choice on the volume; from there on they are bound here like others.
//!
//! Every write carries the version that the decision was made on, so that two claims never get the same volume: the one
//! that comes second is refused and looks again.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::object::object_key;
use portcullis_client::resource::{PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES};
use portcullis_client::{
    Client, ClientError, EventRecorder, EventType, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use portcullis_placement::volumes::{belongs_to, class_of};

use crate::common::Context;

mod claim;
#[cfg(test)]
mod tests;
mod volume;

/// Names the claims without a volume.
const PENDING: &str = "pending";
/// When a claim without a volume looks for one again without an occasion.
const LATER: Duration = Duration::from_secs(15);

struct Controller {
    client: Client,
    events: EventRecorder,
    claims: Informer,
    volumes: Informer,
    classes: Informer,
    pods: Informer,
    claim_queue: WorkQueue<String>,
    volume_queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("persistentvolume-controller");
    let start = |resource| Informer::builder(&client, resource).start(context.shutdown.clone());
    let controller = Arc::new(Controller {
        events: EventRecorder::new(client.clone(), "persistentvolume-controller", "", context.shutdown.clone()),
        claims: Informer::builder(&client, &PERSISTENTVOLUMECLAIMS)
            .index(PENDING, |claim| is_pending(claim).then(String::new).into_iter().collect())
            .start(context.shutdown.clone()),
        volumes: start(&PERSISTENTVOLUMES),
        classes: start(&STORAGECLASSES),
        pods: context.pods.clone(),
        claim_queue: WorkQueue::new(),
        volume_queue: WorkQueue::new(),
        client,
    });
    for informer in [&controller.claims, &controller.volumes, &controller.classes, &controller.pods] {
        informer.synced().await;
    }
    controller.listen();
    let (claims, volumes) = (controller.clone(), controller.clone());
    let of_claims =
        run_workers("persistentvolume-claims", controller.claim_queue.clone(), 1, context.shutdown.clone(), {
            move |key| {
                let controller = claims.clone();
                async move { controller.sync_claim(&key).await }
            }
        });
    let of_volumes =
        run_workers("persistentvolumes", controller.volume_queue.clone(), 1, context.shutdown, move |key| {
            let controller = volumes.clone();
            async move { controller.sync_volume(&key).await }
        });
    tokio::join!(of_claims, of_volumes);
}

/// A claim that has no volume yet.
fn is_pending(claim: &Value) -> bool {
    matches!(claim.str_at(&["status", "phase"]), "" | "Pending")
}

impl Controller {
    fn listen(self: &Arc<Self>) {
        let see = self.clone();
        self.claims.on_event(move |event| {
            let claim = event.object();
            see.claim_queue.add(claim.key());
            // What becomes of a volume is decided by whether its claim is there.
            if matches!(event, InformerEvent::Deleted(_)) {
                let named = claim.str_at(&["spec", "volumeName"]);
                if !named.is_empty() {
                    see.volume_queue.add(named.to_owned());
                }
            }
        });
        let see = self.clone();
        self.volumes.on_event(move |event| {
            let volume = event.object();
            see.volume_queue.add(volume.name().to_owned());
            if let Some(key) = claim_key(volume) {
                see.claim_queue.add(key);
            } else if !matches!(event, InformerEvent::Deleted(_)) {
                see.wake(|claim| class_of(claim) == class_of(volume));
            }
            // Claims that name a volume hear of it, whoever the volume is kept for.
            see.wake(|claim| claim.str_at(&["spec", "volumeName"]) == volume.name());
        });
        let see = self.clone();
        self.classes.on_event(move |_| see.wake(|_| true));
    }

    /// Has claims without a volume look again.
    fn wake(&self, which: impl Fn(&Value) -> bool) {
        for claim in self.claims.by_index(PENDING, "") {
            if which(&claim) {
                self.claim_queue.add(claim.key());
            }
        }
    }

    fn event(&self, about: &Value, kind: EventType, reason: &str, message: &str) {
        self.events.event(about, kind, reason, message);
    }

    /// Writes an object and waits until the informer has it, so that the next decision is made on it.
    async fn write(&self, informer: &Informer, object: Value) -> Result<Object, ClientError> {
        let written = self.client.update(informer.resource(), &object).await?;
        Ok(self.seen(informer, written).await)
    }

    /// The same for an object's status.
    async fn write_status(&self, informer: &Informer, object: Value) -> Result<Object, ClientError> {
        let written = self.client.update_status(informer.resource(), &object).await?;
        Ok(self.seen(informer, written).await)
    }

    async fn seen(&self, informer: &Informer, written: Value) -> Object {
        let version = |object: &Value| object.resource_version().parse::<u64>().unwrap_or(0);
        let key = object_key(written.namespace(), written.name());
        // A cache that stays behind for longer is no reason to stop: the server refuses decisions made on old versions.
        for _ in 0..200 {
            match informer.get_key(&key) {
                Some(known) if known.uid() == written.uid() && version(&known) < version(&written) => {}
                Some(_) => break,
                None => break,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Arc::new(written)
    }

    /// The claim that a volume is for, if that is still there.
    async fn claim_for(&self, volume: &Value) -> Result<Option<Object>, ClientError> {
        let Some(key) = claim_key(volume) else { return Ok(None) };
        if let Some(claim) = self.claims.get_key(&key).filter(|claim| belongs_to(volume, claim)) {
            return Ok(Some(claim));
        }
        if matches!(volume.str_at(&["status", "phase"]), "Released" | "Failed") {
            return Ok(None);
        }
        // Nothing is given up because of what this cache does not know yet.
        let (namespace, name) = portcullis_client::object::split_key(&key);
        match self.client.get(&PERSISTENTVOLUMECLAIMS, namespace, name).await {
            Ok(claim) => Ok(Some(Arc::new(claim)).filter(|claim| belongs_to(volume, claim))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The key of the claim that a volume names.
fn claim_key(volume: &Value) -> Option<String> {
    let reference = volume.at(&["spec", "claimRef"]).filter(|reference| !reference.is_null())?;
    Some(object_key(reference.str_at(&["namespace"]), reference.str_at(&["name"])))
}

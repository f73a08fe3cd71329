//! Claims and volumes that are in use stay until they are not ("Storage Object in Use Protection", KEP-2629).
//!
//! The API server gives every claim, volume and class of attributes a finalizer. Here it is taken away from those that are
//! being deleted once no pod has the claim, no claim the volume, and neither claim nor volume the class.

use std::time::Duration;

use portcullis_client::object::object_key;
use portcullis_client::resource::{PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, VOLUMEATTRIBUTESCLASSES};
use portcullis_client::{
    Client, ClientError, Informer, InformerEvent, ListParams, ObjectExt, Resource, WorkQueue, run_workers,
};
use portcullis_machinery::{Value, object};
use portcullis_placement::volumes::claims_of;

use crate::common::{Context, is_over};

#[cfg(test)]
mod tests;

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
const CLASS_FINALIZER: &str = "kubernetes.io/vac-protection";
/// When a claim that is in use is looked at again without an occasion.
const LATER: Duration = Duration::from_secs(30);

/// Runs the controller of claims until shutdown.
pub(crate) async fn claims(context: Context) {
    let client = context.client_for("pvc-protection-controller");
    let claims = Informer::builder(&client, &PERSISTENTVOLUMECLAIMS).start(context.shutdown.clone());
    claims.synced().await;
    context.pods.synced().await;
    let queue: WorkQueue<String> = WorkQueue::new();
    let add = queue.clone();
    claims.on_event(move |event| {
        if is_held(event.object(), CLAIM_FINALIZER) {
            add.add(event.object().key());
        }
    });
    let add = queue.clone();
    context.pods.on_event(move |event| {
        let pod = event.object();
        if matches!(event, InformerEvent::Deleted(_)) || is_over(pod) {
            claims_of(pod).for_each(|claim| add.add(object_key(pod.namespace(), &claim.name)));
        }
    });
    let again = queue.clone();
    run_workers("pvc-protection", queue, 2, context.shutdown, move |key| {
        let (client, claim, again) = (client.clone(), claims.get_key(&key), again.clone());
        async move {
            let Some(claim) = claim.filter(|claim| is_held(claim, CLAIM_FINALIZER)) else { return Ok(()) };
            // Asked of the server: a pod that was made a moment ago may be missing in what was watched.
            let pods = client.list_all(&PODS, claim.namespace(), &ListParams::default()).await?;
            if pods.items.iter().any(|pod| !is_over(pod) && claims_of(pod).any(|own| own.name == claim.name())) {
                again.add_after(key, LATER);
                return Ok(());
            }
            release(&client, &PERSISTENTVOLUMECLAIMS, &claim, CLAIM_FINALIZER).await
        }
    })
    .await;
}

/// Runs the controller of volumes until shutdown.
pub(crate) async fn volumes(context: Context) {
    let client = context.client_for("pv-protection-controller");
    let volumes = Informer::builder(&client, &PERSISTENTVOLUMES).start(context.shutdown.clone());
    volumes.synced().await;
    let queue: WorkQueue<String> = WorkQueue::new();
    let add = queue.clone();
    volumes.on_event(move |event| {
        if is_held(event.object(), VOLUME_FINALIZER) {
            add.add(event.object().key());
        }
    });
    run_workers("pv-protection", queue, 2, context.shutdown, move |key| {
        let (client, volume) = (client.clone(), volumes.get_key(&key));
        async move {
            match volume.filter(|volume| is_held(volume, VOLUME_FINALIZER)) {
                // What is bound is in use. It comes here again when that changes.
                Some(volume) if volume.str_at(&["status", "phase"]) != "Bound" => {
                    release(&client, &PERSISTENTVOLUMES, &volume, VOLUME_FINALIZER).await
                }
                _ => Ok(()),
            }
        }
    })
    .await;
}

/// Runs the controller of classes of attributes until shutdown.
pub(crate) async fn attributes_classes(context: Context) {
    let client = context.client_for("volumeattributesclass-protection-controller");
    let start = |resource: &Resource| Informer::builder(&client, resource).start(context.shutdown.clone());
    let classes = start(&VOLUMEATTRIBUTESCLASSES);
    let users = [start(&PERSISTENTVOLUMECLAIMS), start(&PERSISTENTVOLUMES)];
    for informer in users.iter().chain([&classes]) {
        informer.synced().await;
    }
    let queue: WorkQueue<String> = WorkQueue::new();
    let add = queue.clone();
    classes.on_event(move |event| {
        if is_held(event.object(), CLASS_FINALIZER) {
            add.add(event.object().key());
        }
    });
    for informer in &users {
        let add = queue.clone();
        informer.on_event(move |event| {
            let before = match event {
                InformerEvent::Updated { old, .. } | InformerEvent::Deleted(old) => old,
                InformerEvent::Added(_) => return,
            };
            attributes_classes_of(before).for_each(|class| add.add(class.to_owned()));
        });
    }
    run_workers("vac-protection", queue, 2, context.shutdown, move |key| {
        let class = classes.get_key(&key).filter(|class| is_held(class, CLASS_FINALIZER));
        let mut objects = users.iter().flat_map(Informer::list);
        let used = objects.any(|user| attributes_classes_of(&user).any(|class| class == key));
        let client = client.clone();
        async move {
            match class.filter(|_| !used) {
                Some(class) => release(&client, &VOLUMEATTRIBUTESCLASSES, &class, CLASS_FINALIZER).await,
                None => Ok(()),
            }
        }
    })
    .await;
}

/// The classes of attributes that a claim or a volume has, or is about to get.
fn attributes_classes_of(user: &Value) -> impl Iterator<Item = &str> {
    let paths: [&[&str]; 3] = [
        &["spec", "volumeAttributesClassName"],
        &["status", "currentVolumeAttributesClassName"],
        &["status", "modifyVolumeStatus", "targetVolumeAttributesClassName"],
    ];
    paths.into_iter().map(|path| user.str_at(path)).filter(|class| !class.is_empty())
}

/// Whether the object would be gone but for the finalizer.
fn is_held(found: &Value, finalizer: &str) -> bool {
    found.is_deleting() && object::finalizers(found).any(|held| held == finalizer)
}

async fn release(client: &Client, resource: &Resource, held: &Value, finalizer: &str) -> Result<(), ClientError> {
    let mut free = held.clone();
    let rest: Vec<Value> = object::finalizers(held).filter(|held| *held != finalizer).map(Value::from).collect();
    object::set_at(&mut free, &["metadata", "finalizers"], rest);
    match client.update(resource, &free).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

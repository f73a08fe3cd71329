//! Claims of pods' ephemeral volumes: made from the pod's templates, and the pod's own, so that they end with it.

use portcullis_client::object::object_key;
use portcullis_client::resource::PERSISTENTVOLUMECLAIMS;
use portcullis_client::{
    ClientError, EventRecorder, EventType, Informer, InformerEvent, ObjectExt, WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use portcullis_placement::volumes::is_made_for;
use serde_json::json;

use crate::common::{Context, controller_ref};

#[cfg(test)]
mod tests;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("ephemeral-volume-controller");
    let events = EventRecorder::new(client.clone(), "ephemeral_volume", "", context.shutdown.clone());
    let claims = Informer::builder(&client, &PERSISTENTVOLUMECLAIMS).start(context.shutdown.clone());
    claims.synced().await;
    context.pods.synced().await;
    let queue: WorkQueue<String> = WorkQueue::new();
    let add = queue.clone();
    context.pods.on_event(move |event| {
        let pod = event.object();
        if !matches!(event, InformerEvent::Deleted(_)) && templates(pod).next().is_some() {
            add.add(pod.key());
        }
    });
    // One that somebody deleted is made again for the pod that still has it.
    let add = queue.clone();
    claims.on_event(move |event| {
        if let (InformerEvent::Deleted(claim), Some(owner)) = (event, event.object().controller_of()) {
            add.add(object_key(claim.namespace(), owner.str_at(&["name"])));
        }
    });
    let pods = context.pods.clone();
    run_workers("ephemeral-volume", queue, 5, context.shutdown, move |key| {
        let (client, events) = (client.clone(), events.clone());
        let (pod, claims) = (pods.get_key(&key).filter(|pod| !pod.is_deleting()), claims.clone());
        async move {
            let Some(pod) = pod else { return Ok(()) };
            for (volume, claim) in templates(&pod) {
                let failed = |why: String| {
                    events.event(
                        &pod,
                        EventType::Warning,
                        "FailedBinding",
                        &format!("ephemeral volume {volume}: {why}"),
                    );
                };
                match claims.get(pod.namespace(), claim.name()) {
                    Some(known) if is_made_for(&known, &pod) => {}
                    Some(_) => failed(format!(
                        "PVC {}/{} was not created for pod {}/{} (pod is not owner)",
                        pod.namespace(),
                        claim.name(),
                        pod.namespace(),
                        pod.name()
                    )),
                    None => match client.create(&PERSISTENTVOLUMECLAIMS, pod.namespace(), &claim).await {
                        // The cache will know in a moment whose it is.
                        Err(error) if !error.is_already_exists() => {
                            failed(format!("create PVC {}: {error}", claim.name()));
                            return Err(error);
                        }
                        _ => {}
                    },
                }
            }
            Ok::<(), ClientError>(())
        }
    })
    .await;
}

/// The claims of a pod's ephemeral volumes, with the volumes' names.
fn templates(pod: &Value) -> impl Iterator<Item = (&str, Value)> {
    pod.list_at(&["spec", "volumes"]).iter().filter_map(|volume| {
        let template = volume.at(&["ephemeral", "volumeClaimTemplate"])?;
        let name = volume.str_at(&["name"]);
        let claim = json!({
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "metadata": {
                "name": format!("{}-{name}", pod.name()),
                "namespace": pod.namespace(),
                "labels": template.at(&["metadata", "labels"]),
                "annotations": template.at(&["metadata", "annotations"]),
                "ownerReferences": [controller_ref(pod)],
            },
            "spec": template.get("spec"),
        });
        Some((name, claim))
    })
}

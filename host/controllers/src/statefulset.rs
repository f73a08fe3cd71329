//! StatefulSets: pods with names that stay, each with its own claims, made and replaced in order.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, STATEFULSETS};
use portcullis_client::{ClientError, EventType, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use self::plan::Step;
use crate::common::{Context, available_in, is_ready};
use crate::pods::{self, PodControl};
use crate::revisions::{self, History, Style};

mod identity;
mod plan;
#[cfg(test)]
mod tests;

const STYLE: Style = Style {
    hash_label: "controller.kubernetes.io/hash",
    labels: |set| set.at(&["spec", "template", "metadata", "labels"]),
};

struct Controller {
    control: PodControl,
    pods: Informer,
    sets: Informer,
    claims: Informer,
    revisions: Informer,
    queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let control = PodControl::new(&context, "statefulset-controller");
    let start =
        |resource| Informer::builder(&control.client, resource).index_by_owner().start(context.shutdown.clone());
    let controller = Arc::new(Controller {
        sets: start(&STATEFULSETS),
        claims: start(&PERSISTENTVOLUMECLAIMS),
        revisions: start(&CONTROLLERREVISIONS),
        control,
        pods: context.pods.clone(),
        queue: WorkQueue::new(),
    });
    for informer in [&controller.sets, &controller.claims, &controller.revisions, &controller.pods] {
        informer.synced().await;
    }
    let see = controller.clone();
    controller.sets.on_event(move |event| {
        let key = event.object().key();
        if matches!(event, InformerEvent::Deleted(_)) {
            see.control.expectations.forget(&key);
        }
        see.queue.add(key);
    });
    let see = controller.clone();
    context.pods.on_event(move |event| {
        for key in pods::concerned(event, &see.sets, pods::selector_of) {
            see.control.expectations.see(&key, event);
            see.queue.add(key);
        }
    });
    let queue = controller.queue.clone();
    run_workers("statefulset", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// Ready, and for as long as the set asks.
fn is_available(set: &Value, pod: &Value) -> bool {
    available_in(pod, set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0)) == Some(0.0)
}

/// The name of the revision that a pod was made from.
fn revision_of(pod: &Value) -> &str {
    pod.label("controller-revision-hash").unwrap_or("")
}

impl Controller {
    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(set) = self.sets.get_key(key) else { return Ok(()) };
        let Ok(selector) = LabelSelector::from_object(set.at(&["spec", "selector"])) else { return Ok(()) };
        let mut pods = self.control.claim(&set, &selector, self.pods.list_namespace(set.namespace())).await?;
        pods.retain(|pod| identity::ordinal(&set, pod).is_some());
        let history = revisions::sync(&self.control.client, &self.revisions, &set, &STYLE).await?;
        let mut problem = None;
        if !set.is_deleting() && self.control.expectations.met(key) {
            let update = history.update().name().to_owned();
            for step in plan::plan(&set, &pods, &update) {
                problem = self.take(key, &set, &history, step).await.err();
                if problem.is_some() {
                    break;
                }
            }
        }
        let status = status_of(&set, &pods, &history);
        let current = status.str_at(&["currentRevision"]).to_owned();
        if set.get("status") != Some(&status) {
            let mut updated = (*set).clone();
            updated["status"] = status;
            self.control.client.update_status(&STATEFULSETS, &updated).await?;
        }
        let in_use =
            |revision: &Value| revision.name() == current || pods.iter().any(|pod| revision_of(pod) == revision.name());
        revisions::truncate(&self.control.client, &set, &history, in_use).await?;
        let min_ready = set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0);
        let soonest = pods.iter().filter_map(|pod| available_in(pod, min_ready)).filter(|seconds| *seconds > 0.0);
        if let Some(seconds) = soonest.min_by(f64::total_cmp) {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(seconds + 0.1));
        }
        problem.map_or(Ok(()), Err)
    }

    async fn take(&self, key: &str, set: &Value, history: &History, step: Step) -> Result<(), ClientError> {
        match step {
            Step::Create { ordinal, current } => {
                let revision = match history.named(set.str_at(&["status", "currentRevision"])) {
                    Some(revision) if current => revision,
                    _ => history.update(),
                };
                for claim in identity::claims(set, ordinal) {
                    self.ensure_claim(set, &claim).await?;
                }
                let pod = identity::new_pod(set, &revisions::template_of(revision), revision.name(), ordinal);
                self.control.create(key, set, &pod).await
            }
            Step::Delete(pod) => self.control.delete(key, set, &pod).await,
        }
    }

    async fn ensure_claim(&self, set: &Value, claim: &Value) -> Result<(), ClientError> {
        if self.claims.get(claim.namespace(), claim.name()).is_some() {
            return Ok(());
        }
        match self.control.client.create(&PERSISTENTVOLUMECLAIMS, claim.namespace(), claim).await {
            Ok(_) => {
                let message = format!("create Claim {} in StatefulSet {} success", claim.name(), set.name());
                self.control.events.event(set, EventType::Normal, "SuccessfulCreate", &message);
                Ok(())
            }
            Err(error) if error.is_already_exists() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn status_of(set: &Value, pods: &[Object], history: &History) -> Value {
    let update = history.update().name();
    let known = set.str_at(&["status", "currentRevision"]);
    let current = if known.is_empty() { update } else { known };
    let lives = |pod: &&Object| !pod.is_deleting();
    let of = |revision: &str| pods.iter().filter(lives).filter(|pod| revision_of(pod) == revision).count();
    let mut current = current.to_owned();
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let (updated, mut of_current) = (of(update), of(&current));
    let rolls = set.str_at(&["spec", "updateStrategy", "type"]) != "OnDelete";
    if rolls && current != update && updated == pods.len() && ready == pods.len() {
        // The way to the new revision is at its end.
        (current, of_current) = (update.to_owned(), updated);
    }
    let mut status = json!({
        "observedGeneration": set.generation(),
        "replicas": pods.len(),
        "availableReplicas": pods.iter().filter(|pod| is_available(set, pod)).count(),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": history.collisions,
    });
    for (field, count) in [("readyReplicas", ready), ("currentReplicas", of_current), ("updatedReplicas", updated)] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    if let Some(conditions) = set.at(&["status", "conditions"]) {
        status["conditions"] = conditions.clone();
    }
    status
}

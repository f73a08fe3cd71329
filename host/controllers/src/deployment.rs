//! Deployments: ReplicaSets by revision, and the way from one to the next.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{DEPLOYMENTS, REPLICASETS};
use portcullis_client::{
    Client, ClientError, EventRecorder, EventType, Informer, InformerEvent, Object, ObjectExt, PatchType, WorkQueue,
    run_workers,
};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use crate::common::{Context, controlled, controller_ref, controller_uid, is_active, is_over};

mod rolling;
mod status;
mod template;

#[cfg(test)]
mod tests;

use template::REVISION;

struct Controller {
    client: Client,
    deployments: Informer,
    replicasets: Informer,
    pods: Informer,
    events: EventRecorder,
    queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("deployment-controller");
    let controller = Arc::new(Controller {
        events: EventRecorder::new(client.clone(), "deployment-controller", "", context.shutdown.clone()),
        client,
        deployments: context.deployments.clone(),
        replicasets: context.replicasets.clone(),
        pods: context.pods.clone(),
        queue: WorkQueue::new(),
    });
    context.deployments.synced().await;
    context.replicasets.synced().await;
    context.pods.synced().await;
    let queue = controller.queue.clone();
    context.deployments.on_event(move |event| queue.add(event.object().key()));
    let see = controller.clone();
    context.replicasets.on_event(move |event| see.owner_of(event.object()));
    let see = controller.clone();
    context.pods.on_event(move |event| {
        // Only Recreate waits for pods to be gone; everything else it hears from the ReplicaSets.
        if matches!(event, InformerEvent::Deleted(_)) || is_over(event.object()) {
            let pod = event.object();
            let set = pod.controller_of().map_or("", |owner| owner.str_at(&["name"]));
            if let Some(set) = see.replicasets.get(pod.namespace(), set) {
                see.owner_of(&set);
            }
        }
    });
    let queue = controller.queue.clone();
    run_workers("deployment", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// The pictures that one pass works on.
struct Sets {
    /// The ReplicaSet of the present template.
    new: Option<Object>,
    /// All others, oldest first.
    old: Vec<Object>,
}

impl Sets {
    fn all(&self) -> impl Iterator<Item = &Object> {
        self.old.iter().chain(&self.new)
    }
}

fn replicas(set: &Value) -> i64 {
    set.int_at(&["spec", "replicas"]).unwrap_or(1)
}

impl Controller {
    fn owner_of(&self, set: &Value) {
        match set.controller_of() {
            Some(owner) if owner.str_at(&["kind"]) == "Deployment" => {
                self.queue.add(portcullis_client::object::object_key(set.namespace(), owner.str_at(&["name"])));
            }
            Some(_) => {}
            None => {
                for deployment in self.deployments.list_namespace(set.namespace()) {
                    let selector = LabelSelector::from_object(deployment.at(&["spec", "selector"]));
                    if selector.is_ok_and(|selector| selector.matches_object(set)) {
                        self.queue.add(deployment.key());
                    }
                }
            }
        }
    }

    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(deployment) = self.deployments.get_key(key) else { return Ok(()) };
        let Ok(selector) = LabelSelector::from_object(deployment.at(&["spec", "selector"])) else { return Ok(()) };
        let mut sets = self.claim(&deployment, &selector).await?;
        if !deployment.is_deleting() {
            let paused = deployment.bool_at(&["spec", "paused"]);
            if paused {
                self.rescale(&deployment, &sets).await?;
            } else if sets.new.is_some() && rolling::was_resized(&deployment, sets.all()) {
                self.rescale(&deployment, &sets).await?;
            } else if deployment.str_at(&["spec", "strategy", "type"]) == "Recreate" {
                self.recreate(&deployment, &mut sets).await?;
            } else {
                self.ensure_new(&deployment, &mut sets, None).await?;
                for (set, count) in rolling::plan(&deployment, sets.new.as_ref(), &sets.old) {
                    self.scale(&deployment, &set, count).await?;
                }
            }
            if !paused {
                self.clean_up(&deployment, &sets).await?;
            }
        }
        let (wanted, check_in) = status::status_of(&deployment, sets.new.as_ref(), &sets.old);
        let mut updated = (*deployment).clone();
        updated["status"] = wanted;
        // The revision goes with the status: a change of the annotations by itself would make a new generation.
        if let Some(revision) = sets.new.as_ref().map(|new| template::revision(new)).filter(|number| *number > 0) {
            updated["metadata"]["annotations"][REVISION] = revision.to_string().into();
        }
        if updated != *deployment {
            self.client.update_status(&DEPLOYMENTS, &updated).await?;
        }
        if let Some(seconds) = check_in {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(seconds.max(1.0)));
        }
        Ok(())
    }

    /// The Deployment's ReplicaSets, orphans that match adopted.
    async fn claim(&self, deployment: &Value, selector: &LabelSelector) -> Result<Sets, ClientError> {
        let mut owned = controlled(&self.replicasets, deployment);
        if !deployment.is_deleting() {
            for set in self.replicasets.list_namespace(deployment.namespace()) {
                if controller_uid(&set).is_empty() && !set.is_deleting() && selector.matches_object(&set) {
                    let patch =
                        json!({"metadata": {"uid": set.uid(), "ownerReferences": [controller_ref(deployment)]}});
                    let (namespace, name) = (set.namespace(), set.name());
                    let adopted =
                        self.client.patch(&REPLICASETS, namespace, name, "", PatchType::Strategic, &patch).await?;
                    owned.push(Arc::new(adopted));
                }
            }
        }
        owned.sort_by_key(|set| (set.str_at(&["metadata", "creationTimestamp"]).to_owned(), set.name().to_owned()));
        let new = owned.iter().position(|set| template::same(deployment, set)).map(|at| owned.remove(at));
        Ok(Sets { new, old: owned })
    }

    /// Makes the ReplicaSet of the present template, or brings the revision of the one that is there up to date.
    async fn ensure_new(&self, deployment: &Value, sets: &mut Sets, count: Option<i64>) -> Result<(), ClientError> {
        let revision = sets.old.iter().map(|set| template::revision(set)).max().unwrap_or(0) + 1;
        if let Some(new) = &sets.new {
            let revision = template::revision(new).max(revision);
            let wanted = template::annotations(deployment, Some(new), revision);
            if new.at(&["metadata", "annotations"]) != Some(&wanted) {
                let mut updated = (**new).clone();
                updated["metadata"]["annotations"] = wanted;
                updated["spec"]["minReadySeconds"] =
                    deployment.int_at(&["spec", "minReadySeconds"]).unwrap_or(0).into();
                sets.new = Some(Arc::new(self.client.update(&REPLICASETS, &updated).await?));
            }
            return Ok(());
        }
        let count = count.unwrap_or_else(|| rolling::first_size(deployment, &sets.old));
        let set = template::new_set(deployment, revision, count);
        match self.client.create(&REPLICASETS, deployment.namespace(), &set).await {
            Ok(created) => {
                let message = format!("Scaled up replica set {} from 0 to {count}", created.name());
                if count > 0 {
                    self.events.event(deployment, EventType::Normal, "ScalingReplicaSet", &message);
                }
                sets.new = Some(Arc::new(created));
                Ok(())
            }
            Err(error) if error.is_already_exists() => {
                let found = self.client.get(&REPLICASETS, deployment.namespace(), set.name()).await?;
                if controller_uid(&found) == deployment.uid() && template::same(deployment, &found) {
                    sets.new = Some(Arc::new(found));
                    return Ok(());
                }
                // Another template has the same hash: the next try hashes with a higher count.
                let mut updated = deployment.clone();
                let collisions = deployment.int_at(&["status", "collisionCount"]).unwrap_or(0);
                updated["status"]["collisionCount"] = (collisions + 1).into();
                self.client.update_status(&DEPLOYMENTS, &updated).await?;
                Err(error)
            }
            Err(error) => {
                if !error.is_namespace_terminating() {
                    let message = format!("Failed to create new replica set {:?}: {error}", set.name());
                    self.events.event(deployment, EventType::Warning, "ReplicaSetCreateError", &message);
                }
                Err(error)
            }
        }
    }

    async fn recreate(&self, deployment: &Value, sets: &mut Sets) -> Result<(), ClientError> {
        let mut shrinking = false;
        for set in sets.old.iter().filter(|set| replicas(set) > 0) {
            self.scale(deployment, set, 0).await?;
            shrinking = true;
        }
        let lives = |set: &Object| controlled(&self.pods, set).iter().any(|pod| !is_over(pod));
        if shrinking || sets.old.iter().any(lives) {
            return Ok(());
        }
        let wanted = replicas(deployment);
        self.ensure_new(deployment, sets, Some(wanted)).await?;
        match &sets.new {
            Some(new) if replicas(new) != wanted => self.scale(deployment, new, wanted).await,
            _ => Ok(()),
        }
    }

    /// The Deployment's size changed (or it is paused): what runs is scaled, nothing is rolled.
    async fn rescale(&self, deployment: &Value, sets: &Sets) -> Result<(), ClientError> {
        for (set, count) in rolling::rescale(deployment, sets.new.as_ref(), &sets.old) {
            self.scale(deployment, &set, count).await?;
        }
        Ok(())
    }

    async fn scale(&self, deployment: &Value, set: &Value, count: i64) -> Result<(), ClientError> {
        let before = replicas(set);
        let mut updated = set.clone();
        updated["spec"]["replicas"] = count.into();
        let annotations = template::sizes(deployment, set);
        updated["metadata"]["annotations"] = annotations;
        if updated == *set {
            return Ok(());
        }
        self.client.update(&REPLICASETS, &updated).await?;
        if before != count {
            let direction = if before < count { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {} from {before} to {count}", set.name());
            self.events.event(deployment, EventType::Normal, "ScalingReplicaSet", &message);
        }
        Ok(())
    }

    /// Deletes old ReplicaSets over the history limit, once the rollout is complete.
    async fn clean_up(&self, deployment: &Value, sets: &Sets) -> Result<(), ClientError> {
        if !status::is_complete(deployment, sets.new.as_ref(), &sets.old) {
            return Ok(());
        }
        let limit = deployment.int_at(&["spec", "revisionHistoryLimit"]).unwrap_or(10).max(0) as usize;
        let idle = |set: &&Object| {
            replicas(set) == 0
                && set.int_at(&["status", "replicas"]).unwrap_or(0) == 0
                && set.int_at(&["status", "observedGeneration"]).unwrap_or(0) >= set.generation()
                && !set.is_deleting()
                && !controlled(&self.pods, set).iter().any(|pod| is_active(pod))
        };
        let mut idle: Vec<&Object> = sets.old.iter().filter(idle).collect();
        idle.sort_by_key(|set| template::revision(set));
        let surplus = idle.len().saturating_sub(limit);
        for set in &idle[..surplus] {
            let params = portcullis_client::DeleteParams::uid(set.uid());
            match self.client.delete(&REPLICASETS, set.namespace(), set.name(), &params).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

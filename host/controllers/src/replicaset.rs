//! ReplicaSets and ReplicationControllers: as many pods as wished for, no more and no less.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{REPLICASETS, REPLICATIONCONTROLLERS, Resource};
use portcullis_client::{ClientError, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use crate::common::{Context, available_in, is_active, is_ready, set_condition};
use crate::pods::{self, BURST, PodControl};

#[cfg(test)]
mod tests;

struct Controller {
    resource: Resource,
    control: PodControl,
    pods: Informer,
    sets: Informer,
    queue: WorkQueue<String>,
}

/// Runs the controller of ReplicaSets until shutdown.
pub(crate) async fn run(context: Context) {
    let sets = context.replicasets.clone();
    run_for(context, REPLICASETS, sets, "replicaset-controller").await;
}

/// Runs the controller of ReplicationControllers until shutdown. They differ from ReplicaSets in their selector alone,
/// which is a plain map of labels.
pub(crate) async fn run_replication_controllers(context: Context) {
    let sets = Informer::builder(&context.client, &REPLICATIONCONTROLLERS).start(context.shutdown.clone());
    run_for(context, REPLICATIONCONTROLLERS, sets, "replication-controller").await;
}

async fn run_for(context: Context, resource: Resource, sets: Informer, name: &'static str) {
    let controller = Arc::new(Controller {
        resource,
        control: PodControl::new(&context, name),
        pods: context.pods.clone(),
        sets: sets.clone(),
        queue: WorkQueue::new(),
    });
    sets.synced().await;
    context.pods.synced().await;
    let see = controller.clone();
    sets.on_event(move |event| {
        let key = event.object().key();
        if matches!(event, InformerEvent::Deleted(_)) {
            see.control.expectations.forget(&key);
        }
        see.queue.add(key);
    });
    let see = controller.clone();
    context.pods.on_event(move |event| see.pod_event(event));
    let queue = controller.queue.clone();
    run_workers(name, queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

fn selector_of(set: &Value) -> Option<LabelSelector> {
    let selector = set.at(&["spec", "selector"])?;
    if set.str_at(&["kind"]) != "ReplicationController" {
        return LabelSelector::from_object(Some(selector)).ok();
    }
    let labels = selector.as_object().filter(|labels| !labels.is_empty())?;
    Some(LabelSelector::from_map(labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or("")))))
}

impl Controller {
    fn pod_event(&self, event: &InformerEvent) {
        for key in pods::concerned(event, &self.sets, selector_of) {
            self.control.expectations.see(&key, event);
            self.queue.add(key);
        }
    }

    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(set) = self.sets.get_key(key) else { return Ok(()) };
        let Some(selector) = selector_of(&set) else { return Ok(()) };
        let pods = self.control.claim(&set, &selector, self.pods.list_namespace(set.namespace())).await?;
        let mut failure = None;
        if !set.is_deleting() && self.control.expectations.met(key) {
            failure = self.manage(key, &set, &pods).await.err();
        }
        let status = status_of(&set, &pods, failure.as_ref());
        if set.get("status") != Some(&status) {
            let mut updated = (*set).clone();
            updated["status"] = status;
            self.control.client.update_status(&self.resource, &updated).await?;
        }
        let min_ready = set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0);
        let soonest = pods.iter().filter_map(|pod| available_in(pod, min_ready)).filter(|s| *s > 0.0);
        if let Some(seconds) = soonest.min_by(f64::total_cmp) {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(seconds + 0.1));
        }
        failure.map_or(Ok(()), Err)
    }

    async fn manage(&self, key: &str, set: &Value, pods: &[Object]) -> Result<(), ClientError> {
        let active: Vec<Object> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        let wanted = set.int_at(&["spec", "replicas"]).unwrap_or(1).max(0) as usize;
        if active.len() < wanted {
            let missing = (wanted - active.len()).min(BURST);
            let pods: Vec<Value> = (0..missing).map(|_| new_pod(set)).collect();
            return self.control.create_all(key, set, &pods).await;
        }
        for pod in victims(active, wanted).into_iter().take(BURST) {
            self.control.delete(key, set, &pod).await?;
        }
        Ok(())
    }
}

fn new_pod(set: &Value) -> Value {
    let mut pod = pods::from_template(set, set.at(&["spec", "template"]).unwrap_or(&Value::Null));
    pods::name_after(&mut pod, set.name());
    pod
}

/// Which pods go first: without a node, pending, unready, cheaper to delete, on fuller nodes, younger, restarted more.
fn victims(mut pods: Vec<Object>, wanted: usize) -> Vec<Object> {
    let count = pods.len().saturating_sub(wanted);
    let mut per_node: HashMap<String, usize> = HashMap::new();
    for pod in &pods {
        *per_node.entry(pod.str_at(&["spec", "nodeName"]).to_owned()).or_default() += 1;
    }
    let restarts = |pod: &Value| {
        let counts = pod.list_at(&["status", "containerStatuses"]).iter();
        counts.map(|status| status.int_at(&["restartCount"]).unwrap_or(0)).max().unwrap_or(0)
    };
    pods.sort_by_cached_key(|pod| {
        let node = pod.str_at(&["spec", "nodeName"]);
        let phase = match pod.str_at(&["status", "phase"]) {
            "Running" => 2,
            "Unknown" => 1,
            _ => 0,
        };
        let cost: i64 = pod
            .annotation("controller.kubernetes.io/pod-deletion-cost")
            .and_then(|cost| cost.parse().ok())
            .unwrap_or(0);
        (
            !node.is_empty(),
            phase,
            is_ready(pod),
            cost,
            std::cmp::Reverse(per_node[node]),
            std::cmp::Reverse(restarts(pod)),
            std::cmp::Reverse(pod.str_at(&["metadata", "creationTimestamp"]).to_owned()),
        )
    });
    pods.truncate(count);
    pods
}

fn status_of(set: &Value, pods: &[Object], failure: Option<&ClientError>) -> Value {
    let active: Vec<&Object> = pods.iter().filter(|pod| is_active(pod)).collect();
    let min_ready = set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0);
    let labels = set.at(&["spec", "template", "metadata", "labels"]).and_then(Value::as_object);
    let fully_labelled = |pod: &&&Object| {
        labels.is_none_or(|labels| labels.iter().all(|(name, value)| pod.label(name) == value.as_str()))
    };
    let mut status = json!({
        "replicas": active.len(),
        "observedGeneration": set.generation(),
    });
    // Counts of zero are left out, as the API stores them.
    for (field, count) in [
        ("fullyLabeledReplicas", active.iter().filter(fully_labelled).count()),
        ("readyReplicas", active.iter().filter(|pod| is_ready(pod)).count()),
        ("availableReplicas", active.iter().filter(|pod| available_in(pod, min_ready) == Some(0.0)).count()),
        ("terminatingReplicas", pods.iter().filter(|pod| pod.is_deleting()).count()),
    ] {
        if count > 0 || field == "terminatingReplicas" && set.at(&["status", field]).is_some() {
            status[field] = count.into();
        }
    }
    let mut conditions = set.list_at(&["status", "conditions"]).to_vec();
    match failure {
        Some(error) => {
            let condition = json!({
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": error.to_string(),
            });
            set_condition(&mut conditions, condition, &portcullis_client::time::now());
        }
        None => conditions.retain(|condition| condition.str_at(&["type"]) != "ReplicaFailure"),
    }
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    status
}

//! ReplicaSets: as many pods as wished for, no more and no less.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_client::resource::{PODS, REPLICASETS};
use portcullis_client::{
    Client, ClientError, DeleteParams, EventRecorder, EventType, Informer, InformerEvent, Object, ObjectExt, PatchType,
    WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use crate::common::{Context, available_in, controller_ref, controller_uid, is_active, is_ready, set_condition};

#[cfg(test)]
mod tests;

/// At most so many pods are created or deleted in one pass (the reference's burst).
const BURST: usize = 500;
/// After this an event that did not come is not waited for any more.
const EXPECTATION_AGE: Duration = Duration::from_secs(300);

/// Changes that were made and are not seen yet. Without them a pass on an old picture would make them twice.
#[derive(Default)]
struct Expectations(Mutex<HashMap<String, Expected>>);

struct Expected {
    created: HashSet<String>,
    deleted: HashSet<String>,
    since: Instant,
}

impl Expectations {
    fn met(&self, key: &str) -> bool {
        self.0.lock().get(key).is_none_or(|expected| {
            (expected.created.is_empty() && expected.deleted.is_empty()) || expected.since.elapsed() > EXPECTATION_AGE
        })
    }
    fn expect(&self, key: &str, change: impl FnOnce(&mut Expected)) {
        let mut all = self.0.lock();
        let expected = all.entry(key.to_owned()).or_insert_with(|| Expected {
            created: HashSet::new(),
            deleted: HashSet::new(),
            since: Instant::now(),
        });
        expected.since = Instant::now();
        change(expected);
    }
    fn see(&self, key: &str, change: impl FnOnce(&mut Expected)) {
        if let Some(expected) = self.0.lock().get_mut(key) {
            change(expected);
        }
    }
}

struct Controller {
    client: Client,
    pods: Informer,
    replicasets: Informer,
    events: EventRecorder,
    expectations: Expectations,
    queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("replicaset-controller");
    let controller = Arc::new(Controller {
        events: EventRecorder::new(client.clone(), "replicaset-controller", "", context.shutdown.clone()),
        client,
        pods: context.pods.clone(),
        replicasets: context.replicasets.clone(),
        expectations: Expectations::default(),
        queue: WorkQueue::new(),
    });
    context.replicasets.synced().await;
    context.pods.synced().await;
    let see = controller.clone();
    context.replicasets.on_event(move |event| {
        let key = event.object().key();
        if matches!(event, InformerEvent::Deleted(_)) {
            see.expectations.0.lock().remove(&key);
        }
        see.queue.add(key);
    });
    let see = controller.clone();
    context.pods.on_event(move |event| see.pod_event(event));
    let queue = controller.queue.clone();
    run_workers("replicaset", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

impl Controller {
    fn pod_event(&self, event: &InformerEvent) {
        let pod = event.object();
        let owner = pod.controller_of().filter(|owner| owner.str_at(&["kind"]) == "ReplicaSet");
        let Some(owner) = owner else {
            // An orphan may fit a ReplicaSet that is short of pods.
            if pod.controller_of().is_none() && !matches!(event, InformerEvent::Deleted(_)) {
                for set in self.replicasets.list_namespace(pod.namespace()) {
                    if LabelSelector::from_object(set.at(&["spec", "selector"])).is_ok_and(|s| s.matches_object(pod)) {
                        self.queue.add(set.key());
                    }
                }
            }
            return;
        };
        let key = portcullis_client::object::object_key(pod.namespace(), owner.str_at(&["name"]));
        self.expectations.see(&key, |expected| {
            expected.created.remove(pod.name());
            if matches!(event, InformerEvent::Deleted(_)) || pod.is_deleting() {
                expected.deleted.remove(pod.uid());
            }
        });
        self.queue.add(key);
    }

    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(set) = self.replicasets.get_key(key) else { return Ok(()) };
        let Ok(selector) = LabelSelector::from_object(set.at(&["spec", "selector"])) else { return Ok(()) };
        let pods = self.claim(&set, &selector).await?;
        let mut failure = None;
        if !set.is_deleting() && self.expectations.met(key) {
            failure = self.manage(key, &set, &pods).await.err();
        }
        let status = status_of(&set, &pods, failure.as_ref());
        if set.get("status") != Some(&status) {
            let mut updated = (*set).clone();
            updated["status"] = status;
            self.client.update_status(&REPLICASETS, &updated).await?;
        }
        let min_ready = set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0);
        let soonest = pods.iter().filter_map(|pod| available_in(pod, min_ready)).filter(|s| *s > 0.0);
        if let Some(seconds) = soonest.min_by(f64::total_cmp) {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(seconds + 0.1));
        }
        failure.map_or(Ok(()), Err)
    }

    /// The pods of the set: its own that match; orphans that match are adopted, its own that do not are released.
    async fn claim(&self, set: &Value, selector: &LabelSelector) -> Result<Vec<Object>, ClientError> {
        let mut claimed = Vec::new();
        for pod in self.pods.list_namespace(set.namespace()) {
            let owner = controller_uid(&pod);
            let matches = selector.matches_object(&pod);
            if owner == set.uid() {
                if matches {
                    claimed.push(pod);
                } else if !set.is_deleting() {
                    let patch = json!({"metadata": {
                        "uid": pod.uid(),
                        "ownerReferences": [{"$patch": "delete", "uid": set.uid()}],
                    }});
                    self.patch_pod(&pod, &patch).await?;
                }
            } else if owner.is_empty() && matches && !set.is_deleting() && is_active(&pod) {
                let patch = json!({"metadata": {"uid": pod.uid(), "ownerReferences": [controller_ref(set)]}});
                self.patch_pod(&pod, &patch).await?;
                claimed.push(pod);
            }
        }
        Ok(claimed)
    }

    async fn patch_pod(&self, pod: &Value, patch: &Value) -> Result<(), ClientError> {
        match self.client.patch(&PODS, pod.namespace(), pod.name(), "", PatchType::Strategic, patch).await {
            Err(error) if error.is_not_found() || error.code() == 422 => Ok(()),
            other => other.map(drop),
        }
    }

    async fn manage(&self, key: &str, set: &Value, pods: &[Object]) -> Result<(), ClientError> {
        let active: Vec<Object> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        let wanted = set.int_at(&["spec", "replicas"]).unwrap_or(1).max(0) as usize;
        if active.len() < wanted {
            return self.create(key, set, (wanted - active.len()).min(BURST)).await;
        }
        for pod in victims(active, wanted).into_iter().take(BURST) {
            self.expectations.expect(key, |expected| {
                expected.deleted.insert(pod.uid().to_owned());
            });
            match self.client.delete(&PODS, pod.namespace(), pod.name(), &DeleteParams::uid(pod.uid())).await {
                Ok(_) => {
                    let message = format!("Deleted pod: {}", pod.name());
                    self.events.event(set, EventType::Normal, "SuccessfulDelete", &message);
                }
                Err(error) => {
                    self.expectations.see(key, |expected| {
                        expected.deleted.remove(pod.uid());
                    });
                    if !error.is_not_found() {
                        self.events.event(set, EventType::Warning, "FailedDelete", &format!("Error deleting: {error}"));
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Creates pods in batches of 1, 2, 4, …: if all fail for one reason, one request shows it and not hundreds.
    async fn create(&self, key: &str, set: &Value, mut missing: usize) -> Result<(), ClientError> {
        let mut batch = 1;
        while missing > 0 {
            let count = batch.min(missing);
            let results = futures::future::join_all((0..count).map(|_| self.create_one(key, set))).await;
            for result in results {
                result?;
            }
            missing -= count;
            batch *= 2;
        }
        Ok(())
    }

    async fn create_one(&self, key: &str, set: &Value) -> Result<(), ClientError> {
        let pod = new_pod(set);
        // The expectation is by name and set before the request: the event may come before the answer.
        let name = pod.name().to_owned();
        self.expectations.expect(key, |expected| {
            expected.created.insert(name.clone());
        });
        match self.client.create(&PODS, set.namespace(), &pod).await {
            Ok(_) => {
                self.events.event(set, EventType::Normal, "SuccessfulCreate", &format!("Created pod: {name}"));
                Ok(())
            }
            Err(error) => {
                self.expectations.see(key, |expected| {
                    expected.created.remove(&name);
                });
                if error.is_namespace_terminating() || error.is_already_exists() {
                    return if error.is_already_exists() { Err(error) } else { Ok(()) };
                }
                self.events.event(set, EventType::Warning, "FailedCreate", &format!("Error creating: {error}"));
                Err(error)
            }
        }
    }
}

fn new_pod(set: &Value) -> Value {
    let template = set.at(&["spec", "template"]).cloned().unwrap_or_default();
    // The reference leaves the suffix to the server; five letters of 27 make the same names, known before the request.
    let suffix: String = {
        use rand::Rng as _;
        let mut random = rand::rng();
        crate::common::safe_encode(&(0..5).map(|_| random.random_range(b'a'..b'z') as char).collect::<String>())
    };
    let prefix: String = set.name().chars().take(57).collect();
    let mut metadata = json!({
        "generateName": format!("{prefix}-"),
        "name": format!("{prefix}-{suffix}"),
        "namespace": set.namespace(),
        "ownerReferences": [controller_ref(set)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.at(&["metadata", field]) {
            metadata[field] = value.clone();
        }
    }
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]})
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

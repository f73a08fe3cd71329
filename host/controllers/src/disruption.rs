//! PodDisruptionBudgets: how many pods of a group may be evicted now. The API server asks the number at each eviction.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{PODDISRUPTIONBUDGETS, REPLICATIONCONTROLLERS, STATEFULSETS};
use portcullis_client::{Client, ClientError, Informer, Object, ObjectExt, WorkQueue, run_workers, time};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::{Map, json};

use crate::common::{Context, controller_uid, is_over, is_ready, part_of, set_condition};

#[cfg(test)]
mod tests;

/// An evicted pod that is still there after that was not deleted after all.
const EVICTION_AGE: f64 = 120.0;

struct Controller {
    client: Client,
    context: Context,
    budgets: Informer,
    queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("disruption-controller");
    let controller = Arc::new(Controller {
        budgets: Informer::builder(&client, &PODDISRUPTIONBUDGETS).start(context.shutdown.clone()),
        client,
        context: context.clone(),
        queue: WorkQueue::new(),
    });
    for informer in [&controller.budgets, &context.pods, &context.replicasets, &context.deployments] {
        informer.synced().await;
    }
    let queue = controller.queue.clone();
    controller.budgets.on_event(move |event| queue.add(event.object().key()));
    let see = controller.clone();
    context.pods.on_event(move |event| {
        for budget in see.budgets.list_namespace(event.object().namespace()) {
            if selector_of(&budget).is_some_and(|selector| selector.matches_object(event.object())) {
                see.queue.add(budget.key());
            }
        }
    });
    // The size that is wished for counts too.
    let see = controller.clone();
    context.deployments.on_event(move |event| {
        see.budgets.list_namespace(event.object().namespace()).iter().for_each(|budget| see.queue.add(budget.key()));
    });
    let queue = controller.queue.clone();
    run_workers("disruption", queue, 2, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// A budget's selector; an empty one means all pods of the namespace, none at all means none.
fn selector_of(budget: &Value) -> Option<LabelSelector> {
    LabelSelector::from_object(Some(budget.at(&["spec", "selector"])?)).ok()
}

impl Controller {
    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(budget) = self.budgets.get_key(key) else { return Ok(()) };
        let selector = selector_of(&budget).unwrap_or_else(LabelSelector::nothing);
        let mut pods = self.context.pods.list_namespace(budget.namespace());
        pods.retain(|pod| selector.matches_object(pod) && !is_over(pod));
        let expected = if by_number(&budget) { Ok(pods.len()) } else { self.wished(&pods).await? };
        let status = status_of(&budget, &pods, expected);
        if !status["disruptedPods"].as_object().is_none_or(Map::is_empty) {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(EVICTION_AGE));
        }
        if budget.get("status") != Some(&status) {
            let mut updated = (*budget).clone();
            updated["status"] = status;
            self.client.update_status(&PODDISRUPTIONBUDGETS, &updated).await?;
        }
        Ok(())
    }

    /// How many pods the owners of these wish for; the inner error names a pod for which that cannot be known.
    async fn wished(&self, pods: &[Object]) -> Result<Result<usize, String>, ClientError> {
        let mut counted = std::collections::HashSet::new();
        let mut sum = 0;
        for pod in pods {
            let Some(owner) = pod.controller_of() else {
                return Ok(Err(format!("found no controller ref for pod {:?}", pod.name())));
            };
            let (kind, name) = (owner.str_at(&["kind"]), owner.str_at(&["name"]));
            let found = match kind {
                "ReplicaSet" => self.context.replicasets.get(pod.namespace(), name).map(|set| {
                    // That of a Deployment counts as the Deployment, which may have several on the way.
                    let above = controller_uid(&set).to_owned();
                    let deployments = self.context.deployments.list_namespace(pod.namespace());
                    deployments.into_iter().find(|deployment| deployment.uid() == above).unwrap_or(set)
                }),
                "StatefulSet" => Some(Arc::new(self.client.get(&STATEFULSETS, pod.namespace(), name).await?)),
                "ReplicationController" => {
                    Some(Arc::new(self.client.get(&REPLICATIONCONTROLLERS, pod.namespace(), name).await?))
                }
                _ => return Ok(Err(format!("{kind} does not implement the scale subresource"))),
            };
            if let Some(owner) = found.filter(|owner| counted.insert(owner.uid().to_owned())) {
                sum += usize::try_from(owner.int_at(&["spec", "replicas"]).unwrap_or(1)).unwrap_or(0);
            }
        }
        Ok(Ok(sum))
    }
}

/// Whether the budget counts the pods that are there, and not those that are wished for.
fn by_number(budget: &Value) -> bool {
    budget.at(&["spec", "minAvailable"]).is_some_and(Value::is_number)
}

/// How many healthy pods there must be.
fn desired(budget: &Value, expected: usize) -> i64 {
    let total = i64::try_from(expected).unwrap_or(i64::MAX);
    match (budget.at(&["spec", "minAvailable"]), budget.at(&["spec", "maxUnavailable"])) {
        (Some(least), _) => part_of(Some(least), total, "0", true),
        (None, Some(most)) => (total - part_of(Some(most), total, "0", true)).max(0),
        (None, None) => 0,
    }
}

fn status_of(budget: &Value, pods: &[Object], expected: Result<usize, String>) -> Value {
    let now = time::now();
    let mut conditions = budget.list_at(&["status", "conditions"]).to_vec();
    // Pods that were evicted and are about to go are not counted, and not twice either.
    let lives = |name: &str| pods.iter().any(|pod| pod.name() == name && !pod.is_deleting());
    let evicted: Map<String, Value> = budget
        .at(&["status", "disruptedPods"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, since)| {
            lives(name) && since.as_str().and_then(time::seconds_since).is_some_and(|age| age < EVICTION_AGE)
        })
        .map(|(name, since)| (name.clone(), since.clone()))
        .collect();
    let healthy = |pod: &&Object| is_ready(pod) && !pod.is_deleting() && !evicted.contains_key(pod.name());
    let current = i64::try_from(pods.iter().filter(healthy).count()).unwrap_or(i64::MAX);
    let (count, wanted, problem) = match expected {
        Ok(count) => (count, desired(budget, count), None),
        Err(problem) => (0, 0, Some(problem)),
    };
    let allowed = if count == 0 { 0 } else { (current - wanted).max(0) };
    let condition = match problem {
        Some(message) => json!({"status": "False", "reason": "SyncFailed", "message": message}),
        None if allowed > 0 => json!({"status": "True", "reason": "SufficientPods", "message": ""}),
        None => json!({"status": "False", "reason": "InsufficientPods", "message": ""}),
    };
    let mut wanted_condition = condition;
    wanted_condition["type"] = "DisruptionAllowed".into();
    wanted_condition["observedGeneration"] = budget.generation().into();
    set_condition(&mut conditions, wanted_condition, &now);
    let mut status = json!({
        "observedGeneration": budget.generation(),
        "disruptionsAllowed": allowed,
        "currentHealthy": current,
        "desiredHealthy": wanted,
        "expectedPods": count,
        "conditions": conditions,
    });
    if !evicted.is_empty() {
        status["disruptedPods"] = evicted.into();
    }
    status
}

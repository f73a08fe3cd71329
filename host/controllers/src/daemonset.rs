//! DaemonSets: one pod on every node that wants it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{CONTROLLERREVISIONS, DAEMONSETS};
use portcullis_client::{ClientError, EventType, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use crate::common::{Context, available_in, is_over, is_ready};
use crate::pods::{self, BURST, PodControl};
use crate::revisions::{self, Style};

mod nodes;
mod plan;
#[cfg(test)]
mod tests;

/// On a pod: the hash of its revision. On a revision: its own.
const HASH: &str = "controller-revision-hash";
const STYLE: Style = Style { hash_label: HASH, labels: |set| set.at(&["spec", "template", "metadata", "labels"]) };

struct Controller {
    control: PodControl,
    pods: Informer,
    nodes: Informer,
    sets: Informer,
    revisions: Informer,
    queue: WorkQueue<String>,
}

/// The pods of a set by node: those that are bound, and those that are made for a node and wait for the scheduler.
type Placed = BTreeMap<String, Vec<Object>>;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let control = PodControl::new(&context, "daemonset-controller");
    let start =
        |resource| Informer::builder(&control.client, resource).index_by_owner().start(context.shutdown.clone());
    let controller = Arc::new(Controller {
        sets: start(&DAEMONSETS),
        revisions: start(&CONTROLLERREVISIONS),
        control,
        pods: context.pods.clone(),
        nodes: context.nodes.clone(),
        queue: WorkQueue::new(),
    });
    for informer in [&controller.sets, &controller.revisions, &controller.pods, &controller.nodes] {
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
    context.nodes.on_event(move |event| {
        // What a node says every few seconds of its health changes nothing here.
        let matters = match event {
            InformerEvent::Updated { old, new } => nodes::what_counts(old) != nodes::what_counts(new),
            _ => true,
        };
        if matters {
            see.sets.list().iter().for_each(|set| see.queue.add(set.key()));
        }
    });
    let see = controller.clone();
    context.pods.on_event(move |event| {
        for key in pods::concerned(event, &see.sets, pods::selector_of) {
            see.control.expectations.see(&key, event);
            see.queue.add(key);
        }
    });
    let queue = controller.queue.clone();
    run_workers("daemonset", queue, 2, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

fn hash_of(pod: &Value) -> &str {
    pod.label(HASH).unwrap_or("")
}

fn is_available(set: &Value, pod: &Value) -> bool {
    available_in(pod, set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0)) == Some(0.0)
}

fn by_node(pods: &[Object]) -> Placed {
    let mut placed = Placed::new();
    for pod in pods {
        placed.entry(nodes::node_of(pod).to_owned()).or_default().push(pod.clone());
    }
    placed
}

impl Controller {
    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(set) = self.sets.get_key(key) else { return Ok(()) };
        let Ok(selector) = LabelSelector::from_object(set.at(&["spec", "selector"])) else { return Ok(()) };
        let pods = self.control.claim(&set, &selector, self.pods.list_namespace(set.namespace())).await?;
        let history = revisions::sync(&self.control.client, &self.revisions, &set, &STYLE).await?;
        let hash = revisions::hash_of(history.update(), &STYLE).to_owned();
        let placed = by_node(&pods);
        let nodes = self.nodes.list();
        let mut problem = None;
        if !set.is_deleting() && self.control.expectations.met(key) {
            problem = self.manage(key, &set, &hash, &nodes, &placed).await.err();
        }
        let mut status = status_of(&set, &hash, &nodes, &placed);
        if history.collisions > 0 {
            status["collisionCount"] = history.collisions.into();
        }
        if set.get("status") != Some(&status) {
            let mut updated = (*set).clone();
            updated["status"] = status;
            self.control.client.update_status(&DAEMONSETS, &updated).await?;
        }
        let in_use = |revision: &Value| {
            let of = revisions::hash_of(revision, &STYLE);
            pods.iter().any(|pod| hash_of(pod) == of)
        };
        revisions::truncate(&self.control.client, &set, &history, in_use).await?;
        let min_ready = set.int_at(&["spec", "minReadySeconds"]).unwrap_or(0);
        let soonest = pods.iter().filter_map(|pod| available_in(pod, min_ready)).filter(|seconds| *seconds > 0.0);
        if let Some(seconds) = soonest.min_by(f64::total_cmp) {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(seconds + 0.1));
        }
        problem.map_or(Ok(()), Err)
    }

    async fn manage(
        &self,
        key: &str,
        set: &Value,
        hash: &str,
        nodes: &[Object],
        placed: &Placed,
    ) -> Result<(), ClientError> {
        let plan = plan::plan(set, hash, nodes, placed);
        for pod in plan.delete.iter().take(BURST) {
            if pod.str_at(&["status", "phase"]) == "Failed" {
                let message =
                    format!("Found failed daemon pod {}/{}, will try to kill it", pod.namespace(), pod.name());
                self.control.events.event(set, EventType::Warning, "FailedDaemonPod", &message);
            }
            self.control.delete(key, set, pod).await?;
        }
        let new = plan.create.iter().take(BURST).map(|node| new_pod(set, hash, node)).collect::<Vec<_>>();
        self.control.create_all(key, set, &new).await
    }
}

fn new_pod(set: &Value, hash: &str, node: &str) -> Value {
    let mut pod = pods::from_template(set, set.at(&["spec", "template"]).unwrap_or(&Value::Null));
    pods::name_after(&mut pod, set.name());
    pod["metadata"]["labels"][HASH] = hash.into();
    let generation = set
        .annotation("deprecated.daemonset.template.generation")
        .map_or_else(|| set.generation().to_string(), str::to_owned);
    pod["metadata"]["labels"]["pod-template-generation"] = generation.into();
    nodes::pin(&mut pod, node);
    pod
}

fn status_of(set: &Value, hash: &str, nodes: &[Object], placed: &Placed) -> Value {
    let (mut desired, mut current, mut misplaced, mut ready, mut available, mut updated) = (0, 0, 0, 0, 0, 0);
    for node in nodes {
        let none = Vec::new();
        let mut here: Vec<&Object> =
            placed.get(node.name()).unwrap_or(&none).iter().filter(|pod| !is_over(pod)).collect();
        // The oldest counts where there are several.
        here.sort_by_key(|pod| (!is_ready(pod), pod.str_at(&["metadata", "creationTimestamp"]).to_owned()));
        if !nodes::wants(set, node).runs {
            misplaced += usize::from(!here.is_empty());
            continue;
        }
        desired += 1;
        current += usize::from(!here.is_empty());
        ready += usize::from(here.iter().any(|pod| is_ready(pod)));
        available += usize::from(here.iter().any(|pod| is_available(set, pod)));
        updated += usize::from(here.iter().any(|pod| hash_of(pod) == hash));
    }
    let mut status = json!({
        "currentNumberScheduled": current,
        "numberMisscheduled": misplaced,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": set.generation(),
    });
    for (field, count) in [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", desired - available),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    if let Some(conditions) = set.at(&["status", "conditions"]) {
        status["conditions"] = conditions.clone();
    }
    status
}

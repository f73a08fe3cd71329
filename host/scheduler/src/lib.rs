//! The scheduler: binds pending pods to nodes as its policies say.
//!
//! One loop takes the pod of the highest priority, asks the policies once for all nodes, counts the pod on the node
//! chosen at once (it is assumed there) and binds it through the API in the background. For a pod that fits nowhere, pods
//! of lower priority may be removed (`preempt.rs`).

#![forbid(unsafe_code)]

use std::sync::Arc;

use portcullis_client::resource::{NODES, PODDISRUPTIONBUDGETS, PODS};
use portcullis_client::serve::Metrics;
use portcullis_client::{Client, EventRecorder, EventType, Informer, InformerEvent, Object, ObjectExt};
use portcullis_machinery::Value;
use serde_json::json;
use tokio_util::sync::CancellationToken;

mod cache;
mod decide;
mod policy;
mod ports;
mod preempt;
mod preemption;
mod queue;
mod resources;
mod volumes;

pub use policy::{NodeBatch, Placement, PlacementPolicy, PodCounter, PolicyProvider};
pub use resources::{Amounts, node_allocatable, pod_requests};

use cache::Cache;
use decide::{Failure, Question};
use queue::Queue;
use volumes::{Choice, Volumes};

/// What the scheduler needs to know.
#[derive(Clone)]
pub struct SchedulerConfig {
    /// Pods with this `spec.schedulerName` are ours.
    pub scheduler_name: String,
    /// Where its numbers go.
    pub metrics: Arc<Metrics>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self { scheduler_name: "default-scheduler".into(), metrics: Arc::default() }
    }
}

struct Scheduler {
    client: Client,
    config: SchedulerConfig,
    cache: Arc<Cache>,
    queue: Queue,
    nodes: Informer,
    pods: Informer,
    budgets: Informer,
    volumes: Volumes,
    events: EventRecorder,
}

/// Schedules until shutdown.
pub async fn run(
    client: Client,
    config: SchedulerConfig,
    policies: Arc<dyn PolicyProvider>,
    shutdown: CancellationToken,
) {
    let client = client.with_user_agent("kube-scheduler/v1.36.0 (portcullis) scheduler");
    let nodes = Informer::builder(&client, &NODES).start(shutdown.clone());
    let pods = Informer::builder(&client, &PODS)
        .field_selector("status.phase!=Succeeded,status.phase!=Failed")
        .start(shutdown.clone());
    let budgets = Informer::builder(&client, &PODDISRUPTIONBUDGETS).start(shutdown.clone());
    let events = EventRecorder::new(client.clone(), &config.scheduler_name, "", shutdown.clone());
    let volumes = Volumes::new(&client, &shutdown);
    let scheduler = Arc::new(Scheduler {
        client,
        config,
        cache: Arc::default(),
        queue: Queue::default(),
        nodes: nodes.clone(),
        pods: pods.clone(),
        budgets: budgets.clone(),
        volumes,
        events,
    });
    let see = scheduler.clone();
    nodes.on_event(move |event| see.node_event(event));
    let see = scheduler.clone();
    pods.on_event(move |event| see.pod_event(event));
    for informer in scheduler.volumes.informers() {
        let see = scheduler.clone();
        informer.on_event(move |_| see.queue.world_changed());
    }
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = async {
            // A decision on half of the picture would overcommit nodes.
            nodes.synced().await;
            pods.synced().await;
            budgets.synced().await;
            for informer in scheduler.volumes.informers() {
                informer.synced().await;
            }
            scheduler.schedule_all(policies.as_ref()).await;
        } => {}
    }
}

fn is_over(pod: &Value) -> bool {
    matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed")
}

/// What of a node can make a difference to a pod. Heartbeats of its status do not.
fn relevant(node: &Value) -> [Option<&Value>; 5] {
    [
        node.get("spec"),
        node.at(&["metadata", "labels"]),
        node.at(&["metadata", "annotations"]),
        node.at(&["status", "allocatable"]),
        node.at(&["metadata", "uid"]),
    ]
}

impl Scheduler {
    fn node_event(&self, event: &InformerEvent) {
        match event {
            InformerEvent::Deleted(node) => self.cache.remove_node(node.name()),
            InformerEvent::Added(node) => {
                self.cache.set_node(node);
                self.queue.world_changed();
            }
            InformerEvent::Updated { old, new } => {
                self.cache.set_node(new);
                if relevant(old) != relevant(new) {
                    self.queue.world_changed();
                }
            }
        }
    }

    fn pod_event(&self, event: &InformerEvent) {
        let pod = event.object();
        let key = pod.key();
        if matches!(event, InformerEvent::Deleted(_)) || is_over(pod) {
            self.queue.remove(&key);
            self.cache.remove_pod(pod.uid());
            self.queue.world_changed();
        } else if !pod.str_at(&["spec", "nodeName"]).is_empty() {
            self.queue.remove(&key);
            let moved = match event {
                InformerEvent::Updated { old, new } => {
                    old.at(&["spec"]) != new.at(&["spec"])
                        || old.at(&["metadata", "labels"]) != new.at(&["metadata", "labels"])
                }
                _ => true,
            };
            self.cache.set_pod(pod);
            // A pod with which another wants to be may just have come.
            if moved {
                self.queue.world_changed();
            }
        } else if self.is_waiting(pod) {
            let changed = match event {
                InformerEvent::Updated { old, new } => {
                    old.at(&["spec"]) != new.at(&["spec"])
                        || old.at(&["metadata", "labels"]) != new.at(&["metadata", "labels"])
                }
                _ => false,
            };
            self.cache.nominate(pod, pod.str_at(&["status", "nominatedNodeName"]));
            self.queue.add(&key, cache::priority(pod), changed);
        } else {
            self.queue.remove(&key);
        }
    }

    fn is_waiting(&self, pod: &Value) -> bool {
        pod.str_at(&["spec", "nodeName"]).is_empty()
            && pod.str_at(&["spec", "schedulerName"]) == self.config.scheduler_name
            && pod.list_at(&["spec", "schedulingGates"]).is_empty()
            && !pod.is_deleting()
            && !is_over(pod)
    }

    async fn schedule_all(self: &Arc<Self>, policies: &dyn PolicyProvider) {
        loop {
            let key = self.queue.next().await;
            match self.pods.get_key(&key) {
                Some(pod) if self.is_waiting(&pod) && !self.cache.is_placed(pod.uid()) => self.schedule(pod, policies),
                _ => self.queue.remove(&key),
            }
            let (active, all) = self.queue.depth();
            let help = "Pods that wait for a node.";
            self.config.metrics.gauge("scheduler_pending_pods", help, &[("queue", "active")], active as f64);
            self.config.metrics.gauge("scheduler_pending_pods", help, &[("queue", "all")], all as f64);
            tokio::task::yield_now().await;
        }
    }

    fn schedule(self: &Arc<Self>, pod: Object, policies: &dyn PolicyProvider) {
        let wants = match self.volumes.wants(&pod, &self.pods) {
            Ok(wants) => wants.unwrap_or_default(),
            Err(why) => {
                self.queue.failed(&pod.key(), false);
                self.attempted("unschedulable");
                let message = format!("0/{} nodes are available: {why}.", self.nodes.len());
                return self.report(pod, message, None);
            }
        };
        let policies = policies.policies();
        let question = Question::new(&self.cache, &policies, &pod).unless(|node| wants.on(node).err());
        let result = match question.decide() {
            Ok(node) if self.cache.assume(&pod, &node) => {
                let choice = question.node(&node).and_then(|node| wants.on(node).ok()).unwrap_or_default();
                self.volumes.reserve(&choice);
                let (this, pod) = (self.clone(), pod.clone());
                tokio::spawn(async move { this.bind(pod, &node, choice).await });
                "scheduled"
            }
            Ok(_) => "scheduled",
            Err(Failure::Unschedulable(message)) => {
                let nomination = self.preempt(&question, &pod);
                self.queue.failed(&pod.key(), false);
                self.report(pod.clone(), message, nomination);
                "unschedulable"
            }
            Err(Failure::Policy(message)) => {
                tracing::warn!(pod = pod.key(), message, "not scheduled");
                self.queue.failed(&pod.key(), true);
                self.report(pod.clone(), message, None);
                "error"
            }
        };
        self.attempted(result);
    }

    fn attempted(&self, result: &str) {
        let help = "Decisions by result.";
        self.config.metrics.count("scheduler_schedule_attempts_total", help, &[("result", result)], 1.0);
    }

    async fn bind(&self, pod: Object, node: &str, choice: Choice) {
        let bound = self.volumes.bind(&self.client, &self.pods, &pod, node, &choice).await;
        self.volumes.release(&choice);
        if let Err(error) = bound {
            tracing::debug!(pod = pod.key(), node, %error, "volumes not bound");
            return self.not_bound(&pod, false);
        }
        let binding = json!({
            "kind": "Binding",
            "apiVersion": "v1",
            // The uid keeps a pod that was deleted and created again under its name from getting this node.
            "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
            "target": {"kind": "Node", "apiVersion": "v1", "name": node},
        });
        match self.client.create_subresource(&PODS, pod.namespace(), pod.name(), "binding", &binding).await {
            Ok(_) => {
                self.queue.remove(&pod.key());
                let message = format!("Successfully assigned {} to {node}", pod.key());
                self.events.event(&pod, EventType::Normal, "Scheduled", &message);
            }
            Err(error) => {
                // If the binding happened all the same, the informer says so and the server refuses a second one.
                tracing::debug!(pod = pod.key(), node, %error, "not bound");
                self.not_bound(&pod, error.is_not_found());
            }
        }
    }

    /// Takes back what was assumed of a pod; it is tried again unless it is `gone`.
    fn not_bound(&self, pod: &Object, gone: bool) {
        self.cache.forget(pod.uid());
        if gone {
            self.queue.remove(&pod.key());
        } else {
            self.queue.failed(&pod.key(), true);
        }
        self.queue.world_changed();
    }
}

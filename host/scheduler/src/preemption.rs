//! What becomes of a pod that fits nowhere: room is made for it, and its status says how it is.

use std::sync::Arc;

use portcullis_client::resource::PODS;
use portcullis_client::{DeleteParams, EventType, Object, ObjectExt, PatchType};
use serde_json::json;

use crate::Scheduler;
use crate::cache::priority;
use crate::decide::Question;
use crate::preempt::{self, Nomination};

impl Scheduler {
    /// Looks for a node where others can make room for the pod, and keeps that room for it.
    pub(crate) fn preempt(&self, question: &Question<'_>, pod: &Object) -> Option<Nomination> {
        if !preempt::may_preempt(&self.cache, pod) {
            return None;
        }
        match preempt::nominate(&self.cache, question, pod, &self.budgets.list()) {
            Ok(Some(nomination)) => {
                self.cache.nominate(pod, &nomination.node);
                Some(nomination)
            }
            Ok(None) => None,
            Err(failure) => {
                tracing::warn!(pod = pod.key(), ?failure, "no room was looked for");
                None
            }
        }
    }

    /// Says in the pod's status why it waits and where room is being made, and then makes it.
    pub(crate) fn report(self: &Arc<Self>, pod: Object, message: String, nomination: Option<Nomination>) {
        self.events.event(&pod, EventType::Warning, "FailedScheduling", &message);
        let known = pod.list_at(&["status", "conditions"]).iter().find(|c| c.str_at(&["type"]) == "PodScheduled");
        let told = known.is_some_and(|c| c.str_at(&["message"]) == message && c.str_at(&["status"]) == "False");
        if told && nomination.is_none() {
            return;
        }
        let since = known.filter(|c| c.str_at(&["status"]) == "False").map(|c| c.str_at(&["lastTransitionTime"]));
        let mut patch = json!({"status": {"conditions": [{
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "observedGeneration": pod.generation(),
            "lastTransitionTime": since.map_or_else(portcullis_client::time::now, str::to_owned),
        }]}});
        if let Some(nomination) = &nomination {
            patch["status"]["nominatedNodeName"] = (&*nomination.node).into();
        }
        let this = self.clone();
        tokio::spawn(async move {
            let (namespace, name) = (pod.namespace(), pod.name());
            if let Err(error) = this.client.patch(&PODS, namespace, name, "status", PatchType::Strategic, &patch).await
            {
                tracing::debug!(pod = pod.key(), %error, "condition not written");
            }
            if let Some(nomination) = nomination {
                this.make_room(&pod, &nomination).await;
            }
        });
    }

    /// Removes the victims, each with a condition that says why; who waits for the same room with less right is told.
    async fn make_room(&self, pod: &Object, nomination: &Nomination) {
        for victim in &nomination.victims {
            let patch = json!({"metadata": {"uid": victim.uid()}, "status": {"conditions": [{
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "PreemptionByScheduler",
                "message": format!("{}: preempting to accommodate a higher priority pod", self.config.scheduler_name),
                "observedGeneration": victim.generation(),
                "lastTransitionTime": portcullis_client::time::now(),
            }]}});
            let (namespace, name) = (victim.namespace(), victim.name());
            let marked = self.client.patch(&PODS, namespace, name, "status", PatchType::Strategic, &patch).await;
            let params = DeleteParams::uid(victim.uid());
            let removed = match marked {
                Ok(_) => self.client.delete(&PODS, namespace, name, &params).await.map(drop),
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => {
                    let message = format!("Preempted by pod {} on node {}", pod.uid(), nomination.node);
                    self.events.event(victim, EventType::Normal, "Preempted", &message);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::debug!(pod = victim.key(), %error, "not preempted"),
            }
        }
        for uid in self.cache.nominated_below(&nomination.node, priority(pod)) {
            let Some(other) = self.pods.list().into_iter().find(|other| other.uid() == uid) else { continue };
            self.cache.nominate(&other, "");
            let patch = json!({"metadata": {"uid": uid}, "status": {"nominatedNodeName": null}});
            let (namespace, name) = (other.namespace(), other.name());
            if let Err(error) = self.client.patch(&PODS, namespace, name, "status", PatchType::Strategic, &patch).await
            {
                tracing::debug!(pod = other.key(), %error, "nomination not taken back");
            }
        }
    }
}

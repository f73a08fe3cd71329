//! Jobs: pods that run to their end, so often as wished for.
//!
//! A pod counts once, whatever happens to it: it carries a finalizer, and only after its uid was written to the Job's
//! status is the finalizer taken away, and only after that does the uid become part of a number. A controller that dies
//! in between finds in the status what it had done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_client::resource::JOBS;
use portcullis_client::{ClientError, EventType, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use self::indexes::Indexes;
use self::outcome::Verdict;
use crate::common::{Context, condition, is_active};
use crate::pods::{self, BURST, PodControl};

mod indexes;
mod outcome;
mod policy;
mod status;
#[cfg(test)]
mod tests;

/// What a Job's pods carry until they are counted.
const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Which index an Indexed Job's pod has: an annotation and a label.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The wait after the first failure; it doubles with each up to the longest.
const BACKOFF: f64 = 10.0;
const LONGEST_BACKOFF: f64 = 600.0;

struct Controller {
    control: PodControl,
    pods: Informer,
    jobs: Informer,
    queue: WorkQueue<String>,
    /// Pods whose finalizer was taken away, by the Job's key, until that is seen.
    released: Mutex<HashMap<String, HashSet<String>>>,
}

/// A Job and its pods, sorted by what they mean for it.
struct Picture {
    job: Object,
    /// All pods of the Job.
    pods: Vec<Object>,
    /// Neither over nor on its way out.
    active: Vec<Object>,
    /// Over, and not part of a number yet.
    succeeded: Vec<Object>,
    /// Failed, or deleted before the end, and not part of a number yet.
    failed: Vec<Object>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let controller = Arc::new(Controller {
        control: PodControl::new(&context, "job-controller"),
        pods: context.pods.clone(),
        jobs: context.jobs.clone(),
        queue: WorkQueue::new(),
        released: Mutex::default(),
    });
    context.jobs.synced().await;
    context.pods.synced().await;
    let see = controller.clone();
    context.jobs.on_event(move |event| {
        let key = event.object().key();
        if matches!(event, InformerEvent::Deleted(_)) {
            see.control.expectations.forget(&key);
            see.released.lock().remove(&key);
        }
        see.queue.add(key);
    });
    let see = controller.clone();
    context.pods.on_event(move |event| see.pod_event(event));
    let queue = controller.queue.clone();
    run_workers("job", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

fn has_finalizer(pod: &Value) -> bool {
    pod.list_at(&["metadata", "finalizers"]).iter().any(|finalizer| finalizer == FINALIZER)
}

/// Complete or failed.
pub(crate) fn is_finished(job: &Value) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|kind| condition(job, kind).is_some_and(|condition| condition.str_at(&["status"]) == "True"))
}

impl Controller {
    fn pod_event(&self, event: &InformerEvent) {
        let pod = event.object();
        let is_counted = matches!(event, InformerEvent::Deleted(_)) || !has_finalizer(pod);
        for key in pods::concerned(event, &self.jobs, pods::selector_of) {
            self.control.expectations.see(&key, event);
            if is_counted && let Some(released) = self.released.lock().get_mut(&key) {
                released.remove(pod.uid());
            }
            self.queue.add(key);
        }
    }

    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let found = self.jobs.get_key(key);
        self.release_orphans(key, found.as_ref().map_or("", |job| job.uid())).await?;
        let Some(job) = found else { return Ok(()) };
        let manager = job.str_at(&["spec", "managedBy"]);
        if !manager.is_empty() && manager != "kubernetes.io/job-controller" {
            return Ok(());
        }
        let Ok(selector) = LabelSelector::from_object(job.at(&["spec", "selector"])) else { return Ok(()) };
        let pods = self.control.claim(&job, &selector, self.pods.list_namespace(job.namespace())).await?;
        if is_finished(&job) || job.is_deleting() {
            return self.release_all(key, &pods).await;
        }
        let picture = self.picture(key, job, pods);
        let verdict = outcome::judge(&picture);
        let mut problem = None;
        if self.control.expectations.met(key) {
            problem = self.manage(key, &picture, &verdict).await.err();
        }
        self.count(key, &picture, &verdict).await?;
        if let Some(seconds) = outcome::look_again(&picture) {
            self.queue.add_after(key.to_owned(), Duration::from_secs_f64(seconds.max(0.1)));
        }
        problem.map_or(Ok(()), Err)
    }

    fn picture(&self, key: &str, job: Object, pods: Vec<Object>) -> Picture {
        let released = self.released.lock().get(key).cloned().unwrap_or_default();
        let counts = |pod: &&Object| has_finalizer(pod) && !released.contains(pod.uid());
        let phase = |pod: &Object, phase: &str| pod.str_at(&["status", "phase"]) == phase;
        // A pod that is deleted before its end has failed, at once or when it is over, as the policy says.
        let late = job.str_at(&["spec", "podReplacementPolicy"]) == "Failed";
        let failed = |pod: &Object| phase(pod, "Failed") || (pod.is_deleting() && !late && !phase(pod, "Succeeded"));
        Picture {
            active: pods.iter().filter(|pod| is_active(pod)).cloned().collect(),
            succeeded: pods.iter().filter(|pod| phase(pod, "Succeeded")).filter(counts).cloned().collect(),
            failed: pods.iter().filter(|pod| failed(pod)).filter(counts).cloned().collect(),
            pods,
            job,
        }
    }

    /// Makes or deletes pods.
    async fn manage(&self, key: &str, picture: &Picture, verdict: &Verdict) -> Result<(), ClientError> {
        let job = &picture.job;
        if verdict.is_over() || job.bool_at(&["spec", "suspend"]) {
            for pod in picture.active.iter().take(BURST) {
                self.control.delete(key, job, pod).await?;
            }
            return Ok(());
        }
        let wanted = outcome::wanted(picture);
        let present = picture.active.len() + outcome::holding_their_place(picture);
        if present > wanted {
            let surplus = (present - wanted).min(picture.active.len());
            for pod in status::least_useful(&picture.active, surplus) {
                self.control.delete(key, job, &pod).await?;
            }
            return Ok(());
        }
        let missing = (wanted - present).min(BURST);
        if missing == 0 || outcome::backoff(picture) > 0.0 {
            return Ok(());
        }
        let pods: Vec<Value> = match Indexes::of(picture) {
            Some(indexes) => {
                let new = |index| new_pod(job, Some((index, indexes.failures_of(index))));
                indexes.missing(missing).into_iter().map(new).collect()
            }
            None => (0..missing).map(|_| new_pod(job, None)).collect(),
        };
        self.control.create_all(key, job, &pods).await
    }

    /// Writes the status, and moves the pods that are over from the list of those to be counted into the numbers.
    async fn count(&self, key: &str, picture: &Picture, verdict: &Verdict) -> Result<(), ClientError> {
        let job = &picture.job;
        let mut written = (**job).clone();
        written["status"] = status::status_of(picture, verdict);
        if written["status"] != *job.get("status").unwrap_or(&Value::Null) {
            written = self.control.client.update_status(&JOBS, &written).await?;
            self.tell(job, &written);
        }
        let over: Vec<&Object> = picture.succeeded.iter().chain(&picture.failed).collect();
        if over.is_empty() {
            return Ok(());
        }
        for pod in over {
            self.release(key, pod).await?;
        }
        if status::settle(&mut written["status"], &HashSet::new()) {
            self.control.client.update_status(&JOBS, &written).await?;
        }
        Ok(())
    }

    /// Events about conditions that are new.
    fn tell(&self, before: &Value, after: &Value) {
        for now in after.list_at(&["status", "conditions"]) {
            let kind = now.str_at(&["type"]);
            let was = condition(before, kind).map_or("", |known| known.str_at(&["status"]));
            let (status, reason) = (now.str_at(&["status"]), now.str_at(&["reason"]));
            if was == status {
                continue;
            }
            match (kind, status) {
                ("Complete", "True") => {
                    self.control.events.event(after, EventType::Normal, "Completed", "Job completed")
                }
                ("Failed", "True") => {
                    self.control.events.event(after, EventType::Warning, reason, now.str_at(&["message"]));
                }
                ("Suspended", "True") => {
                    self.control.events.event(after, EventType::Normal, "Suspended", "Job suspended");
                }
                ("Suspended", _) => self.control.events.event(after, EventType::Normal, "Resumed", "Job resumed"),
                _ => {}
            }
        }
    }

    async fn release(&self, key: &str, pod: &Value) -> Result<(), ClientError> {
        if !has_finalizer(pod) {
            return Ok(());
        }
        self.released.lock().entry(key.to_owned()).or_default().insert(pod.uid().to_owned());
        let patch = json!({"metadata": {"uid": pod.uid(), "$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
        let result = self.control.patch(pod, &patch).await;
        if result.is_err() {
            if let Some(released) = self.released.lock().get_mut(key) {
                released.remove(pod.uid());
            }
        }
        result
    }

    /// A Job that is over needs no pod any more: those that live are ended, and none is held back.
    async fn release_all(&self, key: &str, pods: &[Object]) -> Result<(), ClientError> {
        for pod in pods {
            self.release(key, pod).await?;
        }
        Ok(())
    }

    /// Pods of a Job that is gone must not wait for being counted. Another one of its name may be there by now.
    async fn release_orphans(&self, key: &str, present: &str) -> Result<(), ClientError> {
        let (namespace, name) = portcullis_client::object::split_key(key);
        let lost = |pod: &Object| {
            let of_name = |owner: &&Value| owner.str_at(&["kind"]) == "Job" && owner.str_at(&["name"]) == name;
            has_finalizer(pod) && pod.controller_of().filter(of_name).is_some_and(|o| o.str_at(&["uid"]) != present)
        };
        let mut pods = self.pods.list_namespace(namespace);
        pods.retain(lost);
        self.release_all(key, &pods).await
    }
}

/// A pod; for an Indexed Job with its index and how often that has failed.
fn new_pod(job: &Value, index: Option<(usize, i64)>) -> Value {
    let mut pod = pods::from_template(job, job.at(&["spec", "template"]).unwrap_or(&Value::Null));
    let mut finalizers = pod.list_at(&["metadata", "finalizers"]).to_vec();
    finalizers.push(FINALIZER.into());
    pod["metadata"]["finalizers"] = finalizers.into();
    match index {
        Some((index, failures)) => {
            pods::name_after(&mut pod, &format!("{}-{index}", job.name()));
            indexes::put(&mut pod, job, index, failures);
        }
        None => pods::name_after(&mut pod, job.name()),
    }
    pod
}

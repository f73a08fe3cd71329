//! CronJobs: a Job whenever the clock says so.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_client::resource::{CRONJOBS, JOBS};
use portcullis_client::{
    Client, ClientError, DeleteParams, EventRecorder, EventType, Informer, Object, ObjectExt, Propagation, WorkQueue,
    run_workers, time,
};
use portcullis_machinery::Value;
use serde_json::json;

use self::schedule::Schedule;
use crate::common::{Context, condition, controlled, controller_ref};
use crate::job::is_finished;

mod schedule;
#[cfg(test)]
mod tests;

/// For when a Job was made, in the schedule's zone.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// More missed starts than that are reported.
const MANY: usize = 100;

struct Controller {
    client: Client,
    events: EventRecorder,
    cronjobs: Informer,
    jobs: Informer,
    queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("cronjob-controller");
    let controller = Arc::new(Controller {
        events: EventRecorder::new(client.clone(), "cronjob-controller", "", context.shutdown.clone()),
        cronjobs: Informer::builder(&client, &CRONJOBS).start(context.shutdown.clone()),
        client,
        jobs: context.jobs.clone(),
        queue: WorkQueue::new(),
    });
    controller.cronjobs.synced().await;
    context.jobs.synced().await;
    let queue = controller.queue.clone();
    controller.cronjobs.on_event(move |event| queue.add(event.object().key()));
    let queue = controller.queue.clone();
    context.jobs.on_event(move |event| {
        let job = event.object();
        if let Some(owner) = job.controller_of().filter(|owner| owner.str_at(&["kind"]) == "CronJob") {
            queue.add(portcullis_client::object::object_key(job.namespace(), owner.str_at(&["name"])));
        }
    });
    let queue = controller.queue.clone();
    run_workers("cronjob", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// What the clock says.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    /// The last start that has come and was not made yet.
    last: Option<Timestamp>,
    /// How many have come since the last one that was made.
    missed: usize,
    /// The next start to come.
    next: Option<Timestamp>,
}

/// Which starts have come. Those before the deadline are not looked at.
fn due(schedule: &Schedule, cronjob: &Value, now: Timestamp) -> Due {
    let times = ["/status/lastScheduleTime", "/metadata/creationTimestamp"];
    let known = times.iter().filter_map(|path| time::parse(cronjob.pointer(path)?.as_str()?));
    let mut from = known.max().unwrap_or(now);
    if let Some(seconds) = cronjob.int_at(&["spec", "startingDeadlineSeconds"]) {
        if let Ok(earliest) = Timestamp::from_second(now.as_second() - seconds) {
            from = from.max(earliest);
        }
    }
    let mut due = Due { last: None, missed: 0, next: None };
    loop {
        due.next = schedule.next(due.last.unwrap_or(from));
        match due.next {
            Some(time) if time <= now => (due.last, due.missed) = (Some(time), due.missed + 1),
            _ => return due,
        }
        // A clock that was set, or a long stop: what is next is found from the present, the count is enough as it is.
        if due.missed > MANY * 10 {
            let close = Timestamp::from_second(now.as_second() - 86_400).unwrap_or(now);
            due.last = due.last.max(Some(close));
        }
    }
}

impl Controller {
    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let Some(cronjob) = self.cronjobs.get_key(key) else { return Ok(()) };
        let mut status = cronjob.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
        let jobs = controlled(&self.jobs, &cronjob);
        self.follow(&cronjob, &mut status, &jobs);
        self.clean_up(&cronjob, &jobs).await?;
        let mut result = Ok(());
        if !cronjob.is_deleting() && !cronjob.bool_at(&["spec", "suspend"]) {
            result = self.start(key, &cronjob, &mut status, &jobs).await;
        }
        if cronjob.get("status").unwrap_or(&json!({})) != &status {
            let mut updated = (*cronjob).clone();
            updated["status"] = status;
            self.client.update_status(&CRONJOBS, &updated).await?;
        }
        result
    }

    /// Brings the list of active Jobs up to date, and the time of the last success.
    fn follow(&self, cronjob: &Value, status: &mut Value, jobs: &[Object]) {
        let mut active = status.list_at(&["active"]).to_vec();
        for job in jobs {
            let listed = active.iter().position(|entry| entry.str_at(&["uid"]) == job.uid());
            match (listed, is_finished(job)) {
                (Some(at), true) => {
                    let kind = if condition(job, "Complete").is_some() { "Complete" } else { "Failed" };
                    let message = format!("Saw completed job: {}, condition: {kind}", job.name());
                    self.events.event(cronjob, EventType::Normal, "SawCompletedJob", &message);
                    active.remove(at);
                }
                (None, false) => {
                    // One that this controller made and whose note in the status was lost, or one made by hand.
                    active.push(reference(job));
                }
                _ => {}
            }
            let done = job.str_at(&["status", "completionTime"]);
            if done > status.str_at(&["lastSuccessfulTime"]) {
                status["lastSuccessfulTime"] = done.into();
            }
        }
        active.retain(|entry| {
            let lives = jobs.iter().any(|job| job.uid() == entry.str_at(&["uid"]));
            if !lives {
                let message = format!("Active job went missing: {}", entry.str_at(&["name"]));
                self.events.event(cronjob, EventType::Normal, "MissingJob", &message);
            }
            lives
        });
        put_active(status, active);
    }

    /// Makes the Job that is due, if its predecessors let it, and comes back when the next one is.
    async fn start(&self, key: &str, cronjob: &Value, status: &mut Value, jobs: &[Object]) -> Result<(), ClientError> {
        let text = cronjob.str_at(&["spec", "schedule"]);
        let schedule = match Schedule::parse(text, cronjob.str_at(&["spec", "timeZone"])) {
            Ok(schedule) => schedule,
            Err(error) => {
                let message = format!("unparseable schedule {text:?}: {error}");
                self.events.event(cronjob, EventType::Warning, "UnparseableSchedule", &message);
                return Ok(());
            }
        };
        let now = Timestamp::now();
        let due = due(&schedule, cronjob, now);
        if let Some(next) = due.next {
            let wait = next.duration_since(now).as_millis().max(0);
            self.queue.add_after(key.to_owned(), Duration::from_millis(u64::try_from(wait).unwrap_or(0) + 100));
        }
        let Some(scheduled) = due.last else { return Ok(()) };
        if due.missed > MANY {
            let message = format!(
                "too many missed start times: {}. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
                due.missed
            );
            self.events.event(cronjob, EventType::Warning, "TooManyMissedTimes", &message);
        }
        let mut active = status.list_at(&["active"]).to_vec();
        match cronjob.str_at(&["spec", "concurrencyPolicy"]) {
            "Forbid" if !active.is_empty() => {
                let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.events.event(cronjob, EventType::Normal, "JobAlreadyActive", message);
                return Ok(());
            }
            "Replace" => {
                for entry in active.drain(..) {
                    if let Some(job) = jobs.iter().find(|job| job.uid() == entry.str_at(&["uid"])) {
                        self.delete(cronjob, job).await?;
                    }
                }
            }
            _ => {}
        }
        let job = new_job(cronjob, scheduled);
        match self.client.create(&JOBS, cronjob.namespace(), &job).await {
            Ok(created) => {
                let message = format!("Created job {}", created.name());
                self.events.event(cronjob, EventType::Normal, "SuccessfulCreate", &message);
                active.push(reference(&created));
            }
            // It was made before, and the status was not written.
            Err(error) if error.is_already_exists() => {}
            Err(error) if error.is_namespace_terminating() => return Ok(()),
            Err(error) => {
                let message = format!("Error creating job: {error}");
                self.events.event(cronjob, EventType::Warning, "FailedCreate", &message);
                return Err(error);
            }
        }
        put_active(status, active);
        status["lastScheduleTime"] = time::rfc3339(scheduled).into();
        Ok(())
    }

    async fn delete(&self, cronjob: &Value, job: &Value) -> Result<(), ClientError> {
        let params = DeleteParams { propagation: Some(Propagation::Background), ..DeleteParams::uid(job.uid()) };
        match self.client.delete(&JOBS, job.namespace(), job.name(), &params).await {
            Ok(_) => {
                let message = format!("Deleted job {}", job.name());
                self.events.event(cronjob, EventType::Normal, "SuccessfulDelete", &message);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes finished Jobs over the limits of history.
    async fn clean_up(&self, cronjob: &Value, jobs: &[Object]) -> Result<(), ClientError> {
        for job in surplus(cronjob, jobs) {
            self.delete(cronjob, &job).await?;
        }
        Ok(())
    }
}

/// The oldest finished Jobs over the limits.
fn surplus(cronjob: &Value, jobs: &[Object]) -> Vec<Object> {
    let mut all = Vec::new();
    for (kind, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let Some(limit) = cronjob.int_at(&["spec", field]) else { continue };
        let of_kind = |job: &&Object| {
            condition(job, kind).is_some_and(|known| known.str_at(&["status"]) == "True") && !job.is_deleting()
        };
        let mut finished: Vec<Object> = jobs.iter().filter(of_kind).cloned().collect();
        finished.sort_by_key(|job| (job.str_at(&["status", "startTime"]).to_owned(), job.name().to_owned()));
        let count = finished.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        all.extend(finished.into_iter().take(count));
    }
    all
}

fn put_active(status: &mut Value, active: Vec<Value>) {
    match status.as_object_mut() {
        Some(map) if active.is_empty() => drop(map.remove("active")),
        _ => status["active"] = active.into(),
    }
}

fn reference(job: &Value) -> Value {
    json!({
        "kind": "Job", "apiVersion": "batch/v1", "namespace": job.namespace(), "name": job.name(), "uid": job.uid(),
        "resourceVersion": job.resource_version(),
    })
}

/// The Job of one start. Its name holds the minute, so that no start is made twice.
fn new_job(cronjob: &Value, scheduled: Timestamp) -> Value {
    let template = cronjob.at(&["spec", "jobTemplate"]).unwrap_or(&Value::Null);
    let zone = cronjob.str_at(&["spec", "timeZone"]);
    let local = jiff::tz::TimeZone::get(if zone.is_empty() { "UTC" } else { zone })
        .map(|zone| scheduled.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
        .unwrap_or_default()
        .replace("+00:00", "Z");
    let name: String = cronjob.name().chars().take(52).collect();
    let mut metadata = json!({
        "name": format!("{name}-{}", scheduled.as_second() / 60),
        "namespace": cronjob.namespace(),
        "labels": template.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({})),
        "annotations": template.at(&["metadata", "annotations"]).cloned().unwrap_or_else(|| json!({})),
        "ownerReferences": [controller_ref(cronjob)],
    });
    metadata["annotations"][SCHEDULED] = local.into();
    json!({"kind": "Job", "apiVersion": "batch/v1", "metadata": metadata, "spec": template["spec"]})
}

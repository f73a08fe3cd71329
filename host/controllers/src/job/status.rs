//! What a Job says of itself.

use std::cmp::Reverse;
use std::collections::HashSet;

use portcullis_client::{Object, ObjectExt, time};
use portcullis_machinery::Value;
use serde_json::json;

use super::indexes::{self, Indexes};
use super::outcome::{self, Verdict};
use super::{Picture, is_finished};
use crate::common::{condition, is_over, is_ready, set_condition};

/// The status that follows from the picture. Pods that are over are noted by uid and not part of a number yet.
pub(super) fn status_of(picture: &Picture, verdict: &Verdict) -> Value {
    let job = &picture.job;
    let now = time::now();
    let mut status = job.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let pods = picture.succeeded.iter().chain(&picture.failed);
    let still: HashSet<&str> = pods.map(|pod| pod.uid()).collect();
    settle(&mut status, &still);
    note(&mut status, "succeeded", &picture.succeeded);
    let mut failed = outcome::counted_failures(picture);
    if matches!(verdict, Verdict::Succeeds(..)) {
        // Pods that are ended because the others were enough have not failed.
        failed.retain(|pod| is_over(pod));
    }
    note(&mut status, "failed", &failed);
    if let Some(indexes) = Indexes::of(picture) {
        put_text(&mut status, "completedIndexes", indexes::render(&indexes.succeeded));
        if job.at(&["spec", "backoffLimitPerIndex"]).is_some() {
            status["failedIndexes"] = indexes::render(&indexes.failed).into();
        }
    }
    let terminating = picture.pods.iter().filter(|pod| pod.is_deleting() && !is_over(pod)).count();
    status["ready"] = picture.active.iter().filter(|pod| is_ready(pod)).count().into();
    status["terminating"] = terminating.into();
    put_number(&mut status, "active", picture.active.len());
    let mut conditions = job.list_at(&["status", "conditions"]).to_vec();
    let mut put = |kind: &str, value: &str, reason: &str, message: &str| {
        let wanted = json!({"type": kind, "status": value, "reason": reason, "message": message, "lastProbeTime": now});
        set_condition(&mut conditions, wanted, &now);
    };
    match verdict {
        Verdict::Goes => suspension(job, &mut status, &now, &mut put),
        Verdict::Succeeds(reason, message) => put("SuccessCriteriaMet", "True", reason, message),
        Verdict::Fails(reason, message) => put("FailureTarget", "True", reason, message),
    }
    let all_counted = still.is_empty() && status.at(&["uncountedTerminatedPods"]).is_none_or(is_nothing);
    if all_counted && terminating == 0 && picture.active.is_empty() && !is_finished(job) {
        match verdict {
            Verdict::Goes => {}
            Verdict::Succeeds(reason, message) => {
                put("Complete", "True", reason, message);
                status["completionTime"] = now.clone().into();
            }
            Verdict::Fails(reason, message) => put("Failed", "True", reason, message),
        }
    }
    if status.at(&["startTime"]).is_none() && !job.bool_at(&["spec", "suspend"]) {
        status["startTime"] = now.clone().into();
    }
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    status
}

/// A suspended Job has no start time: its deadline counts from when it goes on.
fn suspension(job: &Value, status: &mut Value, now: &str, put: &mut impl FnMut(&str, &str, &str, &str)) {
    let was = condition(job, "Suspended").is_some_and(|known| known.str_at(&["status"]) == "True");
    if job.bool_at(&["spec", "suspend"]) {
        put("Suspended", "True", "JobSuspended", "Job suspended");
        if let Some(map) = status.as_object_mut() {
            map.remove("startTime");
        }
    } else if was {
        put("Suspended", "False", "JobResumed", "Job resumed");
        status["startTime"] = now.into();
    }
}

fn put_text(status: &mut Value, field: &str, text: String) {
    match status.as_object_mut() {
        Some(map) if text.is_empty() => drop(map.remove(field)),
        _ => status[field] = text.into(),
    }
}

fn put_number(status: &mut Value, field: &str, number: usize) {
    match status.as_object_mut() {
        Some(map) if number == 0 => drop(map.remove(field)),
        _ => status[field] = number.into(),
    }
}

/// Notes pods that are over.
fn note(status: &mut Value, field: &str, pods: &[Object]) {
    let mut noted = status.list_at(&["uncountedTerminatedPods", field]).to_vec();
    for pod in pods {
        if !noted.iter().any(|uid| uid == pod.uid()) {
            noted.push(pod.uid().into());
        }
    }
    if !status["uncountedTerminatedPods"].is_object() {
        status["uncountedTerminatedPods"] = json!({});
    }
    if !noted.is_empty() {
        status["uncountedTerminatedPods"][field] = noted.into();
    }
}

/// Whether nothing is noted.
pub(super) fn is_nothing(noted: &Value) -> bool {
    noted.list_at(&["succeeded"]).is_empty() && noted.list_at(&["failed"]).is_empty()
}

/// Makes numbers of what is noted, but for pods that still carry the finalizer. Says whether anything changed.
pub(super) fn settle(status: &mut Value, still: &HashSet<&str>) -> bool {
    let mut changed = false;
    for field in ["succeeded", "failed"] {
        let noted = status.list_at(&["uncountedTerminatedPods", field]).to_vec();
        let (stay, go): (Vec<Value>, Vec<Value>) =
            noted.into_iter().partition(|uid| uid.as_str().is_some_and(|uid| still.contains(uid)));
        if go.is_empty() {
            continue;
        }
        changed = true;
        let count = status.int_at(&[field]).unwrap_or(0) + i64::try_from(go.len()).unwrap_or(0);
        status[field] = count.into();
        match status["uncountedTerminatedPods"].as_object_mut() {
            Some(map) if stay.is_empty() => drop(map.remove(field)),
            _ => status["uncountedTerminatedPods"][field] = stay.into(),
        }
    }
    changed
}

/// The pods to end if there are too many: those that are not ready, and the youngest.
pub(super) fn least_useful(active: &[Object], count: usize) -> Vec<Object> {
    let mut pods = active.to_vec();
    pods.sort_by_cached_key(|pod| {
        let placed = !pod.str_at(&["spec", "nodeName"]).is_empty();
        let running = pod.str_at(&["status", "phase"]) == "Running";
        (placed, running, is_ready(pod), Reverse(pod.str_at(&["metadata", "creationTimestamp"]).to_owned()))
    });
    pods.truncate(count);
    pods
}

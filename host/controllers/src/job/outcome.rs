//! Whether a Job is over, and how many pods it wants until then.

use std::collections::HashSet;

use portcullis_client::{Object, ObjectExt, time};
use portcullis_machinery::Value;

use super::indexes::Indexes;
use super::{BACKOFF, LONGEST_BACKOFF, Picture, policy};
use crate::common::{condition, is_over};

/// What is to become of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Goes,
    /// It has what it was to do: reason and message.
    Succeeds(String, String),
    /// It is given up: reason and message.
    Fails(String, String),
}

impl Verdict {
    pub(super) fn is_over(&self) -> bool {
        *self != Self::Goes
    }

    fn succeeds(reason: &str, message: &str) -> Self {
        Self::Succeeds(reason.into(), message.into())
    }

    fn fails(reason: &str, message: &str) -> Self {
        Self::Fails(reason.into(), message.into())
    }
}

/// Pods whose end is known: the number in the status, those noted in it, and those that are new.
pub(super) fn total(job: &Value, field: &str, new: &[Object]) -> usize {
    let noted = job.list_at(&["status", "uncountedTerminatedPods", field]).iter().filter_map(Value::as_str);
    let all: HashSet<&str> = noted.chain(new.iter().map(|pod| pod.uid())).collect();
    usize::try_from(job.int_at(&["status", field]).unwrap_or(0)).unwrap_or(0) + all.len()
}

fn spec(picture: &Picture, field: &str) -> Option<usize> {
    picture.job.int_at(&["spec", field]).map(|number| usize::try_from(number).unwrap_or(0))
}

/// Failed pods that count: not those that the policy says to ignore.
pub(super) fn counted_failures(picture: &Picture) -> Vec<Object> {
    let counts = |pod: &&Object| policy::action(&picture.job, pod) != Some("Ignore");
    picture.failed.iter().filter(counts).cloned().collect()
}

/// Decides whether the Job is over.
pub(super) fn judge(picture: &Picture) -> Verdict {
    let job = &picture.job;
    // What was decided stays decided.
    for (kind, verdict) in [
        ("FailureTarget", Verdict::fails as fn(&str, &str) -> Verdict),
        ("SuccessCriteriaMet", Verdict::succeeds as fn(&str, &str) -> Verdict),
    ] {
        if let Some(known) = condition(job, kind).filter(|known| known.str_at(&["status"]) == "True") {
            return verdict(known.str_at(&["reason"]), known.str_at(&["message"]));
        }
    }
    if let Some(why) = picture.failed.iter().find_map(|pod| policy::fails_job(job, pod)) {
        return Verdict::fails("PodFailurePolicy", &why);
    }
    let limit = spec(picture, "backoffLimit").unwrap_or(6);
    if total(job, "failed", &counted_failures(picture)) > limit || restarts(picture) > limit {
        return Verdict::fails("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    if deadline(picture).is_some_and(|left| left <= 0.0) {
        return Verdict::fails("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let succeeded = total(job, "succeeded", &picture.succeeded);
    if let Some(indexes) = Indexes::of(picture) {
        if spec(picture, "maxFailedIndexes").is_some_and(|most| indexes.failed.len() > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return Verdict::fails("MaxFailedIndexesExceeded", message);
        }
        if let Some(message) = policy::succeeds(picture, &indexes) {
            return Verdict::succeeds("SuccessPolicy", &message);
        }
        return match (indexes.all_settled(), indexes.failed.is_empty()) {
            (false, _) => Verdict::Goes,
            (true, true) => Verdict::succeeds("CompletionsReached", "Reached expected number of succeeded pods"),
            (true, false) => Verdict::fails("FailedIndexes", "Job has failed indexes"),
        };
    }
    let done = match spec(picture, "completions") {
        Some(completions) => succeeded >= completions,
        None => succeeded > 0 && picture.active.is_empty(),
    };
    if done {
        return Verdict::succeeds("CompletionsReached", "Reached expected number of succeeded pods");
    }
    Verdict::Goes
}

/// How often containers of pods that restart in place were restarted; those pods never fail.
fn restarts(picture: &Picture) -> usize {
    if picture.job.str_at(&["spec", "template", "spec", "restartPolicy"]) != "OnFailure" {
        return 0;
    }
    let of = |pod: &Object| {
        let statuses = pod.list_at(&["status", "initContainerStatuses"]).iter();
        let statuses = statuses.chain(pod.list_at(&["status", "containerStatuses"]));
        statuses.map(|status| status.int_at(&["restartCount"]).unwrap_or(0)).sum::<i64>()
    };
    usize::try_from(picture.active.iter().map(of).sum::<i64>()).unwrap_or(0)
}

/// How many pods are to be at work.
pub(super) fn wanted(picture: &Picture) -> usize {
    let parallel = spec(picture, "parallelism").unwrap_or(1);
    let succeeded = total(&picture.job, "succeeded", &picture.succeeded);
    if let Some(indexes) = Indexes::of(picture) {
        let open = indexes.missing(usize::MAX).len() + picture.active.len();
        return parallel.min(open);
    }
    match spec(picture, "completions") {
        Some(completions) => parallel.min(completions.saturating_sub(succeeded)),
        None if succeeded > 0 => picture.active.len(),
        None => parallel,
    }
}

/// Pods on their way out that are replaced only when they are over.
pub(super) fn holding_their_place(picture: &Picture) -> usize {
    if picture.job.str_at(&["spec", "podReplacementPolicy"]) != "Failed" {
        return 0;
    }
    picture.pods.iter().filter(|pod| pod.is_deleting() && !is_over(pod)).count()
}

/// Seconds until the deadline of the whole Job; `None` if it has none or does not run.
fn deadline(picture: &Picture) -> Option<f64> {
    let limit = picture.job.int_at(&["spec", "activeDeadlineSeconds"])?;
    if picture.job.bool_at(&["spec", "suspend"]) {
        return None;
    }
    Some(limit as f64 - time::seconds_since(picture.job.str_at(&["status", "startTime"]))?)
}

/// When a pod's work ended.
fn ended(pod: &Value) -> &str {
    let statuses = pod.list_at(&["status", "containerStatuses"]).iter();
    let last = statuses.map(|status| status.str_at(&["state", "terminated", "finishedAt"])).max().unwrap_or("");
    let others = [pod.str_at(&["metadata", "deletionTimestamp"]), pod.str_at(&["metadata", "creationTimestamp"])];
    std::iter::once(last).chain(others).find(|time| !time.is_empty()).unwrap_or("")
}

/// Seconds until the next pod may be made, which grow with the failures since the last success.
pub(super) fn backoff(picture: &Picture) -> f64 {
    let mut ends: Vec<(&str, bool)> = picture
        .pods
        .iter()
        .filter(|pod| is_over(pod) || pod.is_deleting())
        .map(|pod| (ended(pod), pod.str_at(&["status", "phase"]) == "Succeeded"))
        .collect();
    ends.sort_unstable();
    let failures = ends.iter().rev().take_while(|(_, succeeded)| !succeeded).count();
    let Some(since) = ends.last().filter(|_| failures > 0).and_then(|(time, _)| time::seconds_since(time)) else {
        return 0.0;
    };
    let wait = BACKOFF * 2f64.powi(i32::try_from(failures - 1).unwrap_or(i32::MAX).min(16));
    (wait.min(LONGEST_BACKOFF) - since).max(0.0)
}

/// After how many seconds something is due although no event comes.
pub(super) fn look_again(picture: &Picture) -> Option<f64> {
    let backoff = Some(backoff(picture)).filter(|seconds| *seconds > 0.0);
    deadline(picture).filter(|seconds| *seconds > 0.0).into_iter().chain(backoff).min_by(f64::total_cmp)
}

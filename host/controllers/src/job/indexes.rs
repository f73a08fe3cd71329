//! The indexes of an Indexed Job: which are done, which failed for good, which a pod is at work on.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use serde_json::json;

use super::{INDEX, Picture};

/// How often an index failed before its present pod.
const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// The indexes of one Job.
pub(super) struct Indexes {
    completions: usize,
    /// Done.
    pub(super) succeeded: BTreeSet<usize>,
    /// Given up; only where the Job limits the failures of each index.
    pub(super) failed: BTreeSet<usize>,
    taken: BTreeSet<usize>,
    failures: BTreeMap<usize, i64>,
}

/// The index of a pod.
pub(super) fn index_of(pod: &Value) -> Option<usize> {
    pod.annotation(INDEX)?.parse().ok()
}

impl Indexes {
    /// `None` for a Job that is not Indexed.
    pub(super) fn of(picture: &Picture) -> Option<Self> {
        let job = &picture.job;
        if job.str_at(&["spec", "completionMode"]) != "Indexed" {
            return None;
        }
        let completions = usize::try_from(job.int_at(&["spec", "completions"]).unwrap_or(0)).unwrap_or(0);
        let known = |field: &str| parse(job.str_at(&["status", field]), completions);
        let mut indexes = Self {
            completions,
            succeeded: known("completedIndexes"),
            failed: known("failedIndexes"),
            taken: picture.active.iter().filter_map(|pod| index_of(pod)).collect(),
            failures: BTreeMap::new(),
        };
        for pod in &picture.pods {
            if let (Some(index), "Failed") = (index_of(pod), pod.str_at(&["status", "phase"])) {
                let known = indexes.failures.entry(index).or_default();
                *known = (*known).max(failures(pod) + 1);
            }
        }
        let done = picture.succeeded.iter().filter_map(|pod| index_of(pod)).filter(|index| *index < completions);
        indexes.succeeded.extend(done);
        if let Some(limit) = job.int_at(&["spec", "backoffLimitPerIndex"]) {
            for pod in &picture.failed {
                let Some(index) = index_of(pod).filter(|index| !indexes.succeeded.contains(index)) else { continue };
                let given_up = super::policy::action(job, pod) == Some("FailIndex");
                if given_up || failures(pod) >= limit {
                    indexes.failed.insert(index);
                }
            }
        }
        if job.str_at(&["spec", "podReplacementPolicy"]) == "Failed" {
            let ending = picture.pods.iter().filter(|pod| pod.is_deleting() && !crate::common::is_over(pod));
            indexes.taken.extend(ending.filter_map(|pod| index_of(pod)));
        }
        Some(indexes)
    }

    /// Whether each index is done or given up.
    pub(super) fn all_settled(&self) -> bool {
        self.succeeded.len() + self.failed.len() >= self.completions
    }

    /// How often the pods of an index have failed.
    pub(super) fn failures_of(&self, index: usize) -> i64 {
        self.failures.get(&index).copied().unwrap_or(0)
    }

    /// The lowest indexes that wait for a pod, at most so many.
    pub(super) fn missing(&self, count: usize) -> Vec<usize> {
        let free = |index: &usize| {
            !self.succeeded.contains(index) && !self.failed.contains(index) && !self.taken.contains(index)
        };
        (0..self.completions).filter(free).take(count).collect()
    }
}

fn failures(pod: &Value) -> i64 {
    pod.annotation(FAILURES).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Gives a pod its index: an annotation, a label, the hostname, and a variable of every container.
pub(super) fn put(pod: &mut Value, job: &Value, index: usize, failures: i64) {
    let text = index.to_string();
    pod["metadata"]["annotations"][INDEX] = text.clone().into();
    pod["metadata"]["labels"][INDEX] = text.clone().into();
    if job.at(&["spec", "backoffLimitPerIndex"]).is_some() {
        pod["metadata"]["annotations"][FAILURES] = failures.to_string().into();
    }
    pod["spec"]["hostname"] = format!("{}-{index}", job.name()).into();
    let from = json!({"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}});
    for list in ["initContainers", "containers"] {
        for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let known = container.list_at(&["env"]).iter().any(|env| env.str_at(&["name"]) == "JOB_COMPLETION_INDEX");
            if !known {
                let mut env = container.list_at(&["env"]).to_vec();
                env.push(json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": from}));
                container["env"] = env.into();
            }
        }
    }
}

/// `1,3-5` as a set; what is no index of the Job is left out.
pub(super) fn parse(text: &str, completions: usize) -> BTreeSet<usize> {
    let mut set = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            set.extend(first..=last.min(completions.saturating_sub(1)));
        }
    }
    set.retain(|index| *index < completions);
    set
}

/// A set as `1,3-5`.
pub(super) fn render(set: &BTreeSet<usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in set {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let text = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

//! What is to be done next for a StatefulSet. In the ordered mode that is one step at a time, and only while all pods
//! before it are well.

use std::collections::BTreeMap;

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;

use super::identity::ordinal;
use super::{is_available, revision_of};
use crate::common::{is_over, is_ready, part_of};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Make the pod with this number, of the revision that the set is on its way from (`current`) or to.
    Create { ordinal: i64, current: bool },
    /// End a pod.
    Delete(Object),
}

/// The steps of one pass.
pub(super) fn plan(set: &Value, pods: &[Object], update: &str) -> Vec<Step> {
    let first = set.int_at(&["spec", "ordinals", "start"]).unwrap_or(0);
    let end = first + set.int_at(&["spec", "replicas"]).unwrap_or(1);
    let ordered = set.str_at(&["spec", "podManagementPolicy"]) != "Parallel";
    let mut present: BTreeMap<i64, &Object> = BTreeMap::new();
    for pod in pods {
        if let Some(number) = ordinal(set, pod) {
            present.insert(number, pod);
        }
    }
    let mut steps = Vec::new();
    for number in first..end {
        let blocks = match present.get(&number) {
            None => {
                steps.push(Step::Create { ordinal: number, current: keeps_current(set, number, first) });
                true
            }
            Some(pod) if is_over(pod) && !pod.is_deleting() => {
                steps.push(Step::Delete((*pod).clone()));
                true
            }
            Some(pod) => pod.is_deleting() || !is_available(set, pod),
        };
        if blocks && ordered {
            return steps;
        }
    }
    let condemned: Vec<&Object> =
        present.iter().rev().filter(|(number, _)| !(first..end).contains(*number)).map(|(_, pod)| *pod).collect();
    let first_ill = present.values().find(|pod| !is_ready(pod) || pod.is_deleting()).map(|pod| pod.uid());
    for pod in &condemned {
        if pod.is_deleting() {
            if ordered {
                return steps;
            }
            continue;
        }
        if ordered && !is_ready(pod) && first_ill != Some(pod.uid()) {
            return steps;
        }
        steps.push(Step::Delete((*pod).clone()));
        if ordered {
            return steps;
        }
    }
    if set.str_at(&["spec", "updateStrategy", "type"]) != "OnDelete" {
        steps.extend(roll(set, &present, first, end, update));
    }
    steps
}

fn partition(set: &Value) -> i64 {
    set.int_at(&["spec", "updateStrategy", "rollingUpdate", "partition"]).unwrap_or(0)
}

/// Whether the pod with this number is to be of the old revision: those under the partition are.
fn keeps_current(set: &Value, number: i64, first: i64) -> bool {
    let rolls = set.str_at(&["spec", "updateStrategy", "type"]) != "OnDelete";
    rolls && number < first + partition(set)
}

/// The pods of old revisions that go now, from the highest number down; at most so many are ill at a time.
fn roll(set: &Value, present: &BTreeMap<i64, &Object>, first: i64, end: i64, update: &str) -> Vec<Step> {
    let limit = set.at(&["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"]);
    let limit = part_of(limit, end - first, "1", true).max(1);
    let mut ill: i64 = 0;
    let mut steps = Vec::new();
    for number in (first + partition(set)..end).rev() {
        let Some(pod) = present.get(&number) else { continue };
        if revision_of(pod) != update && !pod.is_deleting() {
            steps.push(Step::Delete((*pod).clone()));
            ill += 1;
        } else if pod.is_deleting() || !is_available(set, pod) {
            ill += 1;
        }
        if ill >= limit {
            break;
        }
    }
    steps
}

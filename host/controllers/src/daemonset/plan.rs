//! Which pods of a DaemonSet come and which go.

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;

use super::{Placed, hash_of, is_available, nodes};
use crate::common::{is_over, is_ready, part_of};

/// The changes of one pass.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Nodes that get a pod.
    pub(super) create: Vec<String>,
    /// Pods that go.
    pub(super) delete: Vec<Object>,
}

/// What is to be done.
pub(super) fn plan(set: &Value, hash: &str, nodes: &[Object], placed: &Placed) -> Plan {
    let mut plan = Plan::default();
    for node in nodes {
        let none = Vec::new();
        keep_one(set, hash, node, placed.get(node.name()).unwrap_or(&none), &mut plan);
    }
    // Pods for nodes that are gone.
    for (name, pods) in placed {
        if !nodes.iter().any(|node| node.name() == name) {
            plan.delete.extend(pods.iter().filter(|pod| !pod.is_deleting()).cloned());
        }
    }
    if set.str_at(&["spec", "updateStrategy", "type"]) != "OnDelete" {
        roll(set, hash, nodes, placed, &mut plan);
    }
    plan
}

/// One pod on a node that wants one, none on the others; two while one takes over from the other.
fn keep_one(set: &Value, hash: &str, node: &Object, here: &[Object], plan: &mut Plan) {
    let wants = nodes::wants(set, node);
    let going = here.iter().filter(|pod| pod.is_deleting()).count();
    if !wants.stays {
        plan.delete.extend(here.iter().filter(|pod| !pod.is_deleting()).cloned());
        return;
    }
    let (over, mut live): (Vec<&Object>, Vec<&Object>) =
        here.iter().filter(|pod| !pod.is_deleting()).partition(|pod| is_over(pod));
    plan.delete.extend(over.iter().map(|pod| (*pod).clone()));
    if live.is_empty() {
        // A pod that is on its way out, or about to be, makes room first.
        if wants.runs && going == 0 && over.is_empty() {
            plan.create.push(node.name().to_owned());
        }
        return;
    }
    live.sort_by_key(|pod| (!is_ready(pod), pod.str_at(&["metadata", "creationTimestamp"]).to_owned()));
    if bounds(set, 1).0 > 0 && live.iter().any(|pod| hash_of(pod) != hash) {
        return;
    }
    plan.delete.extend(live.iter().skip(1).map(|pod| (*pod).clone()));
}

/// How many nodes may have a second pod, and how many may be without one that is available, of this many.
fn bounds(set: &Value, count: usize) -> (i64, i64) {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let of = |field: &str| set.at(&["spec", "updateStrategy", "rollingUpdate", field]);
    let surge = part_of(of("maxSurge"), count, "0", true);
    let unavailable = part_of(of("maxUnavailable"), count, "1", true);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// Replaces pods of old templates within the bounds.
fn roll(set: &Value, hash: &str, nodes: &[Object], placed: &Placed, plan: &mut Plan) {
    let none = Vec::new();
    let wanting: Vec<&Object> = nodes.iter().filter(|node| nodes::wants(set, node).runs).collect();
    let (surge, unavailable) = bounds(set, wanting.len());
    let (mut without, mut doubled) = (0, 0);
    // Nodes whose pod is of an old template: the old pod, whether it serves, and the new one if there is one already.
    let mut old: Vec<(&Object, &Object, bool)> = Vec::new();
    for node in &wanting {
        let live: Vec<&Object> =
            placed.get(node.name()).unwrap_or(&none).iter().filter(|pod| !pod.is_deleting() && !is_over(pod)).collect();
        let serves = live.iter().any(|pod| is_available(set, pod));
        without += i64::from(!serves);
        let before = live.iter().find(|pod| hash_of(pod) != hash);
        let after = live.iter().find(|pod| hash_of(pod) == hash);
        match (before, after) {
            (Some(before), Some(after)) => {
                doubled += 1;
                // The new one has taken over.
                if is_available(set, after) || !is_available(set, before) {
                    plan.delete.push((*before).clone());
                }
            }
            (Some(before), None) => old.push((*node, *before, serves)),
            _ => {}
        }
    }
    // Those that do not serve anyhow go first, and cost nothing.
    old.sort_by_key(|(_, _, serves)| *serves);
    for (node, pod, serves) in old {
        if !serves {
            plan.delete.push(pod.clone());
        } else if surge > 0 {
            if doubled < surge {
                doubled += 1;
                plan.create.push(node.name().to_owned());
            }
        } else if without < unavailable {
            without += 1;
            plan.delete.push(pod.clone());
        }
    }
}

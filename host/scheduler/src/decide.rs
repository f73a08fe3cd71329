//! The decision for one pod: which node, or why none.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_machinery::Value;

use crate::cache::{Cache, Counter};
use crate::policy::{NodeBatch, PlacementPolicy};
use crate::resources::pod_requests;

#[cfg(test)]
mod tests;

/// Why a pod got no node.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// No node fits; the text is the event's message.
    Unschedulable(String),
    /// A policy failed.
    Policy(String),
}

/// Asks all policies. A node is feasible if all agree; the highest sum of scores wins, the first name among equals.
pub(crate) fn decide(
    cache: &Arc<Cache>,
    policies: &[Arc<dyn PlacementPolicy>],
    pod: &Value,
) -> Result<Arc<str>, Failure> {
    let mut requests = pod_requests(pod);
    for always in ["cpu", "memory", "pods"] {
        requests.entry(always.to_owned()).or_insert(0);
    }
    let resources: Vec<String> = requests.keys().cloned().collect();
    let amounts: Vec<i64> = requests.values().copied().collect();
    let snapshot = cache.snapshot(&resources);
    if snapshot.nodes.is_empty() {
        return Err(Failure::Unschedulable("no nodes available to schedule pods".into()));
    }
    if policies.is_empty() {
        return Err(Failure::Policy("no scheduler policy is loaded".into()));
    }
    let total = snapshot.nodes.len();
    let mut scores: Vec<Option<i64>> = vec![Some(0); total];
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
    for policy in policies {
        let packed = cache.packed(policy.as_ref(), &snapshot);
        let batch = NodeBatch {
            nodes: &snapshot.nodes,
            packed: &packed,
            resources: &resources,
            requests: &amounts,
            allocatable: &snapshot.allocatable,
            requested: &snapshot.requested,
            counter: Arc::new(Counter { cache: cache.clone(), names: snapshot.names.clone() }),
        };
        let broken = |why: String| Failure::Policy(format!("policy {:?} failed: {why}", policy.name()));
        let placement = policy.place(pod, &batch).map_err(broken)?;
        if placement.scores.len() != total {
            return Err(broken(format!("{} scores for {total} nodes", placement.scores.len())));
        }
        for (sum, score) in scores.iter_mut().zip(&placement.scores) {
            if *score >= 0 {
                *sum = sum.map(|sum| sum.saturating_add(*score));
                continue;
            }
            // Each node counts once, for the first policy that refused it.
            if sum.take().is_some() {
                let reason = usize::try_from(-1 - *score).ok().and_then(|at| placement.reasons.get(at));
                *reasons.entry(reason.cloned().unwrap_or_else(|| "node(s) refused".into())).or_default() += 1;
                *refusals.entry(policy.name()).or_default() += 1;
            }
        }
    }
    let best = scores.iter().flatten().max();
    match best.and_then(|best| scores.iter().position(|score| score.as_ref() == Some(best))) {
        Some(at) => Ok(snapshot.names[at].clone()),
        None => Err(Failure::Unschedulable(message(total, &reasons, &refusals))),
    }
}

/// `0/5 nodes are available: 2 node(s) ..., 3 Insufficient cpu. Refused by policy: default-scheduler 5.`
fn message(total: usize, reasons: &BTreeMap<String, usize>, refusals: &BTreeMap<&str, usize>) -> String {
    let mut parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    let refused: Vec<String> = refusals.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("0/{total} nodes are available: {}. Refused by policy: {}.", parts.join(", "), refused.join(", "))
}

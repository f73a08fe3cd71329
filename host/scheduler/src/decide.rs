//! The decision for one pod: which node, or why none.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;

use crate::cache::{Cache, Counter, Snapshot};
use crate::policy::{NodeBatch, Placement, PlacementPolicy};
use crate::ports;
use crate::resources::{Amounts, add, pod_requests, pod_takes};

#[cfg(test)]
pub(crate) mod tests;

/// Why a pod got no node.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// No node fits; the text is the event's message.
    Unschedulable(String),
    /// A policy failed.
    Policy(String),
}

/// One pod's question to the policies, about the nodes of one moment.
pub(crate) struct Question<'a> {
    cache: &'a Arc<Cache>,
    policies: &'a [Arc<dyn PlacementPolicy>],
    pod: &'a Value,
    resources: Vec<String>,
    amounts: Vec<i64>,
    snapshot: Snapshot,
    /// For each node, what of the pod's volumes is against it, before any policy is asked.
    objections: Vec<Option<&'static str>>,
}

/// Nodes as they would be without some of their pods: the nodes' places in the snapshot, each with those pods.
pub(crate) type Without<'a> = [(usize, Vec<&'a Object>)];

impl<'a> Question<'a> {
    pub(crate) fn new(cache: &'a Arc<Cache>, policies: &'a [Arc<dyn PlacementPolicy>], pod: &'a Value) -> Self {
        let mut requests = pod_requests(pod);
        requests.extend(ports::asked(pod));
        for always in ["cpu", "memory", "pods"] {
            requests.entry(always.to_owned()).or_insert(0);
        }
        let resources: Vec<String> = requests.keys().cloned().collect();
        let snapshot = cache.snapshot(&resources, pod);
        let objections = vec![None; snapshot.nodes.len()];
        Self { cache, policies, pod, resources, amounts: requests.values().copied().collect(), snapshot, objections }
    }

    /// Rules out the nodes to which there is an objection.
    pub(crate) fn unless(mut self, objection: impl Fn(&Value) -> Option<&'static str>) -> Self {
        self.objections = self.snapshot.nodes.iter().map(|node| objection(node)).collect();
        self
    }

    /// A node of the snapshot.
    pub(crate) fn node(&self, name: &str) -> Option<&Object> {
        let at = self.snapshot.names.iter().position(|known| &**known == name)?;
        self.snapshot.nodes.get(at)
    }

    /// The names of the nodes.
    pub(crate) fn names(&self) -> &Arc<[Arc<str>]> {
        &self.snapshot.names
    }

    fn batch<'b>(&'b self, packed: &'b [Arc<[u8]>]) -> NodeBatch<'b> {
        let counter = Counter::new(self.cache.clone(), self.snapshot.names.clone());
        NodeBatch {
            nodes: &self.snapshot.nodes,
            packed,
            resources: &self.resources,
            requests: &self.amounts,
            allocatable: &self.snapshot.allocatable,
            requested: &self.snapshot.requested,
            counter: Arc::new(counter),
        }
    }

    fn ask(&self, policy: &dyn PlacementPolicy, batch: &NodeBatch<'_>) -> Result<Placement, Failure> {
        let broken = |why: String| Failure::Policy(format!("policy {:?} failed: {why}", policy.name()));
        let placement = policy.place(self.pod, batch).map_err(broken)?;
        let total = batch.nodes.len();
        if placement.scores.len() == total {
            return Ok(placement);
        }
        Err(broken(format!("{} scores for {total} nodes", placement.scores.len())))
    }

    /// On which of these nodes the pod would fit if they were without some of their pods.
    pub(crate) fn fits_without(&self, nodes: &Without<'_>) -> Result<Vec<bool>, Failure> {
        let (total, of) = (self.snapshot.nodes.len(), |column: &[i64], at: usize| column.get(at).copied().unwrap_or(0));
        let gone: Vec<_> = nodes.iter().map(|(_, pods)| sum_of(pods)).collect();
        let (mut allocatable, mut requested) = (Vec::new(), Vec::new());
        for (row, resource) in self.resources.iter().enumerate() {
            for ((node, _), gone) in nodes.iter().zip(&gone) {
                let at = row * total + node;
                allocatable.push(of(&self.snapshot.allocatable, at));
                requested.push(of(&self.snapshot.requested, at) - gone.get(resource).copied().unwrap_or(0));
            }
        }
        let objects: Vec<Object> = nodes.iter().map(|(node, _)| self.snapshot.nodes[*node].clone()).collect();
        let names = nodes.iter().map(|(node, _)| self.snapshot.names[*node].clone()).collect();
        let without = nodes.iter().flat_map(|(_, pods)| pods).map(|pod| pod.uid().to_owned()).collect();
        let counter = Arc::new(Counter { without, ..Counter::new(self.cache.clone(), names) });
        let mut fits: Vec<bool> = nodes.iter().map(|(node, _)| self.objections[*node].is_none()).collect();
        for policy in self.policies {
            let all = self.cache.packed(policy.as_ref(), &self.snapshot);
            let packed: Vec<Arc<[u8]>> = nodes.iter().map(|(node, _)| all[*node].clone()).collect();
            let batch = NodeBatch {
                nodes: &objects,
                packed: &packed,
                resources: &self.resources,
                requests: &self.amounts,
                allocatable: &allocatable,
                requested: &requested,
                counter: counter.clone(),
            };
            let placement = self.ask(policy.as_ref(), &batch)?;
            fits.iter_mut().zip(&placement.scores).for_each(|(fits, score)| *fits &= *score >= 0);
        }
        Ok(fits)
    }

    /// Asks all policies. A node is feasible if all agree; the highest sum of scores wins, the first name among equals.
    pub(crate) fn decide(&self) -> Result<Arc<str>, Failure> {
        if self.snapshot.nodes.is_empty() {
            return Err(Failure::Unschedulable("no nodes available to schedule pods".into()));
        }
        if self.policies.is_empty() {
            return Err(Failure::Policy("no scheduler policy is loaded".into()));
        }
        let total = self.snapshot.nodes.len();
        let mut scores: Vec<Option<i64>> = vec![Some(0); total];
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
        for (score, objection) in scores.iter_mut().zip(&self.objections) {
            if let Some(reason) = objection {
                *score = None;
                *reasons.entry((*reason).to_owned()).or_default() += 1;
                *refusals.entry("volumes").or_default() += 1;
            }
        }
        for policy in self.policies {
            let packed = self.cache.packed(policy.as_ref(), &self.snapshot);
            let placement = self.ask(policy.as_ref(), &self.batch(&packed))?;
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
            Some(at) => Ok(self.snapshot.names[at].clone()),
            None => Err(Failure::Unschedulable(message(total, &reasons, &refusals))),
        }
    }
}

fn sum_of(pods: &[&Object]) -> Amounts {
    let mut sum = Amounts::new();
    pods.iter().for_each(|pod| add(&mut sum, &pod_takes(pod)));
    sum
}

/// `0/5 nodes are available: 2 node(s) ..., 3 Insufficient cpu. Refused by policy: default-scheduler 5.`
fn message(total: usize, reasons: &BTreeMap<String, usize>, refusals: &BTreeMap<&str, usize>) -> String {
    let mut parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    let refused: Vec<String> = refusals.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("0/{total} nodes are available: {}. Refused by policy: {}.", parts.join(", "), refused.join(", "))
}

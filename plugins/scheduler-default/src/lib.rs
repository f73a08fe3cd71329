//! Places pods as the default scheduler of Kubernetes does (API reference, "Scheduling Framework" and "Assigning Pods to
//! Nodes"): a node is ruled out for want of resources, untolerated taints, node affinity, topology spread and pod
//! (anti-)affinity, and of the others the emptiest, best balanced and most spread out scores highest.
//!
//! Deterministic: equal inputs give equal scores, and the host settles ties by name.

mod affinity;
mod resources;
mod spread;
mod taints;

#[cfg(target_family = "wasm")]
use portcullis_sdk::host;
use portcullis_sdk::{Input, NodeBatch, Placement, ValueRef, tape::Tape};
use serde::Deserialize;

/// How much each part of the score weighs. Each part is 0 to 100.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Room left on the node.
    pub least_allocated: i64,
    /// Cpu and memory used in equal parts.
    pub balanced_allocation: i64,
    /// Preferred node affinity.
    pub node_affinity: i64,
    /// Few taints with the effect `PreferNoSchedule` that the pod does not tolerate.
    pub taints: i64,
    /// Spread over topology domains.
    pub spread: i64,
}

impl Default for Config {
    /// The weights of the reference's default profile.
    fn default() -> Self {
        Config { least_allocated: 1, balanced_allocation: 1, node_affinity: 2, taints: 3, spread: 2 }
    }
}

/// What is read of the pod.
pub const PATHS: [&str; 7] = [
    "/pod/metadata/namespace",
    "/pod/metadata/labels",
    "/pod/spec/nodeName",
    "/pod/spec/nodeSelector",
    "/pod/spec/affinity",
    "/pod/spec/tolerations",
    "/pod/spec/topologySpreadConstraints",
];
/// What is read of each node.
pub const NODE_PATHS: [&str; 4] = ["/metadata/name", "/metadata/labels", "/spec/taints", "/spec/unschedulable"];

/// The pod under placement.
pub(crate) struct Pod<'a> {
    namespace: &'a str,
    labels: ValueRef<'a>,
    node_name: &'a str,
    node_selector: ValueRef<'a>,
    affinity: ValueRef<'a>,
    tolerations: ValueRef<'a>,
    spread: ValueRef<'a>,
}

/// A node of the batch.
pub(crate) struct Node<'a> {
    name: &'a str,
    labels: ValueRef<'a>,
    taints: ValueRef<'a>,
    unschedulable: bool,
}

/// Collects verdicts: the first reason against a node stands, as filters run in order.
pub(crate) struct Verdicts {
    ruled_out: Vec<Option<usize>>,
    reasons: Vec<String>,
}

impl Verdicts {
    fn new(nodes: usize) -> Self {
        Verdicts { ruled_out: vec![None; nodes], reasons: Vec::new() }
    }

    /// Whether the node is still in.
    pub(crate) fn stands(&self, node: usize) -> bool {
        self.ruled_out[node].is_none()
    }

    /// Rules a node out.
    pub(crate) fn rule_out(&mut self, node: usize, reason: &str) {
        if self.ruled_out[node].is_none() {
            let index = self.reasons.iter().position(|known| known == reason).unwrap_or_else(|| {
                self.reasons.push(reason.to_owned());
                self.reasons.len() - 1
            });
            self.ruled_out[node] = Some(index);
        }
    }
}

/// Counts pods for each node: the namespace, and a LabelSelector as JSON text.
pub type Count<'a> = &'a dyn Fn(&str, &str) -> Vec<u32>;

/// Filters and scores a batch.
pub fn place(config: &Config, input: &Input, batch: &NodeBatch, count: Count) -> Placement {
    let pod = Pod {
        namespace: input.str(0),
        labels: input.get(1),
        node_name: input.str(2),
        node_selector: input.get(3),
        affinity: input.get(4),
        tolerations: input.get(5),
        spread: input.get(6),
    };
    let values = Tape::trusted(&batch.node_values).root();
    let nodes: Vec<Node> = (0..batch.nodes as usize)
        .map(|index| values.index(index))
        .map(|value| Node {
            name: value.index(0).str_or_empty(),
            labels: value.index(1),
            taints: value.index(2),
            unschedulable: value.index(3).as_bool().unwrap_or(false),
        })
        .collect();
    let mut verdicts = Verdicts::new(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if node.unschedulable && !taints::tolerates_unschedulable(&pod) {
            verdicts.rule_out(index, "node(s) were unschedulable");
        }
        if !pod.node_name.is_empty() && pod.node_name != node.name {
            verdicts.rule_out(index, "node(s) didn't match the requested node name");
        }
        if taints::untolerated(&pod, node, &["NoSchedule", "NoExecute"]) > 0 {
            verdicts.rule_out(index, "node(s) had untolerated taint(s)");
        }
        if !affinity::matches_required(&pod, node) {
            verdicts.rule_out(index, "node(s) didn't match Pod's node affinity/selector");
        }
    }
    resources::filter(batch, &mut verdicts);
    spread::filter(&pod, &nodes, count, &mut verdicts);
    affinity::filter_by_pods(&pod, &nodes, count, &mut verdicts);

    let mut scores = vec![0i64; nodes.len()];
    let mut add = |weight: i64, part: Vec<i64>| {
        scores.iter_mut().zip(part).for_each(|(score, part)| *score += weight * part);
    };
    let standing = |index: &usize| verdicts.stands(*index);
    let each = |score: &dyn Fn(usize) -> i64| -> Vec<i64> {
        (0..nodes.len()).map(|index| if standing(&index) { score(index) } else { 0 }).collect()
    };
    add(config.least_allocated, each(&|index| resources::least_allocated(batch, index)));
    add(config.balanced_allocation, each(&|index| resources::balanced(batch, index)));
    add(config.node_affinity, normalise(each(&|index| affinity::preferred(&pod, &nodes[index])), false));
    let taints = each(&|index| taints::untolerated(&pod, &nodes[index], &["PreferNoSchedule"]) as i64);
    add(config.taints, normalise(taints, true));
    add(config.spread, spread::scores(&pod, &nodes, count, &verdicts));

    let scores = scores.into_iter().zip(&verdicts.ruled_out);
    Placement {
        scores: scores.map(|(score, out)| out.map_or(score.max(0), |reason| -1 - reason as i64)).collect(),
        reasons: verdicts.reasons,
    }
}

/// Brings values to 0..=100 by the greatest of them; `reverse` makes the smallest value the best.
pub(crate) fn normalise(mut values: Vec<i64>, reverse: bool) -> Vec<i64> {
    let greatest = values.iter().copied().max().unwrap_or(0);
    for value in &mut values {
        let scaled = if greatest == 0 { 0 } else { *value * 100 / greatest };
        *value = if reverse { 100 - scaled } else { scaled };
    }
    values
}

portcullis_sdk::scheduler!(Config, PATHS, NODE_PATHS, |config: &Config, input: &Input, batch: &NodeBatch| place(
    config,
    input,
    batch,
    &host::count_pods
));

#[cfg(test)]
mod tests;

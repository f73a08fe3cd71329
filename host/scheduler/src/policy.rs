//! What the scheduler asks of a placement policy. Behind the trait is a Wasm component, or a native double in tests.

use std::sync::Arc;

use portcullis_machinery::Value;

/// Answers `count-pods`: for each node of the batch, how many pods of a namespace match a selector.
pub trait PodCounter: Send + Sync {
    /// One number for each node of the batch. `selector` is a LabelSelector. `Err` if it is not valid.
    fn count_pods(&self, namespace: &str, selector: &Value) -> Result<Vec<u32>, String>;
}

/// A batch of nodes, as columns: `column[r * nodes.len() + n]` belongs to resource `r` and node `n`.
pub struct NodeBatch<'a> {
    /// The Node objects, in the order of the columns.
    pub nodes: &'a [Arc<Value>],
    /// For each node, the policy's `node_paths` of it, packed by [`PlacementPolicy::pack_node`].
    pub packed: &'a [Arc<[u8]>],
    /// The resources that the pod asks for, and always `cpu`, `memory` and `pods`.
    pub resources: &'a [String],
    /// What the pod asks for, one for each resource: cpu in thousandths, all else in whole units.
    pub requests: &'a [i64],
    /// What each node has to give.
    pub allocatable: &'a [i64],
    /// What the pods on each node already ask for.
    pub requested: &'a [i64],
    /// Counts pods on these nodes. Shared, so that a call on another thread may hold it.
    pub counter: Arc<dyn PodCounter>,
}

/// A policy's verdict on a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// One for each node: 0 or more is how well it fits, `-1-i` says that `reasons[i]` rules it out.
    pub scores: Vec<i64>,
    /// Short reasons such as `Insufficient cpu`.
    pub reasons: Vec<String>,
}

/// Filters and scores the nodes of a batch for a pod, in one call.
pub trait PlacementPolicy: Send + Sync {
    /// The policy's name, for events and logs.
    fn name(&self) -> &str;
    /// Identifies the version of the policy: packed nodes are kept for as long as this stays the same.
    fn version(&self) -> String;
    /// Packs what the policy reads of a node. Called once for each version of a node.
    fn pack_node(&self, node: &Value) -> Arc<[u8]>;
    /// The verdict. `Err` if the policy failed (a trap, a deadline): the pod is tried again later.
    fn place(&self, pod: &Value, batch: &NodeBatch<'_>) -> Result<Placement, String>;
}

/// Where the scheduler finds its policies.
pub trait PolicyProvider: Send + Sync {
    /// The policies in their order. Asked again for every pod, so that a swap takes effect with the next one.
    fn policies(&self) -> Arc<[Arc<dyn PlacementPolicy>]>;
}

//! Pods that name a zone run there, on the node with the fewest pods.

use portcullis_sdk::{Input, NodeBatch, Placement};

/// What `spec.config` of the Plugin holds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The label that names the zone, on pods and on nodes.
    pub label: String,
}

/// What is read of `{"pod": ..}`.
pub const PATHS: [&str; 1] = ["/pod/metadata/labels"];
/// What is read of each node.
pub const NODE_PATHS: [&str; 1] = ["/metadata/labels"];

/// Rules out nodes of other zones, and scores the others by the room that they have.
pub fn place(config: &Config, input: &Input, batch: &NodeBatch) -> Placement {
    let wanted = input.get(0).get(&config.label).str_or_empty();
    let nodes = batch.nodes as usize;
    let pods = batch.resources.iter().position(|resource| resource == "pods").unwrap_or(0);
    let values = Input::new(&batch.node_values);
    let score = |node: usize| {
        let zone = values.get(node).index(0).get(&config.label).str_or_empty();
        if !wanted.is_empty() && zone != wanted {
            return -1;
        }
        let at = pods * nodes + node;
        let (all, taken) = (batch.allocatable[at], batch.requested[at]);
        if all > 0 { ((all - taken) * 100 / all).max(0) } else { 0 }
    };
    Placement { scores: (0..nodes).map(score).collect(), reasons: vec!["node(s) in another zone".into()] }
}

portcullis_sdk::scheduler!(Config, PATHS, NODE_PATHS, place);

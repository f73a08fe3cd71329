//! Fills a node before the next is begun, so that empty nodes can be given back. It stands beside the default scheduler
//! policy, whose filters still hold; its score is added to the default one's.

use portcullis_sdk::{Input, NodeBatch, Placement};

/// How much the score weighs beside the default policy's, whose parts sum to some hundreds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The score of a node without room; an empty one has 0.
    weight: i64,
}

/// Nothing is read of the pod, and nothing of the nodes but the columns that come with the batch.
pub const PATHS: [&str; 0] = [];

/// Scores each node by how much of it is taken.
pub fn place(config: &Config, _: &Input, batch: &NodeBatch) -> Placement {
    let nodes = batch.nodes as usize;
    let taken = |row: usize, node: usize| {
        let at = row * nodes + node;
        match batch.allocatable[at] {
            0 => 0,
            all => (i128::from(batch.requested[at]) * i128::from(config.weight) / i128::from(all)) as i64,
        }
    };
    let rows: Vec<usize> = (0..batch.resources.len()).filter(|row| batch.resources[*row] == "pods").collect();
    let score = |node: usize| rows.iter().map(|row| taken(*row, node)).sum::<i64>().max(0);
    Placement { scores: (0..nodes).map(score).collect(), reasons: Vec::new() }
}

portcullis_sdk::scheduler!(Config, PATHS, PATHS, place);

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::testing::project;
    use serde_json::json;

    #[test]
    fn the_fuller_node_is_liked() {
        let batch = NodeBatch {
            nodes: 3,
            resources: vec!["pods".to_owned()],
            requests: vec![1],
            allocatable: vec![10, 10, 0],
            requested: vec![1, 9, 0],
            node_values: Vec::new(),
        };
        let packed = project(&json!({}), &PATHS);
        let placement = place(&Config { weight: 1000 }, &Input::new(&packed), &batch);
        assert_eq!(placement.scores, [100, 900, 0]);
    }
}

//! What the pod asks for and what nodes have left.

use portcullis_sdk::NodeBatch;

use crate::Verdicts;

/// Rules out nodes without room.
pub(crate) fn filter(batch: &NodeBatch, verdicts: &mut Verdicts) {
    for (row, resource) in batch.resources.iter().enumerate() {
        // The pod itself takes a place, whatever the host says that it asks for.
        let pods = resource == "pods";
        let request = if pods { batch.requests[row].max(1) } else { batch.requests[row] };
        if request <= 0 {
            continue;
        }
        let reason = match resource.as_str() {
            "pods" => "Too many pods".to_owned(),
            // What a pod listens on comes as amounts too, of which every node has one.
            port if port.starts_with("host-port/") => {
                "node(s) didn't have free ports for the requested pod ports".to_owned()
            }
            other => format!("Insufficient {other}"),
        };
        for node in 0..batch.nodes as usize {
            if request > free(batch, row, node) {
                verdicts.rule_out(node, &reason);
            }
        }
    }
}

fn free(batch: &NodeBatch, row: usize, node: usize) -> i64 {
    let at = row * batch.nodes as usize + node;
    batch.allocatable[at].saturating_sub(batch.requested[at])
}

/// The rows of cpu and memory.
fn rows<'a>(batch: &'a NodeBatch) -> impl Iterator<Item = usize> + 'a {
    batch.resources.iter().enumerate().filter(|(_, name)| matches!(name.as_str(), "cpu" | "memory")).map(|(row, _)| row)
}

/// What a pod without a request counts as, so that such pods do not all gather on one node: 100 thousandths of a
/// processor and 200 MiB, as in the reference.
fn counted_request(batch: &NodeBatch, row: usize) -> i64 {
    match (batch.requests[row], batch.resources[row].as_str()) {
        (0, "cpu") => 100,
        (0, "memory") => 200 << 20,
        (request, _) => request,
    }
}

/// 0 for a full node, 100 for an empty one.
pub(crate) fn least_allocated(batch: &NodeBatch, node: usize) -> i64 {
    let (mut sum, mut count) = (0, 0);
    for row in rows(batch) {
        let capacity = batch.allocatable[row * batch.nodes as usize + node];
        let left = free(batch, row, node) - counted_request(batch, row);
        if capacity > 0 {
            sum += (i128::from(left.max(0)) * 100 / i128::from(capacity)) as i64;
            count += 1;
        }
    }
    if count == 0 { 0 } else { sum / count }
}

/// 75 where the pod changes nothing about the balance of cpu and memory, up to 100 where it mends it, down to 50.
pub(crate) fn balanced(batch: &NodeBatch, node: usize) -> i64 {
    let balance = |with_pod: bool| {
        let mut fractions = Vec::new();
        for row in rows(batch) {
            let at = row * batch.nodes as usize + node;
            if batch.allocatable[at] > 0 {
                let used = batch.requested[at] + if with_pod { batch.requests[row] } else { 0 };
                fractions.push((used as f64 / batch.allocatable[at] as f64).min(1.0));
            }
        }
        let deviation = match fractions[..] {
            [cpu, memory] => ((cpu - memory) / 2.0).abs(),
            _ => 0.0,
        };
        ((1.0 - deviation) * 100.0) as i64
    };
    50 + (50 + balance(true) - balance(false)) / 2
}

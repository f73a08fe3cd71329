//! What the node knows about itself and about a pod that the pod's own object does not say (yet).

use std::net::IpAddr;

/// What containers may use of the node, where they have no limit of their own (`status.allocatable`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocatable {
    /// Thousandths of a core.
    pub cpu_millis: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Bytes.
    pub ephemeral_storage_bytes: i64,
}

/// The node's facts about one pod.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    /// The node's name.
    pub node_name: String,
    /// The node's addresses, the primary one first.
    pub host_ips: Vec<IpAddr>,
    /// The pod's addresses; empty while it has no sandbox.
    pub pod_ips: Vec<IpAddr>,
    /// What the node can give.
    pub allocatable: Allocatable,
}

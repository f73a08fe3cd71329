//! What a kubelet is told at its start. What the reference's kubelet has a flag for keeps that meaning and default.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait after a failure: `base` after the first, doubled after each, up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// After the first failure.
    pub base: Duration,
    /// At most.
    pub max: Duration,
}

impl BackoffPolicy {
    /// Restarts and image pulls: 10 seconds up to 5 minutes.
    pub const CONTAINERS: Self = Self { base: Duration::from_secs(10), max: Duration::from_secs(300) };
    /// Volumes that cannot be set up: half a second up to about two minutes.
    pub const VOLUMES: Self = Self { base: Duration::from_millis(500), max: Duration::from_secs(122) };
    /// Sandboxes that cannot be made.
    pub const SANDBOXES: Self = Self { base: Duration::from_secs(1), max: Duration::from_secs(300) };
}

/// The settings of a kubelet.
#[derive(Clone, Debug)]
pub struct KubeletConfig {
    /// `--hostname-override`: the name of the Node.
    pub node_name: String,
    /// `--root-dir`: where volumes, logs and images are kept.
    pub root_dir: PathBuf,
    /// `--node-ip`: the address that the API server reaches the kubelet at, and the `hostIP` of pods.
    pub node_ip: IpAddr,
    /// `--port`: where the kubelet serves, as the Node says (`daemonEndpoints`).
    pub port: u16,
    /// `--register-node`: whether the kubelet creates its Node.
    pub register_node: bool,
    /// `--node-labels`: more labels of the Node.
    pub node_labels: Vec<(String, String)>,
    /// `--max-pods`.
    pub max_pods: u32,
    /// How restarts of containers are spaced.
    pub restart_backoff: BackoffPolicy,
    /// How pulls of images are spaced.
    pub pull_backoff: BackoffPolicy,
    /// `--sync-frequency`: at least this often a pod is looked at again, and its volumes brought up to date.
    pub sync_frequency: Duration,
    /// `--node-status-update-frequency`: how often the node looks at itself, and renews its Lease.
    pub heartbeat: Duration,
    /// `--node-status-report-frequency`: how often the Node's status is written if nothing changed.
    pub report: Duration,
}

impl Default for KubeletConfig {
    fn default() -> Self {
        Self {
            node_name: "localhost".to_owned(),
            root_dir: PathBuf::from("/var/lib/kubelet"),
            node_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 10250,
            register_node: true,
            node_labels: Vec::new(),
            max_pods: 110,
            restart_backoff: BackoffPolicy::CONTAINERS,
            pull_backoff: BackoffPolicy::CONTAINERS,
            sync_frequency: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
            report: Duration::from_secs(300),
        }
    }
}

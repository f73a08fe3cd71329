//! Addresses for pods that run in this process.
//!
//! A Wasm pod has no network namespace: its address is one of this host, taken from the node's pod range. Where the
//! kubelet may change routes, the whole range is made local (`ip route add local RANGE dev lo`), so that every address
//! in it can be bound and reached from this host; otherwise pods get addresses in 127.0.0.0/8.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use ipnet::Ipv4Net;
use parking_lot::Mutex;

use crate::runtime::RuntimeError;

/// Where addresses come from if the pod range cannot be made local.
const FALLBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 244, 0, 0), 16);

/// The addresses of a node's Wasm pods.
pub(super) struct PodNetwork {
    range: Ipv4Net,
    assigned: Mutex<HashMap<String, Ipv4Addr>>,
}

impl PodNetwork {
    pub(super) fn new(range: Ipv4Net) -> Self {
        let local = make_local(range);
        if !local {
            tracing::info!(%range, fallback = %FALLBACK, "the pod range cannot be made local: pods get loopback addresses");
        }
        Self { range: if local { range } else { FALLBACK }, assigned: Mutex::new(HashMap::new()) }
    }

    /// The address of a pod; the same one as long as it is not released.
    pub(super) fn assign(&self, pod_uid: &str, host_network: bool) -> Result<IpAddr, RuntimeError> {
        if host_network {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let mut assigned = self.assigned.lock();
        if let Some(ip) = assigned.get(pod_uid) {
            return Ok(IpAddr::V4(*ip));
        }
        // The first usable address is left to a gateway, as CNI plugins leave it.
        let free = self.range.hosts().skip(1).find(|ip| !assigned.values().any(|used| used == ip));
        let ip = free.ok_or_else(|| RuntimeError::Create(format!("no free address in {}", self.range)))?;
        assigned.insert(pod_uid.to_owned(), ip);
        Ok(IpAddr::V4(ip))
    }

    /// Gives a pod's address back.
    pub(super) fn release(&self, pod_uid: &str) {
        self.assigned.lock().remove(pod_uid);
    }
}

fn make_local(range: Ipv4Net) -> bool {
    let probe = || std::net::TcpListener::bind((range.hosts().next().unwrap_or(Ipv4Addr::LOCALHOST), 0)).is_ok();
    if probe() {
        return true;
    }
    let added = Command::new("ip").args(["route", "replace", "local", &range.to_string(), "dev", "lo"]).output();
    added.is_ok_and(|output| output.status.success()) && probe()
}

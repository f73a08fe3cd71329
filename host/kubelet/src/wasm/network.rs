//! Addresses for pods that run in this process.
//!
//! A Wasm pod has no network namespace: its address is one of this host. Unless the node was given a range of its own,
//! that is a loopback address, which Linux has for the whole of 127.0.0.0/8: each kubelet on a machine takes a /24 of
//! 127.244.0.0/16 and holds a socket on its first address as the sign of that. A range that the node was given is made
//! local (`ip route replace local RANGE dev lo`), so that every address in it can be bound and reached from this host.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::Command;

use ipnet::Ipv4Net;
use parking_lot::Mutex;

use crate::runtime::RuntimeError;

#[cfg(test)]
mod tests;

/// The port of the socket that says that a range is taken. Nothing is ever accepted there.
const CLAIM_PORT: u16 = 10250;

/// The addresses of a node's Wasm pods.
pub(super) struct PodNetwork {
    range: Ipv4Net,
    state: Mutex<State>,
    /// Holds the range for this process.
    _claim: Option<TcpListener>,
}

#[derive(Default)]
struct State {
    assigned: HashMap<String, Ipv4Addr>,
    /// Where the next search begins: an address that was just given back is used again as late as possible.
    next: usize,
}

impl PodNetwork {
    pub(super) fn new(range: Option<Ipv4Net>) -> Result<Self, RuntimeError> {
        let (range, claim) = match range {
            Some(range) => {
                make_local(range)?;
                (range, None)
            }
            None => claim_loopback()?,
        };
        Ok(Self { range, state: Mutex::default(), _claim: claim })
    }

    /// The address of a pod; the same one as long as it is not released.
    pub(super) fn assign(&self, pod_uid: &str, host_network: bool) -> Result<IpAddr, RuntimeError> {
        if host_network {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let mut state = self.state.lock();
        if let Some(ip) = state.assigned.get(pod_uid) {
            return Ok(IpAddr::V4(*ip));
        }
        // The first usable address is left to a gateway, as CNI plugins leave it.
        let hosts: Vec<Ipv4Addr> = self.range.hosts().skip(1).take(65_536).collect();
        let order = (0..hosts.len()).map(|step| (state.next + step) % hosts.len());
        let free = order.into_iter().find(|at| !state.assigned.values().any(|used| *used == hosts[*at]));
        let at = free.ok_or_else(|| RuntimeError::Create(format!("no free address in {}", self.range)))?;
        state.next = at + 1;
        state.assigned.insert(pod_uid.to_owned(), hosts[at]);
        Ok(IpAddr::V4(hosts[at]))
    }

    /// Gives a pod's address back.
    pub(super) fn release(&self, pod_uid: &str) {
        self.state.lock().assigned.remove(pod_uid);
    }
}

fn claim_loopback() -> Result<(Ipv4Net, Option<TcpListener>), RuntimeError> {
    for third in 0..=255 {
        if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, 244, third, 1), CLAIM_PORT)) {
            return Ok((Ipv4Net::new_assert(Ipv4Addr::new(127, 244, third, 0), 24), Some(claim)));
        }
    }
    Err(RuntimeError::Create("no free loopback range for pods: give one with --pod-cidr".to_owned()))
}

fn make_local(range: Ipv4Net) -> Result<(), RuntimeError> {
    let probe = || TcpListener::bind((range.hosts().next().unwrap_or(Ipv4Addr::LOCALHOST), 0)).is_ok();
    if probe() {
        return Ok(());
    }
    let done = Command::new("ip").args(["route", "replace", "local", &range.to_string(), "dev", "lo"]).output();
    let said = done.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    if probe() {
        return Ok(());
    }
    Err(RuntimeError::Create(format!(
        "the pod range {range} cannot be made local: {}",
        match said {
            Ok(text) => text,
            Err(error) => format!("ip: {error}"),
        }
    )))
}

//! How etcd is reached.

use std::path::PathBuf;
use std::time::Duration;

/// How a store on etcd is opened. The fields that kube-apiserver has a flag for mean what they mean there.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The members' client URLs (`--etcd-servers`).
    pub servers: Vec<String>,
    /// What all keys begin with (`--etcd-prefix`).
    pub prefix: String,
    /// The CA of the members' certificates, PEM (`--etcd-cafile`). Needed for `https` URLs.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the members, PEM (`--etcd-certfile`).
    pub cert_file: Option<PathBuf>,
    /// Its key (`--etcd-keyfile`).
    pub key_file: Option<PathBuf>,
    /// How long a call may take, tries at all members together.
    pub timeout: Duration,
    /// How long to wait for a member to answer when the store is opened.
    pub open_within: Duration,
    /// How often to compact, together with all other servers on the same etcd; `None` leaves it to the caller.
    pub compact_every: Option<Duration>,
    /// The longest time that one lease is given to new entries; it lives that much longer than they have to.
    pub lease_reuse: Duration,
    /// The most entries that share a lease.
    pub lease_entries: u32,
}

impl EtcdOptions {
    /// The defaults for these servers.
    #[must_use]
    pub fn new(servers: Vec<String>) -> Self {
        Self {
            servers,
            prefix: "/registry".to_owned(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            timeout: Duration::from_secs(10),
            open_within: Duration::from_secs(20),
            compact_every: None,
            lease_reuse: Duration::from_secs(60),
            lease_entries: 1000,
        }
    }
}

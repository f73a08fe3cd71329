//! The members of the cluster, one connection each, and which of them is asked.
//!
//! All calls go to one member until it fails; then the next one is it. A balancer that spreads calls would fail some of
//! them for as long as one member is away.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Identity, KvClient, LeaseClient, TlsOptions, WatchClient};
use portcullis_storage::StoreError;
use tokio::time::{Instant, sleep, timeout};

use crate::failure::Failure;
use crate::options::EtcdOptions;
use crate::version::{self, Version};

/// How long calls are tried again while no member takes them: about as long as a member takes to restart.
const RETRY_WITHIN: Duration = Duration::from_secs(2);
/// The pause once every member has been tried.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a member may be silent before it is asked whether it is there, and how long it has to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// One member.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub url: String,
    client: Client,
    kv: KvClient,
    watch: WatchClient,
}

impl Endpoint {
    async fn new(url: &str, options: &ConnectOptions) -> Result<Self, StoreError> {
        let unusable = |error| StoreError::Unsupported(format!("--etcd-servers {url}: {error}"));
        let client = Client::connect([url], Some(options.clone())).await.map_err(unusable)?;
        // A page of large objects is larger than the default limit; what etcd sends is bounded by what was asked for.
        let kv = client.kv_client().max_decoding_message_size(usize::MAX);
        let watch = client.watch_client().max_decoding_message_size(usize::MAX);
        Ok(Self { url: url.to_owned(), client, kv, watch })
    }

    pub(crate) fn kv(&self) -> KvClient {
        self.kv.clone()
    }

    pub(crate) fn watch(&self) -> WatchClient {
        self.watch.clone()
    }

    pub(crate) fn lease(&self) -> LeaseClient {
        self.client.lease_client()
    }

    /// The member's own snapshot of all that it holds.
    pub(crate) async fn snapshot(&self) -> Result<etcd_client::SnapshotStreaming, etcd_client::Error> {
        self.client.maintenance_client().snapshot().await
    }

    /// Whether the cluster has raised an alarm (its disk quota is used up, or data is corrupt).
    pub(crate) async fn alarms(&self) -> Result<bool, etcd_client::Error> {
        let (action, all) = (etcd_client::AlarmAction::Get, etcd_client::AlarmType::None);
        Ok(!self.client.maintenance_client().alarm(action, all, None).await?.alarms().is_empty())
    }

    /// The version that the member runs.
    pub(crate) async fn version(&self) -> Result<Version, Failure> {
        let status = self.client.maintenance_client().status().await?;
        let unknown = || Failure::Refused(format!("etcd at {}: unknown version {:?}", self.url, status.version()));
        version::parse(status.version()).ok_or_else(unknown)
    }
}

/// Whether a call that may have taken effect can be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// It changes nothing, or the same thing again.
    Repeatable,
    /// Its outcome would be another one the second time.
    Once,
}

/// All members.
pub(crate) struct Endpoints {
    members: Vec<Endpoint>,
    preferred: AtomicUsize,
    timeout: Duration,
}

fn read(flag: &str, path: &std::path::Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|error| StoreError::Unsupported(format!("{flag} {}: {error}", path.display())))
}

fn connect_options(options: &EtcdOptions) -> Result<ConnectOptions, StoreError> {
    let connect = ConnectOptions::new()
        .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
        .with_keep_alive_while_idle(true)
        .with_connect_timeout(CONNECT_WITHIN)
        .with_require_leader(true);
    if options.servers.iter().all(|url| url.starts_with("http://")) {
        return Ok(connect);
    }
    let Some(ca) = &options.ca_file else {
        return Err(StoreError::Unsupported("https URLs in --etcd-servers need --etcd-cafile".to_owned()));
    };
    let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read("--etcd-cafile", ca)?));
    match (&options.cert_file, &options.key_file) {
        (Some(cert), Some(key)) => {
            tls = tls.identity(Identity::from_pem(read("--etcd-certfile", cert)?, read("--etcd-keyfile", key)?));
        }
        (None, None) => {}
        _ => {
            let message = "--etcd-certfile and --etcd-keyfile go together";
            return Err(StoreError::Unsupported(message.to_owned()));
        }
    }
    Ok(connect.with_tls(tls))
}

impl Endpoints {
    /// Connections are made at the first call of each member, and again whenever they are lost.
    pub(crate) async fn new(options: &EtcdOptions) -> Result<Self, StoreError> {
        let odd = options.servers.iter().find(|url| !url.starts_with("http://") && !url.starts_with("https://"));
        if let Some(url) = odd {
            return Err(StoreError::Unsupported(format!("--etcd-servers {url}: neither a http:// nor a https:// URL")));
        }
        if options.servers.iter().any(|url| url.starts_with("http://"))
            && options.servers.iter().any(|url| url.starts_with("https://"))
        {
            return Err(StoreError::Unsupported("--etcd-servers has http:// and https:// URLs".to_owned()));
        }
        let connect = connect_options(options)?;
        let mut members = Vec::new();
        for url in &options.servers {
            members.push(Endpoint::new(url.trim_end_matches('/'), &connect).await?);
        }
        if members.is_empty() {
            return Err(StoreError::Unsupported("--etcd-servers is needed".to_owned()));
        }
        Ok(Self { members, preferred: AtomicUsize::new(0), timeout: options.timeout })
    }

    /// The member whose turn it is, and its number for [`Self::give_up`].
    pub(crate) fn current(&self) -> (usize, &Endpoint) {
        let at = self.preferred.load(Ordering::Relaxed) % self.members.len();
        (at, &self.members[at])
    }

    /// Makes the member after this one the one that is asked, unless somebody has done so already.
    pub(crate) fn give_up(&self, at: usize) {
        let next = (at + 1) % self.members.len();
        // Lost races mean that another caller has moved on.
        let _ = self.preferred.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Makes a call, at other members and again where that can do no harm.
    pub(crate) async fn call<T, C, F>(&self, kind: Call, make: C) -> Result<T, Failure>
    where
        C: Fn(Endpoint) -> F,
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let (at, member) = self.current();
            let left = self.timeout.saturating_sub(began.elapsed());
            // A member that hangs must leave time to ask another one.
            let patience = if kind == Call::Repeatable { left.min(self.timeout / 2) } else { left };
            let failure = match timeout(patience, make(member.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Failure::from(error),
                Err(_) => Failure::Unknown(format!("etcd at {} did not answer within {patience:?}", member.url)),
            };
            let again = match &failure {
                Failure::NotTaken(_) => began.elapsed() < RETRY_WITHIN,
                Failure::Unknown(_) => {
                    kind == Call::Repeatable && (began.elapsed() < RETRY_WITHIN || tries + 1 < self.members.len())
                }
                _ => return Err(failure),
            };
            self.give_up(at);
            if !again || began.elapsed() >= self.timeout {
                return Err(failure);
            }
            tracing::debug!(url = member.url, %failure, "asking again");
            tries += 1;
            if tries % self.members.len() == 0 {
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Waits until a member answers, and says which version it runs.
    pub(crate) async fn first_version(&self, within: Duration) -> Result<Version, StoreError> {
        let began = Instant::now();
        let mut told = false;
        loop {
            let (at, member) = self.current();
            let failure = match timeout(CONNECT_WITHIN, member.version()).await {
                Ok(Ok(version)) => return Ok(version),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Unknown("no answer".to_owned()),
            };
            if began.elapsed() >= within || matches!(failure, Failure::Refused(_)) {
                return Err(StoreError::Unavailable(format!("{}: {failure}", member.url)));
            }
            if !told {
                tracing::warn!(url = member.url, %failure, "etcd does not answer yet; waiting for it");
                told = true;
            }
            self.give_up(at);
            sleep(RETRY_PAUSE).await;
        }
    }
}

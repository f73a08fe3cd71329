//! Faults, one after another, each mended before the next.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage::{Store, StoreError, StoreWatch};
use portcullis_storage_testing::etcd::Etcd;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use crate::api::{Api, OBJECTS};
use crate::clients::Shared;
use crate::system::network::{Link, Network};
use crate::system::{Server, leader};
use crate::truth::Truth;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// An API server is killed, and started again.
    KillServer,
    /// An API server hangs for a while.
    PauseServer,
    /// The member that leads is killed, and started again.
    KillLeader,
    /// The member that leads hangs for a while.
    PauseLeader,
    /// Any member is killed, and started again.
    KillMember,
    /// A member cannot reach the others.
    CutPeers,
    /// The member that leads cannot reach the others.
    CutLeader,
    /// Clients cannot reach a member.
    CutClients,
    /// All history is discarded.
    Compact,
}

/// What the API servers keep their state in.
pub enum Under {
    /// The embedded engine, and the next revision of its that has not been read.
    Embedded {
        /// What has been read of it.
        truth: Truth,
        /// The next revision that has not been read.
        next: u64,
    },
    /// A cluster of etcd.
    Etcd {
        /// The cluster.
        etcd: Etcd,
        /// The namespaces that it is in, if there are any.
        network: Option<Network>,
        /// A connection that does not go through the API server.
        store: Arc<dyn Store>,
    },
}

/// All that faults are made in.
pub struct System {
    /// The API servers.
    pub servers: Vec<Server>,
    /// Clients for them.
    pub apis: Vec<Arc<Api>>,
    /// Their store.
    pub under: Under,
}

/// How long an embedded store's history may grow before it is read.
const READ_WITHIN: Duration = Duration::from_secs(25);

/// The prefix of the objects' keys.
pub fn prefix() -> String {
    OBJECTS.replace("/api/v1/namespaces/robustness/configmaps", "/registry/configmaps/robustness/")
}

/// Reads what happened in an embedded store since the last time; nobody may have it open.
pub async fn read_embedded(directory: &Path, truth: &mut Truth, next: &mut u64) -> Result<()> {
    let store = EmbeddedStore::open(directory, EmbeddedOptions::default()).await?;
    let revision = store.revision().await?;
    let watch = StoreWatch { prefix: prefix(), from: *next, prev: false, progress: true };
    if revision < *next {
        return Ok(());
    }
    let mut stream = store.watch(watch).await.map_err(|error| match error {
        StoreError::Compacted { .. } => anyhow::anyhow!("history was compacted before it was read: {error}"),
        other => other.into(),
    })?;
    let batch = futures::StreamExt::next(&mut stream).await.context("the store has a history")??;
    for event in &batch.events {
        truth.event(&prefix(), event).map_err(anyhow::Error::msg)?;
    }
    *next = batch.revision + 1;
    Ok(())
}

impl System {
    /// The faults that can be made here.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = vec![Fault::KillServer, Fault::PauseServer];
        if let Under::Etcd { network, .. } = &self.under {
            faults.extend([Fault::KillLeader, Fault::PauseLeader, Fault::KillMember, Fault::Compact]);
            if network.is_some() {
                faults.extend([Fault::CutPeers, Fault::CutLeader, Fault::CutClients]);
            }
        }
        faults
    }

    /// Makes faults for a while, of those in `only` if there are any: each once in turn, then any.
    pub async fn disturb(&mut self, lasts: Duration, seed: u64, only: &[Fault], shared: &Shared) -> Result<Vec<Fault>> {
        let mut random = StdRng::seed_from_u64(seed);
        let until = Instant::now() + lasts;
        let mut all = self.faults();
        all.retain(|fault| only.is_empty() || only.contains(fault));
        let (mut made, mut read) = (Vec::new(), Instant::now());
        while Instant::now() < until {
            let between = if lasts > Duration::from_secs(120) { 500..6000 } else { 300..1500 };
            sleep(Duration::from_millis(random.random_range(between))).await;
            let any = all.choose(&mut random).copied().unwrap_or(Fault::KillServer);
            let mut fault = all.get(made.len()).copied().unwrap_or(any);
            // What an embedded store keeps of its history has to be read before it is compacted.
            if matches!(self.under, Under::Embedded { .. }) && read.elapsed() > READ_WITHIN {
                fault = Fault::KillServer;
            }
            if fault == Fault::KillServer {
                read = Instant::now();
            }
            println!("{:8.2} s  {fault:?}", shared.clock.now() as f64 / 1e9);
            self.make(fault, &mut random).await.with_context(|| format!("{fault:?}"))?;
            made.push(fault);
        }
        Ok(made)
    }

    async fn make(&mut self, fault: Fault, random: &mut StdRng) -> Result<()> {
        let lasts = Duration::from_millis(random.random_range(300..4000));
        let at = random.random_range(0..self.servers.len());
        match fault {
            Fault::KillServer => {
                self.servers[at].kill()?;
                if let Under::Embedded { truth, next } = &mut self.under {
                    read_embedded(&self.servers[at].store(), truth, next).await?;
                }
                self.servers[at].launch()?;
                return self.apis[at].ready(Duration::from_secs(60)).await;
            }
            Fault::PauseServer => {
                self.servers[at].pause(true)?;
                sleep(lasts).await;
                return self.servers[at].pause(false);
            }
            _ => {}
        }
        let Under::Etcd { etcd, network, store } = &mut self.under else { return Ok(()) };
        let urls = etcd.urls();
        let any = random.random_range(0..urls.len());
        let member = match fault {
            Fault::KillLeader | Fault::PauseLeader | Fault::CutLeader => leader(&urls).await.unwrap_or(any),
            _ => any,
        };
        match fault {
            Fault::KillLeader | Fault::KillMember => {
                etcd.kill(member);
                sleep(lasts).await;
                tokio::task::block_in_place(|| etcd.restart(member));
            }
            Fault::PauseLeader => {
                etcd.pause(member, true);
                sleep(lasts).await;
                etcd.pause(member, false);
            }
            Fault::CutPeers | Fault::CutLeader | Fault::CutClients => {
                let Some(network) = network else { return Ok(()) };
                let link = if fault == Fault::CutClients { Link::Clients } else { Link::Peers };
                network.set(link, member, false)?;
                sleep(lasts * 2).await;
                network.set(link, member, true)?;
            }
            Fault::Compact => {
                let revision = store.revision().await?;
                match store.compact(revision).await {
                    Ok(()) | Err(StoreError::Compacted { .. }) => {}
                    Err(error) if error.is_transient() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Fault::KillServer | Fault::PauseServer => {}
        }
        Ok(())
    }
}

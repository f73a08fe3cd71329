//! One run: start everything, disturb it, let it come to rest, read what happened, check.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use http::Method;
use portcullis_storage::{Store, StoreWatch};
use portcullis_storage_etcd::{EtcdOptions, EtcdStore};
use portcullis_storage_testing::etcd::{Etcd, Place, find};
use rand::Rng as _;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::api::NAMESPACE;
use crate::check;
use crate::check::watches::Selection;
use crate::clients::{Client, Shared, read_list};
use crate::faults::{System, Under, prefix, read_embedded};
use crate::history::{Action, Answer, Clock, Freshness, History};
use crate::system::Server;
use crate::system::network::Network;
use crate::truth::Truth;
use crate::watchers::{Habit, Record, Watcher};
use crate::{Engine, Options};

/// How often the API server compacts: what is older than this may be gone. The embedded store's history is read when its
/// server is dead, which happens more often than this (see `System::disturb`).
const COMPACT_EVERY: [(Engine, &str); 2] = [(Engine::Embedded, "60s"), (Engine::Etcd, "20s")];
/// How long no watch may have got on before those that have not delivered the last events are stuck.
const CATCH_UP: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that stays if something was wrong.
struct Work(PathBuf);

impl Work {
    fn make() -> Result<Self> {
        let place = std::env::temp_dir().join(format!("portcullis-robustness-{}", std::process::id()));
        std::fs::create_dir_all(&place)?;
        Ok(Self(place))
    }
}

async fn start(options: &Options, work: &Path) -> Result<System> {
    let every = COMPACT_EVERY.iter().find(|(engine, _)| *engine == options.engine).map_or("20s", |(_, every)| every);
    let mut flags = vec!["--etcd-compaction-interval".to_owned(), every.to_owned()];
    let (under, count) = match options.engine {
        Engine::Embedded => (Under::Embedded { truth: Truth::default(), next: 2 }, 1),
        Engine::Etcd => {
            let Some(binary) = find(&options.etcd) else { bail!("no etcd {} is installed", options.etcd) };
            let network = options.partitions.then(|| Network::make(3)).transpose()?;
            let places = network.as_ref().map_or(vec![Place::default(); 3], Network::places);
            let etcd = tokio::task::block_in_place(|| Etcd::start_at(&binary, &places, false));
            flags.extend(["--store".to_owned(), "etcd".to_owned()]);
            flags.extend(["--etcd-servers".to_owned(), etcd.urls().join(",")]);
            let store = EtcdStore::open(EtcdOptions::new(etcd.urls())).await?;
            (Under::Etcd { etcd, network, store }, 2)
        }
    };
    let mut system = System { servers: Vec::new(), apis: Vec::new(), under };
    for at in 0..count {
        let mut server = Server::new(&options.binary, work.join(format!("server-{at}")), &flags)?;
        system.apis.push(Arc::new(server.start().await?));
        system.servers.push(server);
    }
    Ok(system)
}

fn watchers(shared: &Arc<Shared>, seed: u64) -> Vec<Watcher> {
    use Selection::{All, Labelled, Named};
    let name = Arc::clone(&shared.keys[0]);
    let kinds = [
        (Habit::List, All, true),
        (Habit::List, All, false),
        (Habit::Stream, All, true),
        (Habit::Stream, All, true),
        (Habit::Any, All, false),
        (Habit::Any, Labelled("odd"), true),
        (Habit::List, Labelled("even"), true),
        (Habit::List, Labelled("odd"), false),
        (Habit::Stream, Labelled("even"), true),
        (Habit::List, Named(Arc::clone(&name)), true),
        (Habit::Stream, Named(name), true),
    ];
    let watcher = |(at, (habit, selection, bookmarks)): (u64, (Habit, Selection, bool))| Watcher {
        shared: Arc::clone(shared),
        habit,
        selection,
        bookmarks,
        slow: at % 3 == 2,
        seed: seed ^ (at + 1000),
        reached: Arc::default(),
    };
    (0..).zip(kinds).map(watcher).collect()
}

/// Reads all that happened from an etcd store, past the API servers.
async fn read_etcd(store: Arc<dyn Store>, from: u64, until: Arc<AtomicU64>) -> Result<Truth> {
    let mut truth = Truth::default();
    let mut stream = store.watch(StoreWatch { prefix: prefix(), from, prev: false, progress: true }).await?;
    let mut seen = from;
    while seen < until.load(Ordering::Relaxed) {
        store.request_progress().await?;
        let Ok(batch) = tokio::time::timeout(Duration::from_millis(500), stream.next()).await else { continue };
        let batch = batch.context("the store's watch ended")??;
        for event in &batch.events {
            truth.event(&prefix(), event).map_err(anyhow::Error::msg)?;
        }
        seen = batch.revision;
    }
    Ok(truth)
}

/// Writes every object twice, with both labels, so that every watch has something to see. The last revision of it.
async fn settle(shared: &Arc<Shared>) -> Result<(u64, History)> {
    let mut client = Client::new(Arc::clone(shared), 0, Duration::ZERO);
    for key in shared.keys.clone() {
        for odd in [0, 1] {
            for _ in 0..50 {
                // Room for two numbers of this parity.
                let w = shared.writes.fetch_add(8, Ordering::Relaxed) / 2 * 2 + 2 + odd;
                client.one(&key, Action::Patch { w }).await;
                if client.last_answer() == Some(&Answer::Absent) {
                    client.one(&key, Action::Create { w: w + 2 }).await;
                }
                if matches!(client.last_answer(), Some(Answer::Is(_))) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    let list = read_list(shared, &shared.servers[0], Freshness::Consistent, None, PATIENCE).await;
    let (revision, _) = list.context("no list could be read once nothing failed any more")?;
    let last = client.into_history();
    let newest = last.operations.iter().filter_map(|operation| match &operation.answer {
        Answer::Is(version) => Some(version.revision),
        _ => None,
    });
    let newest = newest.max().context("nothing could be written once nothing failed any more")?;
    ensure!(newest <= revision, "a list is of {revision}, and {newest} was acknowledged before it");
    Ok((newest, last))
}

/// Waits until all watches have come to `revision`; gives those that have not.
async fn caught_up(reached: &[(Selection, Arc<AtomicU64>)], revision: u64) -> Vec<String> {
    let late = || {
        let behind = |(_, reached): &&(Selection, Arc<AtomicU64>)| reached.load(Ordering::Relaxed) < revision;
        reached.iter().filter(behind).collect::<Vec<_>>()
    };
    // Some take their time on purpose: they may, for as long as they get on.
    let come_to = || reached.iter().map(|(_, reached)| reached.load(Ordering::Relaxed)).sum::<u64>();
    let (mut before, mut until) = (come_to(), tokio::time::Instant::now() + CATCH_UP);
    while !late().is_empty() && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if come_to() > before {
            (before, until) = (come_to(), tokio::time::Instant::now() + CATCH_UP);
        }
    }
    let text = |(selection, reached): &(Selection, Arc<AtomicU64>)| {
        format!("a watcher of {selection:?} has come to {reached:?} of {revision}, and no further")
    };
    late().into_iter().map(text).collect()
}

/// Runs a test; whether nothing was wrong.
pub async fn run(options: Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("engine {:?}, seed {seed}, {} s", options.engine, options.seconds);
    let work = Work::make()?;
    let mut system = start(&options, &work.0).await?;
    let namespace = json!({"metadata": {"name": NAMESPACE}});
    let made = system.apis[0].call(Method::POST, "/api/v1/namespaces", Some(&namespace), PATIENCE).await;
    ensure!(made.code == 201, "the namespace cannot be made: {}", made.body);
    let shared = Arc::new(Shared {
        servers: system.apis.clone(),
        keys: (0..options.objects.max(1)).map(|at| Arc::from(format!("object-{at}"))).collect(),
        clock: Clock::start(),
        writes: AtomicU64::new(1),
        odd: parking_lot::Mutex::default(),
    });
    let until = Arc::new(AtomicU64::new(u64::MAX));
    let reader = match &system.under {
        Under::Etcd { store, .. } => {
            let from = store.revision().await? + 1;
            Some(tokio::spawn(read_etcd(Arc::clone(store), from, Arc::clone(&until))))
        }
        Under::Embedded { .. } => None,
    };
    let stop = tokio::sync::watch::Sender::new(false);
    let clients: Vec<JoinHandle<History>> = (0..options.clients)
        .map(|at| {
            let client = Client::new(Arc::clone(&shared), seed ^ (at + 1), Duration::from_millis(options.pace));
            tokio::spawn(client.run(stop.subscribe()))
        })
        .collect();
    let stop_watching = tokio::sync::watch::Sender::new(false);
    let watchers = watchers(&shared, seed);
    let named = |watcher: &&Watcher| !matches!(watcher.selection, Selection::Named(_));
    let reached: Vec<_> =
        watchers.iter().filter(named).map(|one| (one.selection.clone(), Arc::clone(&one.reached))).collect();
    let watching: Vec<JoinHandle<Record>> =
        watchers.into_iter().map(|watcher| tokio::spawn(watcher.run(stop_watching.subscribe()))).collect();

    let faults = system.disturb(Duration::from_secs(options.seconds), seed, &options.only, &shared).await?;
    for api in &system.apis {
        api.ready(Duration::from_secs(60)).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send_replace(true);
    let mut history = History::default();
    for client in clients {
        history.extend(client.await?);
    }
    let (last, settled) = settle(&shared).await?;
    history.extend(settled);
    let mut wrong = caught_up(&reached, last).await;
    stop_watching.send_replace(true);
    let (mut watches, mut resumed, mut expired) = (Vec::new(), 0, 0);
    for watcher in watching {
        let record = watcher.await?;
        watches.extend(record.watches);
        (resumed, expired) = (resumed + record.resumed, expired + record.expired);
    }
    until.store(last, Ordering::Relaxed);
    let truth = match (reader, &mut system.under) {
        (Some(reader), _) => reader.await??,
        (None, Under::Embedded { truth, next }) => {
            system.servers[0].kill()?;
            read_embedded(&system.servers[0].store(), truth, next).await?;
            std::mem::take(truth)
        }
        (None, Under::Etcd { .. }) => bail!("nobody reads the store"),
    };
    wrong.extend(check::check(&history, &watches, &truth));
    wrong.extend(shared.odd.lock().drain(..));
    let unknown = history.operations.iter().filter(|operation| operation.answer == Answer::Unknown).count();
    let events: usize = watches.iter().map(|watch| watch.seen.len()).sum();
    println!(
        "{} faults; {} operations, {unknown} of them without an answer; {} lists; {} changes; {} watches with {events} \
         events, {resumed} resumed, {expired} told to begin anew",
        faults.len(),
        history.operations.len(),
        history.listings.len(),
        truth.len(),
        watches.len(),
    );
    for text in wrong.iter().take(20) {
        println!("WRONG: {text}");
    }
    if wrong.is_empty() {
        std::fs::remove_dir_all(&work.0)?;
        println!("nothing was wrong");
    } else {
        println!("{} things were wrong; seed {seed}, logs in {}", wrong.len(), work.0.display());
    }
    Ok(wrong.is_empty())
}

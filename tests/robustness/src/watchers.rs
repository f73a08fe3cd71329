//! Watches of every sort, cut and resumed, and what came on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::{OBJECTS, Reply};
use crate::check::watches::{Kind, Seen, Selection, Start, Watch};
use crate::clients::{Shared, read_list};
use crate::history::{Freshness, Version};

/// How a watcher begins, and begins anew where it cannot resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It lists and watches from there, as client-go does.
    List,
    /// It watches with sendInitialEvents.
    Stream,
    /// It watches without a resourceVersion, or with 0, each time.
    Any,
}

/// A watcher.
pub struct Watcher {
    /// What all share.
    pub shared: Arc<Shared>,
    /// How it begins.
    pub habit: Habit,
    /// What it selects.
    pub selection: Selection,
    /// Whether it asks for bookmarks.
    pub bookmarks: bool,
    /// Whether it takes its time with what comes.
    pub slow: bool,
    /// Its seed.
    pub seed: u64,
    /// How far it has come.
    pub reached: Arc<AtomicU64>,
}

/// What a watcher has taken down.
#[derive(Default)]
pub struct Record {
    /// All its watches.
    pub watches: Vec<Watch>,
    /// How often it resumed, and how often it was told to begin anew.
    pub resumed: usize,
    /// See above.
    pub expired: usize,
}

/// How a watch ended.
enum End {
    Cut,
    Expired,
    Stopped,
}

impl Watcher {
    /// Watches until told to stop.
    pub async fn run(self, mut stop: Receiver<bool>) -> Record {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut record = Record::default();
        let mut position = None;
        while !*stop.borrow() {
            let start = match position {
                Some(revision) => Start::After(revision),
                None => match self.begin(&mut random).await {
                    Some(start) => start,
                    None => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            record.resumed += usize::from(position.is_some());
            let mut watch = Watch { selection: self.selection.clone(), start, seen: Vec::new() };
            let end = self.follow(&mut watch, &mut random, &mut stop).await;
            position = watch.position();
            if !watch.seen.is_empty() {
                record.watches.push(watch);
            }
            match end {
                End::Stopped => break,
                // Now and then it does not trust its own memory.
                End::Cut if random.random_bool(0.9) => {}
                End::Cut => position = None,
                End::Expired => {
                    record.expired += 1;
                    position = None;
                }
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        }
        record
    }

    async fn begin(&self, random: &mut StdRng) -> Option<Start> {
        match self.habit {
            Habit::Any => Some(Start::Any),
            Habit::Stream => Some(Start::Initial),
            Habit::List => {
                let server = &self.shared.servers[random.random_range(0..self.shared.servers.len())];
                let patience = Duration::from_secs(5);
                let (revision, _) = read_list(&self.shared, server, Freshness::Consistent, None, patience).await?;
                Some(Start::After(revision))
            }
        }
    }

    fn path(&self, start: Start, random: &mut StdRng) -> String {
        let seconds = if self.bookmarks { random.random_range(4..10) } else { random.random_range(5..40) };
        let mut path = format!("{OBJECTS}?watch=1&timeoutSeconds={seconds}");
        match start {
            Start::After(revision) => path += &format!("&resourceVersion={revision}"),
            Start::Any if random.random_bool(0.5) => path += "&resourceVersion=0",
            Start::Any => {}
            Start::Initial => path += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        }
        if self.bookmarks || start == Start::Initial {
            path += "&allowWatchBookmarks=true";
        }
        match &self.selection {
            Selection::All => {}
            Selection::Named(name) => path += &format!("&fieldSelector=metadata.name%3D{name}"),
            Selection::Labelled(label) => path += &format!("&labelSelector=parity%3D{label}"),
        }
        path
    }

    async fn follow(&self, watch: &mut Watch, random: &mut StdRng, stop: &mut Receiver<bool>) -> End {
        let server = Arc::clone(&self.shared.servers[random.random_range(0..self.shared.servers.len())]);
        let path = self.path(watch.start, random);
        let opened = timeout(Duration::from_secs(5), server.open(&path)).await;
        let Ok(Ok((code, mut body))) = opened else { return End::Cut };
        // The client's own impatience.
        let until = Instant::now() + Duration::from_millis(random.random_range(500..20_000));
        let mut rest = Vec::new();
        loop {
            let frame = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return End::Stopped,
                frame = timeout_at(until, body.frame()) => frame,
            };
            let Ok(Some(Ok(frame))) = frame else { return End::Cut };
            rest.extend_from_slice(frame.data_ref().map(|data| &data[..]).unwrap_or_default());
            if code != 200 {
                let reply = Reply { code, body: serde_json::from_slice(&rest).unwrap_or_default() };
                if code == 410 {
                    return End::Expired;
                }
                if !reply.is_unknown() && code != 429 {
                    self.shared.odd(&path, &reply);
                }
                return End::Cut;
            }
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if let Some(end) = self.line(watch, &line) {
                    return end;
                }
            }
            if let Some(position) = watch.position().or(if watch.start == Start::Any { last(watch) } else { None }) {
                self.reached.fetch_max(position, Ordering::Relaxed);
            }
            if self.slow {
                tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
            }
        }
    }

    /// Takes one line; `Some` if the watch ends with it.
    fn line(&self, watch: &mut Watch, line: &[u8]) -> Option<End> {
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        let object = &event["object"];
        let kind = match event["type"].as_str().unwrap_or_default() {
            "ADDED" => Kind::Added,
            "MODIFIED" => Kind::Modified,
            "DELETED" => Kind::Deleted,
            "BOOKMARK" => {
                let revision = object["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
                let synced = object["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true";
                watch.seen.push(if synced { Seen::Synced(revision) } else { Seen::Bookmark(revision) });
                return None;
            }
            "ERROR" if object["code"] == 410 => return Some(End::Expired),
            "ERROR" => {
                let code = object["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
                let reply = Reply { code, body: object.clone() };
                if !reply.is_unknown() {
                    self.shared.odd("a watch", &reply);
                }
                return Some(End::Cut);
            }
            _ => {
                let text = String::from_utf8_lossy(line);
                self.shared.odd.lock().push(format!("a watch sent what is no event: {text}"));
                return Some(End::Cut);
            }
        };
        match (object["metadata"]["name"].as_str(), Version::of(object)) {
            (Some(name), Some(version)) => watch.seen.push(Seen::Change(kind, name.into(), version)),
            _ => self.shared.odd.lock().push(format!("a watch has an object of no write: {object}")),
        }
        None
    }
}

fn last(watch: &Watch) -> Option<u64> {
    watch.seen.iter().rev().find_map(|seen| match seen {
        Seen::Change(_, _, version) => Some(version.revision),
        Seen::Bookmark(revision) | Seen::Synced(revision) => Some(*revision),
    })
}

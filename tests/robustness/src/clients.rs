//! Clients that read and write the same few objects, and take down everything.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;

use crate::api::{Api, OBJECTS, Reply};
use crate::history::{Action, Answer, Clock, Freshness, History, Listing, NEVER, Operation, Version, body, patch};

/// What all clients share.
pub struct Shared {
    /// The servers; each client uses all of them.
    pub servers: Vec<Arc<Api>>,
    /// The names of the objects.
    pub keys: Vec<Arc<str>>,
    /// The clock.
    pub clock: Clock,
    /// The number of the next write.
    pub writes: AtomicU64,
    /// Answers that no fault explains.
    pub odd: parking_lot::Mutex<Vec<String>>,
}

impl Shared {
    fn write(&self) -> u64 {
        self.writes.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes down an answer that no fault explains.
    pub fn odd(&self, what: &str, reply: &Reply) {
        let text = format!("{what} was answered with {}: {}", reply.code, reply.body);
        self.odd.lock().push(text);
    }
}

/// A client.
pub struct Client {
    shared: Arc<Shared>,
    random: StdRng,
    known: HashMap<Arc<str>, Version>,
    history: History,
    pace: Duration,
}

impl Client {
    /// A client with a seed of its own, which rests about `pace` between requests.
    pub fn new(shared: Arc<Shared>, seed: u64, pace: Duration) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { shared, random, known: HashMap::new(), history: History::default(), pace }
    }

    /// Makes requests until told to stop.
    pub async fn run(mut self, stop: Receiver<bool>) -> History {
        while !*stop.borrow() {
            self.step().await;
            let rest = self.pace.mul_f64(self.random.random_range(0.2..2.0));
            tokio::time::sleep(rest).await;
        }
        self.history
    }

    fn server(&mut self) -> Arc<Api> {
        let at = self.random.random_range(0..self.shared.servers.len());
        Arc::clone(&self.shared.servers[at])
    }

    /// A client waits longer than the server thinks about it, or not.
    fn patience(&mut self) -> Duration {
        Duration::from_millis(*[700, 3000, 15_000].choose(&mut self.random).unwrap_or(&3000))
    }

    async fn step(&mut self) {
        let at = self.random.random_range(0..self.shared.keys.len());
        let key = Arc::clone(&self.shared.keys[at]);
        match self.random.random_range(0..100) {
            0..14 => {
                let w = self.shared.write();
                self.one(&key, Action::Create { w }).await;
            }
            14..30 => self.one(&key, Action::Get).await,
            30..34 => self.touch(&key).await,
            34..37 => self.glimpse(&key).await,
            37..45 => self.list(Freshness::Consistent, None).await,
            45..48 => self.list(Freshness::Consistent, Some(3)).await,
            48..52 => self.list(Freshness::Any, None).await,
            52..54 => self.past().await,
            54..74 => match self.known.get(&key).cloned() {
                Some(Version { b, revision, .. }) => {
                    let w = self.shared.write();
                    self.one(&key, Action::Update { w, b, revision }).await;
                }
                None => self.one(&key, Action::Get).await,
            },
            74..89 => {
                let w = self.shared.write();
                self.one(&key, Action::Patch { w }).await;
            }
            89..99 => {
                let known = self.known.get(&key).cloned();
                let uid = known.as_ref().filter(|_| self.random.random_bool(0.5)).map(|known| Arc::clone(&known.uid));
                let revision = known.filter(|_| self.random.random_bool(0.4)).map(|known| known.revision);
                self.one(&key, Action::Delete { uid, revision }).await;
            }
            _ => self.sweep().await,
        }
    }

    /// An operation on one object.
    pub async fn one(&mut self, key: &Arc<str>, action: Action) {
        let path = format!("{OBJECTS}/{key}");
        let (server, patience) = (self.server(), self.patience());
        let call = self.shared.clock.now();
        let reply = match &action {
            Action::Create { w } => {
                let object = body(key, *w, *w, *w, None);
                server.call(Method::POST, OBJECTS, Some(&object), patience).await
            }
            Action::Update { w, b, revision } => {
                let object = body(key, *w, *w, *b, Some(*revision));
                server.call(Method::PUT, &path, Some(&object), patience).await
            }
            Action::Patch { w } => server.call(Method::PATCH, &path, Some(&patch(*w)), patience).await,
            Action::Delete { uid, revision } => {
                let mut conditions = json!({});
                if let Some(uid) = uid {
                    conditions["uid"] = Value::from(&**uid);
                }
                if let Some(revision) = revision {
                    conditions["resourceVersion"] = revision.to_string().into();
                }
                let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": conditions});
                server.call(Method::DELETE, &path, Some(&options), patience).await
            }
            Action::Get | Action::Sweep => server.call(Method::GET, &path, None, patience).await,
        };
        let answer = self.answer(&action, &reply);
        match &answer {
            Answer::Is(version) => drop(self.known.insert(Arc::clone(key), version.clone())),
            Answer::Absent | Answer::Deleted(_) => drop(self.known.remove(key)),
            _ => {}
        }
        let done = if answer == Answer::Unknown { NEVER } else { self.shared.clock.now() };
        self.history.operations.push(Operation { key: Arc::clone(key), action, call, done, answer });
    }

    fn answer(&self, action: &Action, reply: &Reply) -> Answer {
        let answer = match (reply.code, action) {
            _ if reply.is_unknown() => Some(Answer::Unknown),
            (429, _) => Some(Answer::Refused),
            (404, Action::Get | Action::Update { .. } | Action::Patch { .. } | Action::Delete { .. }) => {
                Some(Answer::Absent)
            }
            (409, Action::Create { .. }) if reply.reason() == "AlreadyExists" => Some(Answer::Exists),
            (409, Action::Update { .. } | Action::Patch { .. } | Action::Delete { .. }) => Some(Answer::Conflict),
            (200, Action::Delete { .. }) => Some(Answer::Deleted(reply.body["details"]["uid"].as_str().map(Arc::from))),
            (200 | 201, _) => Version::of(&reply.body).map(Answer::Is),
            _ => None,
        };
        answer.unwrap_or_else(|| {
            self.shared.odd(&format!("{action:?}"), reply);
            Answer::Unknown
        })
    }

    /// A patch that changes nothing, and so has to answer with the object as it is: a read by another way.
    async fn touch(&mut self, key: &Arc<str>) {
        let (server, patience) = (self.server(), self.patience());
        let (path, nothing) = (format!("{OBJECTS}/{key}"), json!({"metadata": {"annotations": {"nothing": null}}}));
        let call = self.shared.clock.now();
        let reply = server.call(Method::PATCH, &path, Some(&nothing), patience).await;
        let answer = match reply.code {
            409 | 429 => return,
            _ => self.answer(&Action::Get, &reply),
        };
        let done = if answer == Answer::Unknown { NEVER } else { self.shared.clock.now() };
        self.history.operations.push(Operation { key: Arc::clone(key), action: Action::Get, call, done, answer });
    }

    /// A read of whatever the server has.
    async fn glimpse(&mut self, key: &Arc<str>) {
        let (server, patience) = (self.server(), self.patience());
        let reply = server.call(Method::GET, &format!("{OBJECTS}/{key}?resourceVersion=0"), None, patience).await;
        match (reply.code, Version::of(&reply.body)) {
            (200, Some(version)) => self.history.glimpses.push((Arc::clone(key), version)),
            (404, _) => {}
            _ if reply.is_unknown() => {}
            _ => self.shared.odd("a read of anything", &reply),
        }
    }

    /// A list as it was at a revision that somebody has seen.
    async fn past(&mut self) {
        let seen: Vec<u64> = self.known.values().map(|version| version.revision).collect();
        if let Some(revision) = seen.choose(&mut self.random) {
            self.list(Freshness::At(*revision), None).await;
        }
    }

    async fn list(&mut self, freshness: Freshness, limit: Option<u64>) {
        let (server, patience) = (self.server(), self.patience());
        let call = self.shared.clock.now();
        let Some((revision, objects)) = read_list(&self.shared, &server, freshness, limit, patience).await else {
            return;
        };
        let done = self.shared.clock.now();
        if freshness == Freshness::Consistent {
            for key in self.shared.keys.clone() {
                let found = objects.iter().find(|(name, _)| *name == key).map(|(_, version)| version.clone());
                let answer = found.clone().map_or(Answer::Absent, Answer::Is);
                self.history.operations.push(Operation {
                    key: Arc::clone(&key),
                    action: Action::Get,
                    call,
                    done,
                    answer,
                });
                match found {
                    Some(version) => drop(self.known.insert(key, version)),
                    None => drop(self.known.remove(&key)),
                }
            }
        }
        self.history.listings.push(Listing { freshness, revision, objects, call, done });
    }

    async fn sweep(&mut self) {
        let (server, patience) = (self.server(), self.patience());
        let call = self.shared.clock.now();
        let reply = server.call(Method::DELETE, OBJECTS, None, patience).await;
        let answer = match reply.code {
            200 => Answer::Deleted(None),
            429 => return,
            // What was refused for one object may have been done for others.
            409 => Answer::Unknown,
            _ if reply.is_unknown() => Answer::Unknown,
            _ => {
                self.shared.odd("the deletion of all", &reply);
                Answer::Unknown
            }
        };
        let done = if answer == Answer::Unknown { NEVER } else { self.shared.clock.now() };
        for key in &self.shared.keys {
            let (key, action, answer) = (Arc::clone(key), Action::Sweep, answer.clone());
            self.history.operations.push(Operation { key, action, call, done, answer });
        }
    }

    /// The answer to the last operation.
    pub fn last_answer(&self) -> Option<&Answer> {
        self.history.operations.last().map(|operation| &operation.answer)
    }

    /// What was taken down so far, for one who does not run.
    pub fn into_history(self) -> History {
        self.history
    }
}

/// Reads a list, page by page if there is a limit. `None` if it could not be read, or is no longer kept.
pub async fn read_list(
    shared: &Shared,
    server: &Api,
    freshness: Freshness,
    limit: Option<u64>,
    patience: Duration,
) -> Option<(u64, Vec<(Arc<str>, Version)>)> {
    let mut query = match freshness {
        Freshness::Consistent => String::new(),
        Freshness::Any => "resourceVersion=0".to_owned(),
        Freshness::At(revision) => format!("resourceVersion={revision}&resourceVersionMatch=Exact"),
    };
    let mut objects = Vec::new();
    loop {
        let limited = limit.map_or(String::new(), |limit| format!("&limit={limit}"));
        let reply = server.call(Method::GET, &format!("{OBJECTS}?{query}{limited}"), None, patience).await;
        if reply.code != 200 {
            if !reply.is_unknown() && !matches!(reply.code, 410 | 429) {
                shared.odd(&format!("a list of {freshness:?}"), &reply);
            }
            return None;
        }
        for item in reply.body["items"].as_array().map(Vec::as_slice).unwrap_or_default() {
            match (item["metadata"]["name"].as_str(), Version::of(item)) {
                (Some(name), Some(version)) => objects.push((Arc::from(name), version)),
                _ => shared.odd.lock().push(format!("a list has an object of no write: {item}")),
            }
        }
        match reply.body["metadata"]["continue"].as_str().unwrap_or_default() {
            "" => return Some((reply.body["metadata"]["resourceVersion"].as_str()?.parse().ok()?, objects)),
            token => query = format!("continue={token}"),
        }
    }
}

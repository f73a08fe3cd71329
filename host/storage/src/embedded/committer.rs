//! The thread that makes writes durable, all that wait with one sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::log::{Log, NoSnapshot, begin, encode_compaction, encode_version};
use super::state::{Shared, Version, now_millis, wanted};
use crate::{Expect, KeyValue, StoreError, WatchBatch};

/// How often entries whose time has passed are looked for.
const EXPIRY_TICK: Duration = Duration::from_secs(1);
/// The most writes that share one commit, and about how many bytes.
const MAX_GROUP: usize = 1024;
const MAX_GROUP_BYTES: usize = 8 << 20;
/// A group is waited for no longer than this part of what a sync takes: writers that were acknowledged together come
/// back together, and a sync for the first of them alone would make all others wait for the next.
const PATIENCE: u32 = 8;

/// A write.
pub(super) enum Operation {
    Put { key: Arc<str>, value: Bytes, expect: Expect, expires_at: Option<u64> },
    Delete { key: Arc<str>, expect: Expect },
    Compact { revision: u64 },
}

impl Operation {
    fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            _ => 0,
        }
    }
}

/// What a write comes to: the entry before it, and its revision.
pub(super) type Outcome = Result<(Option<KeyValue>, u64), StoreError>;

/// A write with who waits for it.
pub(super) struct Request {
    pub operation: Operation,
    pub reply: oneshot::Sender<Outcome>,
}

/// The committer thread. It ends, with all that was acknowledged durable, when this is dropped.
pub(super) struct Committer {
    sender: Option<Sender<Request>>,
    thread: Option<std::thread::JoinHandle<()>>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Committer {
    pub(super) fn start(log: Log, shared: Arc<Shared>, history_bytes: usize) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        let failure = Arc::new(Mutex::new(None));
        let (last_group, last_sync) = (1, Duration::ZERO);
        let mut worker = Worker { log, shared, failure: Arc::clone(&failure), history_bytes, last_group, last_sync };
        let thread = std::thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || worker.run(&receiver))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), failure })
    }

    pub(super) fn submit(&self, request: Request) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the store has stopped".into());
        self.sender.as_ref().ok_or_else(stopped)?.send(request).map_err(|_| stopped())
    }

    pub(super) fn health(&self) -> Result<(), StoreError> {
        self.failure.lock().clone().map_or(Ok(()), |why| Err(StoreError::Unavailable(why)))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Worker {
    log: Log,
    shared: Arc<Shared>,
    failure: Arc<Mutex<Option<String>>>,
    history_bytes: usize,
    /// How many writes the last group had, and how long it took to become durable.
    last_group: usize,
    last_sync: Duration,
}

/// A write that is in the group and not durable yet.
struct Staged {
    key: Arc<str>,
    version: Version,
    previous: Option<KeyValue>,
    reply: Option<oneshot::Sender<Outcome>>,
}

/// A group on its way to the disk.
#[derive(Default)]
struct Group {
    writes: Vec<Staged>,
    /// What the writes so far leave of a key; the state itself changes only once all is durable.
    overlay: HashMap<Arc<str>, Option<KeyValue>>,
    /// Writes that are refused. What they are told may rest on a write of the group, so they wait for it.
    refused: Vec<(oneshot::Sender<Outcome>, StoreError)>,
    next: u64,
}

impl Group {
    fn refuse(&mut self, reply: Option<oneshot::Sender<Outcome>>, error: StoreError) {
        self.refused.extend(reply.map(|reply| (reply, error)));
    }
}

/// Tells a writer what came of its write; one that has gone away does not want to know.
fn answer(reply: Option<oneshot::Sender<Outcome>>, outcome: Outcome) {
    if let Some(reply) = reply {
        let _ = reply.send(outcome);
    }
}

impl Worker {
    fn run(&mut self, receiver: &Receiver<Request>) {
        loop {
            match receiver.recv_timeout(EXPIRY_TICK) {
                Ok(first) => {
                    let group = self.gather(first, receiver);
                    self.last_group = group.len();
                    self.commit(group);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.commit(Vec::new());
                    self.seal();
                }
                Err(RecvTimeoutError::Disconnected) => return self.seal(),
            }
        }
    }

    /// The writes that share a commit.
    fn gather(&self, first: Request, receiver: &Receiver<Request>) -> Vec<Request> {
        let mut bytes = first.operation.bytes();
        let mut group = vec![first];
        let until = Instant::now() + self.last_sync / PATIENCE;
        while group.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
            let next = match receiver.try_recv() {
                Ok(next) => next,
                Err(_) if group.len() >= self.last_group => break,
                Err(_) => match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            bytes += next.operation.bytes();
            group.push(next);
        }
        group
    }

    /// Lets a later reader of the log know that everything in it was acknowledged.
    fn seal(&mut self) {
        if self.failure.lock().is_none()
            && let Err(error) = self.log.seal()
        {
            self.fail(&error);
        }
    }

    fn commit(&mut self, requests: Vec<Request>) {
        if let Some(why) = self.failure.lock().clone() {
            for request in requests {
                answer(Some(request.reply), Err(StoreError::Unavailable(why.clone())));
            }
            return;
        }
        let mut group = Group { next: self.shared.state.read().revision + 1, ..Group::default() };
        let mut compactions = Vec::new();
        let expired = self.shared.state.read().expired(now_millis());
        for (key, mod_revision) in expired {
            let operation = Operation::Delete { key, expect: Expect::ModRevision(mod_revision) };
            self.stage(operation, None, &mut group);
        }
        for Request { operation, reply } in requests {
            match operation {
                Operation::Compact { revision } => compactions.push((revision, reply)),
                operation => self.stage(operation, Some(reply), &mut group),
            }
        }
        self.write(group);
        for (revision, reply) in compactions {
            let outcome = self.compact(revision);
            answer(Some(reply), outcome);
        }
        let overfull = self.shared.state.read().overfull(self.history_bytes);
        if let Some(revision) = overfull
            && let Err(error) = self.compact(revision)
        {
            tracing::error!(%error, revision, "history that takes too much memory could not be discarded");
        }
    }

    fn stage(&self, operation: Operation, reply: Option<oneshot::Sender<Outcome>>, group: &mut Group) {
        let (key, value, expect, expires_at) = match operation {
            Operation::Put { key, value, expect, expires_at } => (key, Some(value), expect, expires_at.unwrap_or(0)),
            Operation::Delete { key, expect } => (key, None, expect, 0),
            Operation::Compact { .. } => return,
        };
        let current = match group.overlay.get(&key) {
            Some(current) => current.clone(),
            None => self.shared.state.read().current(&key).map(|(kv, _)| kv),
        };
        if value.is_none() && current.is_none() {
            return group.refuse(reply, StoreError::NotFound);
        }
        if !expect.holds(current.as_ref().map(|kv| kv.mod_revision)) {
            return group.refuse(reply, StoreError::Conflict { current });
        }
        let mod_revision = group.next;
        group.next += 1;
        let create_revision = current.as_ref().map_or(mod_revision, |kv| kv.create_revision);
        let entry = |value| KeyValue { key: Arc::clone(&key), value, create_revision, mod_revision, unreadable: None };
        let after = value.clone().map(entry);
        group.overlay.insert(Arc::clone(&key), after);
        let version = Version { mod_revision, create_revision, value, expires_at };
        group.writes.push(Staged { key, version, previous: current, reply });
    }

    fn write(&mut self, group: Group) {
        let Group { writes, refused, .. } = group;
        if !writes.is_empty() {
            let mut frame = begin();
            for write in &writes {
                encode_version(&mut frame, &write.key, &write.version);
            }
            let began = Instant::now();
            if let Err(error) = self.log.append(frame) {
                let why = self.fail(&error);
                let replies = writes.into_iter().filter_map(|write| write.reply);
                for reply in replies.chain(refused.into_iter().map(|(reply, _)| reply)) {
                    answer(Some(reply), Err(StoreError::Unavailable(why.clone())));
                }
                return;
            }
            self.last_sync = began.elapsed();
            self.apply(writes);
        }
        for (reply, error) in refused {
            answer(Some(reply), Err(error));
        }
    }

    /// Applies what is durable, shows it to the sinks, and acknowledges it.
    fn apply(&self, writes: Vec<Staged>) {
        let mut sinks = self.shared.sinks.lock();
        let mut replies = Vec::with_capacity(writes.len());
        let batch = {
            let mut state = self.shared.state.write();
            let mut events = Vec::with_capacity(writes.len());
            for write in writes {
                replies.push((write.reply, write.previous, write.version.mod_revision));
                events.push(state.apply(write.key, write.version));
            }
            WatchBatch { revision: state.revision, events }
        };
        self.shared.revision.send_replace(batch.revision);
        sinks.retain_mut(|(watch, sink)| {
            let batch = WatchBatch { revision: batch.revision, events: wanted(watch, batch.events.iter()) };
            (batch.events.is_empty() && !watch.progress) || sink(&batch)
        });
        drop(sinks);
        for (reply, previous, revision) in replies {
            answer(reply, Ok((previous, revision)));
        }
    }

    fn compact(&mut self, revision: u64) -> Outcome {
        let (current, compacted) = {
            let state = self.shared.state.read();
            (state.revision, state.compacted)
        };
        if revision > current {
            return Err(StoreError::FutureRevision { current });
        }
        if revision <= compacted {
            return Err(StoreError::Compacted { compact_revision: compacted });
        }
        let mut frame = begin();
        encode_compaction(&mut frame, revision);
        if let Err(error) = self.log.append(frame) {
            return Err(StoreError::Unavailable(self.fail(&error)));
        }
        self.shared.state.write().compact(revision);
        if self.log.wants_snapshot() {
            match self.log.snapshot(&self.shared.state.read()) {
                Ok(()) => {}
                Err(NoSnapshot::NotWritten(error)) => {
                    tracing::error!(%error, "the log could not be replaced by a snapshot; it grows on until the next try");
                }
                Err(NoSnapshot::Unknown(error)) => drop(self.fail(&error)),
            }
        }
        Ok((None, revision))
    }

    /// Refuses all writes from here on: what the disk holds is unknown until the store is opened again.
    fn fail(&self, error: &dyn std::fmt::Display) -> String {
        let why = format!("a write to the log failed ({error}); the store refuses writes until it is opened again");
        tracing::error!("{why}");
        *self.failure.lock() = Some(why.clone());
        why
    }
}

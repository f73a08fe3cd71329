//! The thread that makes writes durable, all that wait with one sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::log::{Log, encode_compaction, encode_version};
use super::narrowed;
use super::state::{Shared, Version, now_millis};
use crate::{Expect, KeyValue, StoreError, WatchBatch};

/// How often entries whose time has passed are looked for.
const EXPIRY_TICK: Duration = Duration::from_secs(1);
/// The most writes that share one commit.
const MAX_GROUP: usize = 1024;

/// A write.
pub(super) enum Operation {
    Put { key: Arc<str>, value: Bytes, expect: Expect, expires_at: Option<u64> },
    Delete { key: Arc<str>, expect: Expect },
    Compact { revision: u64 },
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
    pub(super) fn start(log: Log, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (sender, receiver) = channel();
        let failure = Arc::new(Mutex::new(None));
        let mut worker = Worker { log, shared, failure: Arc::clone(&failure) };
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
}

/// A write that is in the group and not durable yet.
struct Staged {
    key: Arc<str>,
    version: Version,
    previous: Option<KeyValue>,
    reply: Option<oneshot::Sender<Outcome>>,
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
            let mut group = Vec::new();
            match receiver.recv_timeout(EXPIRY_TICK) {
                Ok(first) => {
                    group.push(first);
                    group.extend(receiver.try_iter().take(MAX_GROUP - 1));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        if let Some(why) = self.failure.lock().clone() {
            for request in group {
                answer(Some(request.reply), Err(StoreError::Unavailable(why.clone())));
            }
            return;
        }
        let mut staged: Vec<Staged> = Vec::with_capacity(group.len());
        // What the writes before it in the group leave of a key; the state itself changes only once all is durable.
        let mut overlay: HashMap<Arc<str>, Option<KeyValue>> = HashMap::new();
        let mut compactions = Vec::new();
        let mut next = self.shared.state.read().revision + 1;
        for (key, mod_revision) in self.shared.state.read().expired(now_millis()) {
            let operation = Operation::Delete { key, expect: Expect::ModRevision(mod_revision) };
            self.stage(operation, None, &mut next, &mut staged, &mut overlay);
        }
        for Request { operation, reply } in group {
            match operation {
                Operation::Compact { revision } => compactions.push((revision, reply)),
                operation => self.stage(operation, Some(reply), &mut next, &mut staged, &mut overlay),
            }
        }
        self.write(staged);
        for (revision, reply) in compactions {
            let outcome = self.compact(revision);
            answer(Some(reply), outcome);
        }
    }

    fn stage(
        &self,
        operation: Operation,
        reply: Option<oneshot::Sender<Outcome>>,
        next: &mut u64,
        staged: &mut Vec<Staged>,
        overlay: &mut HashMap<Arc<str>, Option<KeyValue>>,
    ) {
        let (key, value, expect, expires_at) = match operation {
            Operation::Put { key, value, expect, expires_at } => (key, Some(value), expect, expires_at.unwrap_or(0)),
            Operation::Delete { key, expect } => (key, None, expect, 0),
            Operation::Compact { .. } => return,
        };
        let current = match overlay.get(&key) {
            Some(current) => current.clone(),
            None => self.shared.state.read().current(&key).map(|(kv, _)| kv),
        };
        if value.is_none() && current.is_none() {
            return answer(reply, Err(StoreError::NotFound));
        }
        if !expect.holds(current.as_ref().map(|kv| kv.mod_revision)) {
            return answer(reply, Err(StoreError::Conflict { current }));
        }
        let mod_revision = *next;
        *next += 1;
        let create_revision = current.as_ref().map_or(mod_revision, |kv| kv.create_revision);
        let after = value.clone().map(|value| KeyValue { key: Arc::clone(&key), value, create_revision, mod_revision });
        overlay.insert(Arc::clone(&key), after);
        let version = Version { mod_revision, create_revision, value, expires_at };
        staged.push(Staged { key, version, previous: current, reply });
    }

    fn write(&mut self, staged: Vec<Staged>) {
        if staged.is_empty() {
            return;
        }
        let mut records = BytesMut::new();
        for write in &staged {
            encode_version(&mut records, &write.key, &write.version);
        }
        if let Err(error) = self.log.append(&records) {
            let why = self.fail(&error);
            for write in staged {
                answer(write.reply, Err(StoreError::Unavailable(why.clone())));
            }
            return;
        }
        let mut sinks = self.shared.sinks.lock();
        let mut replies = Vec::with_capacity(staged.len());
        let batch = {
            let mut state = self.shared.state.write();
            let mut events = Vec::with_capacity(staged.len());
            for write in staged {
                replies.push((write.reply, write.previous, write.version.mod_revision));
                events.push(state.apply(write.key, write.version));
            }
            WatchBatch { revision: state.revision, events }
        };
        self.shared.revision.send_replace(batch.revision);
        sinks.retain_mut(|(watch, sink)| {
            let batch = narrowed(&batch, &watch.prefix);
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
        let mut records = BytesMut::new();
        encode_compaction(&mut records, revision);
        if let Err(error) = self.log.append(&records) {
            return Err(StoreError::Unavailable(self.fail(&error)));
        }
        self.shared.state.write().compact(revision);
        if self.log.wants_snapshot()
            && let Err(error) = self.log.snapshot(&self.shared.state.read())
        {
            // The old segment is still whole and still written to, unless its replacement has its name already.
            self.fail(&error);
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

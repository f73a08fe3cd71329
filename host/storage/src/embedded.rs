//! The engine in the process: an append-only log with checksums on disk, and everything that is live in memory.
//!
//! The watch cache above holds the present state in memory anyway, so the engine's real work is an append and a replay.
//! An own log rather than a general key-value store, because crash behaviour can then be stated in one sentence: a commit
//! is either whole, with its checksum right, or it is the torn end of the file and was never acknowledged; anything else
//! is reported as corruption and nothing is served.
//!
//! * One committer thread takes all writes that wait, checks each against the state that the ones before it leave, appends
//!   them with one write, makes them durable with one `fdatasync`, and only then applies and acknowledges them.
//! * After a failed write or sync the engine refuses further writes: what the disk holds is then unknown until it is
//!   opened again.
//! * [`state`] is the state in memory, [`log`] the file format, [`committer`] the thread.

mod committer;
mod log;
pub mod offline;
mod state;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::oneshot;

use self::committer::{Committer, Operation, Request};
use self::state::{Shared, State};
use crate::{
    BatchStream, Expect, KeyValue, RangeRequest, RangeResponse, Sink, Store, StoreError, StoreWatch, spawn_compactor,
};

/// The largest value that is accepted, in bytes: as in etcd as Kubernetes runs it.
const MAX_VALUE: usize = 1_572_864;

/// The embedded engine.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    committer: Committer,
}

/// How an embedded store is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// How often to compact, keeping the history of one interval; `None` leaves it to the caller.
    pub compact_every: Option<Duration>,
    /// How many bytes of values that are no longer the present ones may be kept for watches and reads of the past. Where it
    /// is more, the older half goes before its time.
    pub history_bytes: usize,
    /// At which size the log may be replaced by a snapshot of the state, in bytes; it is once most of it is superseded.
    pub rotate_at: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { compact_every: None, history_bytes: 128 << 20, rotate_at: 32 << 20 }
    }
}

impl EmbeddedStore {
    /// Opens the store in a directory, making it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open, [`StoreError::Corrupt`] if a record's checksum is wrong
    /// anywhere but at the torn end of the log, [`StoreError::Unsupported`] for a directory of another format.
    pub async fn open(directory: &Path, options: EmbeddedOptions) -> Result<Arc<dyn Store>, StoreError> {
        let directory = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || log::Log::open(&directory, options.rotate_at)).await;
        let (log, state) = opened.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        Self::over(log, state, &options)
    }

    fn over(log: log::Log, state: State, options: &EmbeddedOptions) -> Result<Arc<dyn Store>, StoreError> {
        let shared = Arc::new(Shared::new(state));
        let committer = Committer::start(log, Arc::clone(&shared), options.history_bytes)?;
        let store: Arc<dyn Store> = Arc::new(Self { shared, committer });
        if let Some(interval) = options.compact_every {
            spawn_compactor(&store, interval);
        }
        Ok(store)
    }

    async fn submit(&self, operation: Operation) -> Result<(Option<KeyValue>, u64), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.committer.submit(Request { operation, reply })?;
        answer.await.map_err(|_| StoreError::Unavailable("the store has stopped".into()))?
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, key: &str, at: Option<u64>) -> Result<(Option<KeyValue>, u64), StoreError> {
        let state = self.shared.state.read();
        let at = state.readable(at)?;
        Ok((state.get(key, at), at))
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StoreError> {
        self.shared.state.read().range(&request)
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, ttl: Option<Duration>) -> Result<u64, StoreError> {
        if value.len() > MAX_VALUE {
            return Err(StoreError::TooLarge { size: value.len(), limit: MAX_VALUE });
        }
        // It is kept for long, and what it comes in may be much larger than it is: encoders make room for more.
        let value = Bytes::copy_from_slice(&value);
        let operation = Operation::Put { key: Arc::from(key), value, expect, expires_at: ttl.map(state::expiry) };
        self.submit(operation).await.map(|(_, revision)| revision)
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<(KeyValue, u64), StoreError> {
        let (previous, revision) = self.submit(Operation::Delete { key: Arc::from(key), expect }).await?;
        Ok((previous.ok_or(StoreError::NotFound)?, revision))
    }

    async fn watch(&self, watch: StoreWatch) -> Result<BatchStream, StoreError> {
        let revisions = self.shared.revision.subscribe();
        self.shared.state.read().since(&watch)?;
        let shared = Arc::clone(&self.shared);
        let stream = futures::stream::unfold(Some(watch), move |watch| {
            let shared = Arc::clone(&shared);
            let mut revisions = revisions.clone();
            async move {
                let mut watch = watch?;
                loop {
                    let batch = shared.state.read().since(&watch);
                    match batch {
                        Err(error) => return Some((Err(error), None)),
                        Ok(batch) if batch.revision < watch.from => {}
                        Ok(batch) => {
                            watch.from = batch.revision + 1;
                            if !batch.events.is_empty() || watch.progress {
                                return Some((Ok(batch), Some(watch)));
                            }
                        }
                    }
                    let from = watch.from;
                    if revisions.wait_for(|revision| *revision >= from).await.is_err() {
                        return Some((Err(StoreError::Unavailable("the store has stopped".into())), None));
                    }
                }
            }
        });
        // The receiver above is cloned for each item so that the closure owns what it waits on.
        Ok(stream.boxed())
    }

    fn attach(&self, watch: StoreWatch, mut sink: Sink) -> Result<bool, StoreError> {
        // Holding the sinks keeps the committer from applying anything between the catching up and the registration.
        let mut sinks = self.shared.sinks.lock();
        let batch = self.shared.state.read().since(&watch)?;
        if (batch.events.is_empty() && !watch.progress) || sink(&batch) {
            sinks.push((watch, sink));
        }
        Ok(true)
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.shared.state.read().revision)
    }

    fn revision_now(&self) -> Option<u64> {
        Some(*self.shared.revision.borrow())
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.submit(Operation::Compact { revision }).await.map(|_| ())
    }

    async fn compacted_revision(&self) -> Result<u64, StoreError> {
        Ok(self.shared.state.read().compacted)
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.committer.health()
    }
}

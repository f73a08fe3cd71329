//! A watch that outlives connections.
//!
//! It runs as a task that feeds a bounded channel, so that a slow reader holds up etcd's stream and nothing else. When the
//! stream ends it is opened again, at the next member, from the first revision that has not been delivered: readers see
//! neither a gap nor an event twice.
//!
//! A watch from revision R begins in etcd at R-1 and drops what is before R. etcd itself lets a watch begin at the very
//! revision of the last compaction, although a deletion at that revision may be gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::proto::{PbEvent, PbKeyValue};
use etcd_client::{WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use futures::StreamExt as _;
use portcullis_storage::{BatchStream, Event, KeyValue, StoreError, StoreWatch, WatchBatch};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::endpoints::{Endpoint, Endpoints};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::number;
use crate::progress::{Progress, Reporter};
use crate::version::progress_requests_are_ordered;

/// How many batches wait for a slow reader.
const BACKLOG: usize = 64;
/// How long opening a stream may take.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// The pauses before a stream is opened again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How a stream ended.
enum End {
    /// The reader has gone.
    Unwanted,
    /// The watch cannot go on.
    Failed(StoreError),
    /// The connection, or the member.
    Lost(String),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure.to_string())
    }
}

struct Watching {
    endpoints: Arc<Endpoints>,
    keys: Arc<Keys>,
    reporter: Option<Arc<Reporter>>,
    watch: StoreWatch,
    /// The first revision that has not been delivered.
    next: u64,
    batches: mpsc::Sender<Result<WatchBatch, StoreError>>,
}

/// Starts a watch.
pub(crate) fn start(
    endpoints: &Arc<Endpoints>,
    keys: &Arc<Keys>,
    progress: &Progress,
    watch: StoreWatch,
) -> BatchStream {
    let (batches, receiver) = mpsc::channel(BACKLOG);
    let next = watch.from;
    let watching = Watching {
        endpoints: Arc::clone(endpoints),
        keys: Arc::clone(keys),
        reporter: watch.progress.then(|| progress.register(next.saturating_sub(1))),
        watch,
        next,
        batches,
    };
    tokio::spawn(watching.run());
    ReceiverStream::new(receiver).boxed()
}

impl Watching {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            let (at, member) = self.endpoints.current();
            let (member, before) = (member.clone(), self.next);
            let end = self.follow(&member).await;
            if let Some(reporter) = &self.reporter {
                *reporter.requests.lock().await = None;
            }
            match end {
                End::Unwanted => return,
                End::Failed(error) => {
                    // A reader that has gone does not want to know.
                    let _ = self.batches.send(Err(error)).await;
                    return;
                }
                End::Lost(why) => {
                    tracing::debug!(
                        url = member.url,
                        prefix = self.watch.prefix,
                        why,
                        "a watch of etcd is opened again"
                    );
                    self.endpoints.give_up(at);
                }
            }
            pause = if self.next > before { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
            tokio::select! {
                () = self.batches.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Follows one stream until it ends.
    async fn follow(&mut self, member: &Endpoint) -> End {
        // The sending half is kept for as long as the other one is read: closing it might end the stream.
        let (_requests, mut stream) = match timeout(OPEN_WITHIN, self.open(member)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(end)) => return end,
            Err(_) => return End::Lost("the stream could not be opened in time".to_owned()),
        };
        let mut fragments = Vec::new();
        loop {
            let message = tokio::select! {
                () = self.batches.closed() => return End::Unwanted,
                message = stream.message() => message,
            };
            match message {
                Ok(Some(response)) => {
                    if let Err(end) = self.take(response, &mut fragments).await {
                        return end;
                    }
                }
                Ok(None) => return End::Lost("the stream has ended".to_owned()),
                Err(error) => return Failure::from(error).into(),
            }
        }
    }

    /// Opens a stream. Where progress requests can be trusted, its sending half goes to the reporter.
    async fn open(&self, member: &Endpoint) -> Result<(Option<WatchRequestSender>, WatchResponseStream), End> {
        let mut prefix = self.watch.prefix.as_str();
        let mut ordered = false;
        if let Some(reporter) = &self.reporter {
            // Asked at each opening: a rolling upgrade changes the answer.
            ordered = progress_requests_are_ordered(member.version().await?);
            reporter.wide.store(!ordered, Ordering::Release);
            if !ordered {
                prefix = "";
            }
        }
        let (start, end) = self.keys.prefix(prefix);
        let from = i64::try_from(self.next.saturating_sub(1).max(1)).unwrap_or(i64::MAX);
        let mut options = WatchOptions::new().with_range(end).with_start_revision(from).with_fragment();
        if self.watch.prev {
            options = options.with_prev_key();
        }
        if self.watch.progress {
            options = options.with_progress_notify();
        }
        let stream = member.watch().watch(start, Some(options)).await.map_err(Failure::from)?;
        let (requests, responses) = stream.split();
        if let Some(reporter) = &self.reporter
            && ordered
        {
            *reporter.requests.lock().await = Some(requests);
            return Ok((None, responses));
        }
        Ok((Some(requests), responses))
    }

    /// Takes what etcd has sent; events of one answer may come in several pieces.
    async fn take(&mut self, response: WatchResponse, fragments: &mut Vec<PbEvent>) -> Result<(), End> {
        let response = response.0;
        if response.canceled {
            if response.compact_revision > 0 {
                let compact_revision = number(response.compact_revision);
                return Err(End::Failed(StoreError::Compacted { compact_revision }));
            }
            return Err(End::Lost(response.cancel_reason));
        }
        if response.created {
            return Ok(());
        }
        if response.events.is_empty() {
            let revision = response.header.map_or(0, |header| number(header.revision));
            return if fragments.is_empty() { self.deliver(revision, Vec::new()).await } else { Ok(()) };
        }
        fragments.extend(response.events);
        if response.fragment {
            return Ok(());
        }
        let events = std::mem::take(fragments);
        let mod_revision = |event: &PbEvent| event.kv.as_ref().map_or(0, |kv| number(kv.mod_revision));
        let revision = events.last().map_or(0, mod_revision);
        let events = events.into_iter().filter(|event| mod_revision(event) >= self.next);
        let events: Vec<Event> = events.filter_map(|event| self.event(event)).collect();
        self.deliver(revision, events).await
    }

    async fn deliver(&mut self, revision: u64, events: Vec<Event>) -> Result<(), End> {
        if revision < self.next {
            return Ok(());
        }
        self.next = revision + 1;
        if (self.watch.progress || !events.is_empty())
            && self.batches.send(Ok(WatchBatch { revision, events })).await.is_err()
        {
            return Err(End::Unwanted);
        }
        if let Some(reporter) = &self.reporter {
            reporter.reached.fetch_max(revision, Ordering::AcqRel);
        }
        Ok(())
    }

    /// The event of one in etcd; `None` if it is not one of the prefix.
    fn event(&self, event: PbEvent) -> Option<Event> {
        let prev = event.prev_kv.and_then(|kv| entry(&self.keys, kv)).filter(|_| self.watch.prev);
        let kv = event.kv?;
        let key = self.keys.inner(&kv.key).filter(|key| key.starts_with(&self.watch.prefix))?;
        let revision = number(kv.mod_revision);
        if event.r#type == etcd_client::EventType::Delete as i32 {
            return Some(Event::Delete { key, prev, revision });
        }
        Some(Event::Put { kv: entry(&self.keys, kv)?, prev })
    }
}

/// The entry of one in etcd; `None` if it is none of the store's.
pub(crate) fn entry(keys: &Keys, kv: PbKeyValue) -> Option<KeyValue> {
    Some(KeyValue {
        key: keys.inner(&kv.key)?,
        value: Bytes::from(kv.value),
        create_revision: number(kv.create_revision),
        mod_revision: number(kv.mod_revision),
        unreadable: None,
    })
}

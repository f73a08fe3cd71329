//! What the engine holds in memory: each key's versions since the last compaction, and the events in their order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::{Event, KeyValue, RangeRequest, RangeResponse, Sink, StoreError, StoreWatch, WatchBatch};

/// One version of a key; a deletion has no value.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub mod_revision: u64,
    pub create_revision: u64,
    pub value: Option<Bytes>,
    /// Milliseconds since 1970 at which the entry ends; 0 for never.
    pub expires_at: u64,
}

/// The whole state.
#[derive(Debug, Default)]
pub(super) struct State {
    pub revision: u64,
    pub compacted: u64,
    keys: BTreeMap<Arc<str>, Vec<Version>>,
    /// Events after `compacted`, in order.
    history: VecDeque<Event>,
    /// The bytes of values that only the history holds on to: those that events have replaced.
    replaced: usize,
    expiries: BTreeSet<(u64, Arc<str>)>,
}

/// The state with what waits for it.
pub(super) struct Shared {
    pub state: RwLock<State>,
    pub sinks: Mutex<Vec<(StoreWatch, Sink)>>,
    pub revision: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        let revision = watch::Sender::new(state.revision);
        Self { state: RwLock::new(state), sinks: Mutex::default(), revision }
    }
}

/// The present time in milliseconds since 1970.
pub(super) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// When something with this time to live ends.
pub(super) fn expiry(ttl: Duration) -> u64 {
    now_millis().saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)).max(1)
}

fn kv(key: &Arc<str>, version: &Version) -> Option<KeyValue> {
    Some(KeyValue {
        key: Arc::clone(key),
        value: version.value.clone()?,
        create_revision: version.create_revision,
        mod_revision: version.mod_revision,
        unreadable: None,
    })
}

/// The events under a watch's prefix, with previous entries if it wants them.
pub(super) fn wanted<'a>(watch: &StoreWatch, events: impl Iterator<Item = &'a Event>) -> Vec<Event> {
    let strip = |event: &Event| match event {
        _ if watch.prev => event.clone(),
        Event::Put { kv, .. } => Event::Put { kv: kv.clone(), prev: None },
        Event::Delete { key, revision, .. } => Event::Delete { key: Arc::clone(key), prev: None, revision: *revision },
    };
    events.filter(|event| event.key().starts_with(&watch.prefix)).map(strip).collect()
}

fn at(versions: &[Version], revision: u64) -> Option<&Version> {
    versions.iter().rev().find(|version| version.mod_revision <= revision)
}

/// The bytes that an event has replaced.
fn replaced(event: &Event) -> usize {
    let (Event::Put { prev, .. } | Event::Delete { prev, .. }) = event;
    prev.as_ref().map_or(0, |prev| prev.value.len())
}

impl State {
    /// The state before the first write. As in etcd its revision is 1: readers take 0 for "any".
    pub(super) fn empty() -> Self {
        Self { revision: 1, ..Self::default() }
    }

    /// The state to restore into: at a revision, without any history before it.
    pub(super) fn restored_at(revision: u64) -> Self {
        Self { revision, compacted: revision, ..Self::default() }
    }

    /// The revision to read at.
    pub(super) fn readable(&self, at: Option<u64>) -> Result<u64, StoreError> {
        match at {
            None => Ok(self.revision),
            Some(at) if at > self.revision => Err(StoreError::FutureRevision { current: self.revision }),
            Some(at) if at < self.compacted => Err(StoreError::Compacted { compact_revision: self.compacted }),
            Some(at) => Ok(at),
        }
    }

    /// An entry at a revision that [`Self::readable`] has let pass.
    pub(super) fn get(&self, key: &str, revision: u64) -> Option<KeyValue> {
        let (key, versions) = self.keys.get_key_value(key)?;
        kv(key, at(versions, revision)?)
    }

    /// The present version of a key.
    pub(super) fn current(&self, key: &str) -> Option<(KeyValue, u64)> {
        let (key, versions) = self.keys.get_key_value(key)?;
        let version = versions.last()?;
        Some((kv(key, version)?, version.expires_at))
    }

    pub(super) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let revision = self.readable(request.at)?;
        let mut response = RangeResponse { revision, ..RangeResponse::default() };
        if !request.end.is_empty() && request.end <= request.start {
            return Ok(response);
        }
        let end = if request.end.is_empty() { Bound::Unbounded } else { Bound::Excluded(request.end.as_str()) };
        let bounds = (Bound::Included(request.start.as_str()), end);
        for (key, versions) in self.keys.range::<str, _>(bounds) {
            let Some(version) = at(versions, revision).filter(|version| version.value.is_some()) else { continue };
            if request.count_only || (request.limit > 0 && response.kvs.len() == request.limit) {
                response.remaining += 1;
            } else {
                response.kvs.extend(kv(key, version));
            }
        }
        response.more = !request.count_only && response.remaining > 0;
        Ok(response)
    }

    /// The events that a watch wants from where it is.
    pub(super) fn since(&self, watch: &StoreWatch) -> Result<WatchBatch, StoreError> {
        let from = watch.from;
        if from <= self.compacted && self.compacted > 0 {
            return Err(StoreError::Compacted { compact_revision: self.compacted });
        }
        let start = self.history.partition_point(|event| event.revision() < from);
        Ok(WatchBatch { revision: self.revision, events: wanted(watch, self.history.range(start..)) })
    }

    /// Applies one durable change and returns its event.
    pub(super) fn apply(&mut self, key: Arc<str>, version: Version) -> Event {
        self.revision = version.mod_revision;
        let previous = self.current(&key);
        if let Some((_, expires_at)) = &previous
            && *expires_at > 0
        {
            self.expiries.remove(&(*expires_at, Arc::clone(&key)));
        }
        if version.expires_at > 0 {
            self.expiries.insert((version.expires_at, Arc::clone(&key)));
        }
        let prev = previous.map(|(kv, _)| kv);
        let event = match kv(&key, &version) {
            Some(kv) => Event::Put { kv, prev },
            None => Event::Delete { key: Arc::clone(&key), prev, revision: version.mod_revision },
        };
        self.keys.entry(key).or_default().push(version);
        self.replaced += replaced(&event);
        self.history.push_back(event.clone());
        event
    }

    /// The revision to compact at if the history holds on to more than `bound` bytes: half of that is then left.
    pub(super) fn overfull(&self, bound: usize) -> Option<u64> {
        if self.replaced <= bound {
            return None;
        }
        let mut left = self.replaced;
        let gone = self.history.iter().take_while(|event| {
            let goes_on = left > bound / 2;
            left -= replaced(event);
            goes_on
        });
        gone.last().map(Event::revision)
    }

    /// Discards what was superseded at or before `revision`.
    pub(super) fn compact(&mut self, revision: u64) {
        self.compacted = revision;
        let past = self.history.partition_point(|event| event.revision() <= revision);
        self.replaced -= self.history.range(..past).map(replaced).sum::<usize>();
        let touched: BTreeSet<Arc<str>> = self.history.drain(..past).map(|event| Arc::clone(event.key())).collect();
        for key in touched {
            let Some(versions) = self.keys.get_mut(&key) else { continue };
            let keep = versions.iter().rposition(|version| version.mod_revision <= revision).unwrap_or(0);
            let dead = versions[keep].value.is_none() && versions[keep].mod_revision <= revision;
            versions.drain(..if dead { keep + 1 } else { keep });
            if versions.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// Keys whose time has passed.
    pub(super) fn expired(&self, now: u64) -> Vec<(Arc<str>, u64)> {
        let passed = self.expiries.iter().take_while(|(at, _)| *at <= now);
        passed.filter_map(|(_, key)| Some((Arc::clone(key), self.current(key)?.0.mod_revision))).collect()
    }

    /// All versions that are not superseded at the compaction revision, for a snapshot: in the order of revisions.
    pub(super) fn versions(&self) -> Vec<(&Arc<str>, &Version)> {
        let mut all: Vec<_> =
            self.keys.iter().flat_map(|(key, versions)| versions.iter().map(move |version| (key, version))).collect();
        all.sort_by_key(|(_, version)| version.mod_revision);
        all
    }

    /// The present versions, in the order of keys.
    pub(super) fn present(&self) -> impl Iterator<Item = (&Arc<str>, &Version)> {
        self.keys.iter().filter_map(|(key, versions)| Some((key, versions.last()?)))
    }

    /// Restores a version from a snapshot: no event, since what it replaced is gone.
    pub(super) fn restore(&mut self, key: Arc<str>, version: Version) {
        if version.mod_revision > self.compacted {
            self.apply(key, version);
            return;
        }
        if version.expires_at > 0 {
            self.expiries.insert((version.expires_at, Arc::clone(&key)));
        }
        self.revision = self.revision.max(version.mod_revision);
        self.keys.entry(key).or_default().push(version);
    }
}

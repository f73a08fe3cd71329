//! A bounded row of events that any number of watchers read, each at its own position.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::CachedObject;
use super::hub::Progress;

/// A change of one object, before any watcher's selectors.
#[derive(Debug)]
pub(super) struct Change {
    /// The object after the change; of a deletion, as it was, with the deletion's resourceVersion.
    pub object: Arc<CachedObject>,
    pub prev: Option<Arc<CachedObject>>,
    pub deleted: bool,
    pub revision: u64,
}

impl Change {
    fn bytes(&self) -> usize {
        self.object.wire.len()
    }
}

#[derive(Debug, Default)]
struct Row {
    changes: VecDeque<Arc<Change>>,
    /// The position of the first change that is still there.
    first: u64,
    bytes: usize,
    /// The revision up to which everything has been put in.
    revision: u64,
    closed: bool,
    /// Readers that end with the hub end once they have read what is there, as if their time was over.
    ended: bool,
}

/// See the module.
pub(super) struct Lane {
    row: Mutex<Row>,
    /// How far the hub has come: a lane is not visited for events that do not concern it.
    progress: Progress,
    more: Notify,
    max_changes: usize,
    max_bytes: usize,
}

/// What a reader finds at its position.
pub(super) enum Next {
    Change(Arc<Change>),
    /// Nothing yet; everything up to this revision has been read.
    Empty(u64),
    /// What stood at the position is gone.
    Lost,
    /// Everything has been read, and nothing follows.
    Ended,
}

impl Lane {
    pub(super) fn new(max_changes: usize, max_bytes: usize, revision: u64, progress: Progress) -> Self {
        let row = Row { revision, ..Row::default() };
        Self { row: Mutex::new(row), progress, more: Notify::new(), max_changes, max_bytes }
    }

    /// Puts changes in and moves the lane on to `revision`.
    pub(super) fn push(&self, changes: &[Arc<Change>], revision: u64) {
        let mut row = self.row.lock();
        for change in changes {
            row.bytes += change.bytes();
            row.changes.push_back(Arc::clone(change));
        }
        while row.changes.len() > self.max_changes || (row.bytes > self.max_bytes && row.changes.len() > 1) {
            let Some(gone) = row.changes.pop_front() else { break };
            row.bytes -= gone.bytes();
            row.first += 1;
        }
        row.revision = row.revision.max(revision);
        drop(row);
        if !changes.is_empty() {
            self.more.notify_waiters();
        }
    }

    /// Cuts off every reader there is; new ones begin after `revision`.
    pub(super) fn cut(&self, revision: u64) {
        let mut row = self.row.lock();
        // One more than were there, so that a reader of all of them is cut off too.
        row.first += row.changes.len() as u64 + 1;
        row.changes.clear();
        row.bytes = 0;
        row.revision = row.revision.max(revision);
        drop(row);
        self.more.notify_waiters();
    }

    /// Cuts every reader off for good.
    pub(super) fn close(&self) {
        self.row.lock().closed = true;
        self.more.notify_waiters();
    }

    /// Lets readers that end with the hub end once they have read what is there.
    pub(super) fn end(&self) {
        self.row.lock().ended = true;
        self.more.notify_waiters();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.row.lock().ended
    }

    /// The position of the first change after `revision`.
    pub(super) fn position_after(&self, revision: u64) -> u64 {
        let row = self.row.lock();
        row.first + row.changes.partition_point(|change| change.revision <= revision) as u64
    }

    /// The oldest revision after which all changes are still there, given the one at which the lane began.
    pub(super) fn floor(&self, began: u64) -> u64 {
        let row = self.row.lock();
        if row.first == 0 { began } else { row.changes.front().map_or(row.revision, |change| change.revision - 1) }
    }

    /// The changes after a revision, newest first.
    pub(super) fn newest_first(&self, after: u64) -> Vec<Arc<Change>> {
        self.row.lock().changes.iter().rev().take_while(|change| change.revision > after).cloned().collect()
    }

    /// All changes, for a lane that is made from this one.
    pub(super) fn all(&self) -> Vec<Arc<Change>> {
        self.row.lock().changes.iter().cloned().collect()
    }

    /// What is at a position; `ends` says whether the reader ends with the hub.
    pub(super) fn read(&self, position: u64, ends: bool) -> Next {
        // Asked before the row is looked at: what is in the row by then, it may or may not count.
        let reached = self.progress.revision();
        let row = self.row.lock();
        if row.closed || position < row.first {
            return Next::Lost;
        }
        let at = usize::try_from(position - row.first).unwrap_or(usize::MAX);
        match row.changes.get(at) {
            Some(change) => Next::Change(Arc::clone(change)),
            None if row.ended && ends => Next::Ended,
            None => Next::Empty(row.revision.max(reached)),
        }
    }

    /// Returns once there is something at `position` (or nothing ever will be).
    pub(super) async fn ready(&self, position: u64, ends: bool) {
        loop {
            let notified = self.more.notified();
            tokio::pin!(notified);
            // Registered before the look, so that what comes in between the look and the wait is not missed.
            notified.as_mut().enable();
            if !matches!(self.read(position, ends), Next::Empty(_)) {
                return;
            }
            notified.await;
        }
    }
}

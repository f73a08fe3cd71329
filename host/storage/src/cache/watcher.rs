//! One reader of a resource's events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::CachedObject;
use super::lane::{Change, Lane, Next};

/// What happened, as the watcher's selectors make it look: an object that comes to match was added, one that no longer
/// matches was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The object was made, or has come to match.
    Added,
    /// The object has changed.
    Modified,
    /// The object was deleted, or no longer matches.
    Deleted,
}

/// A change of one object.
#[derive(Clone, Debug)]
pub struct CacheEvent {
    /// What happened.
    pub kind: EventKind,
    /// The object after the change; of a deletion, as it was last matched, with the resourceVersion of the change.
    pub object: Arc<CachedObject>,
    /// The object before the change; `None` if it was made.
    pub prev: Option<Arc<CachedObject>>,
    /// The revision of the change.
    pub revision: u64,
}

/// What a watcher gives.
#[derive(Clone, Debug)]
pub enum WatchItem {
    /// A change, or (with [`WatchStart::Initial`], before [`WatchItem::Synced`]) an object that was there already.
    Event(CacheEvent),
    /// All objects that were there already have been given; they are the state at this revision.
    Synced(u64),
    /// The watcher was too slow and has missed events. Nothing follows. The API answers 410 Expired.
    Lagged,
}

/// Says whether a watcher wants an object.
pub type Filter = Arc<dyn Fn(&CachedObject) -> bool + Send + Sync>;

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchStart {
    /// With what happens from now on.
    Now,
    /// With the first event after this revision.
    Revision(u64),
    /// With the present objects as [`EventKind::Added`], in the order of their keys, then [`WatchItem::Synced`], then
    /// what happens.
    Initial,
}

/// A watch of a resource.
#[derive(Clone)]
pub struct WatchRequest {
    /// Only objects whose key begins with this (`/registry/pods/default/`).
    pub prefix: String,
    /// Where to start.
    pub start: WatchStart,
    /// Only objects that this accepts (label and field selectors).
    pub filter: Option<Filter>,
    /// A field and its value (`spec.nodeName`, `node-1`) that every wanted object has; see [`CachedObject::field`]. The
    /// watch then costs nothing for events of other values. The filter is still applied.
    pub index: Option<(String, String)>,
}

/// A watch under way.
pub struct Watcher {
    lane: Arc<Lane>,
    position: u64,
    /// Nothing at or before this revision is given: the watch starts after it.
    after: u64,
    prefix: String,
    filter: Option<Filter>,
    initial: VecDeque<WatchItem>,
    ended: bool,
    ends_with_hub: bool,
}

impl Watcher {
    pub(super) fn new(lane: Arc<Lane>, after: u64, request: WatchRequest, initial: VecDeque<WatchItem>) -> Self {
        let position = lane.position_after(after);
        Self {
            lane,
            position,
            after,
            prefix: request.prefix,
            filter: request.filter,
            initial,
            ended: false,
            ends_with_hub: false,
        }
    }

    /// Lets the watch end once [`super::CacheHub::end_watches`] was called and all items so far were taken.
    #[must_use]
    pub fn ending_with_hub(mut self) -> Self {
        self.ends_with_hub = true;
        self
    }

    /// The next item; waits for it. `None` after [`WatchItem::Lagged`], and at the end of the hub if the watch
    /// [ends with it](Self::ending_with_hub). Cancel-safe.
    pub async fn next(&mut self) -> Option<WatchItem> {
        loop {
            if let Some(item) = self.try_next() {
                return Some(item);
            }
            if self.ended {
                return None;
            }
            self.lane.ready(self.position, self.ends_with_hub).await;
        }
    }

    /// The next item if there is one already: take these until `None` to fill one write to the client.
    pub fn try_next(&mut self) -> Option<WatchItem> {
        if let Some(item) = self.initial.pop_front() {
            return Some(item);
        }
        while !self.ended {
            match self.lane.read(self.position, self.ends_with_hub) {
                Next::Empty(_) => return None,
                Next::Ended => self.ended = true,
                Next::Lost => {
                    self.ended = true;
                    return Some(WatchItem::Lagged);
                }
                Next::Change(change) => {
                    self.position += 1;
                    if let Some(event) = self.seen(&change) {
                        return Some(WatchItem::Event(event));
                    }
                }
            }
        }
        None
    }

    /// The revision for a bookmark: everything up to it has been given. `None` if items are waiting to be taken.
    pub fn bookmark(&mut self) -> Option<u64> {
        if !self.initial.is_empty() || self.ended {
            return None;
        }
        match self.lane.read(self.position, self.ends_with_hub) {
            Next::Empty(revision) => Some(revision.max(self.after)),
            Next::Change(_) | Next::Lost | Next::Ended => None,
        }
    }

    /// What a change looks like through the selectors.
    fn seen(&self, change: &Change) -> Option<CacheEvent> {
        if change.revision <= self.after || !change.object.key.starts_with(&self.prefix) {
            return None;
        }
        let wanted = |object: &CachedObject| self.filter.as_ref().is_none_or(|filter| filter(object));
        let before = change.prev.as_deref().is_some_and(wanted);
        let now = !change.deleted && wanted(&change.object);
        let (kind, object) = match (before, now) {
            (false, false) => return None,
            (false, true) => (EventKind::Added, Arc::clone(&change.object)),
            (true, true) => (EventKind::Modified, Arc::clone(&change.object)),
            (true, false) if change.deleted => (EventKind::Deleted, Arc::clone(&change.object)),
            // It no longer matches: the client is shown what it knew, at the revision of the change.
            (true, false) => {
                let known = change.prev.as_ref()?;
                (EventKind::Deleted, Arc::new(known.deleted_at(change.revision)))
            }
        };
        Some(CacheEvent { kind, object, prev: change.prev.clone(), revision: change.revision })
    }
}

//! What a resource's cache holds, and how events change it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use imbl::OrdMap;

use super::lane::{Change, Lane};
use super::{CachedObject, ObjectCodec};
use crate::{Event, KeyValue};

/// A change as it goes into the cache. Objects are decoded before the cache is locked for it.
#[derive(Clone, Debug)]
pub(super) enum Decoded {
    Put(Arc<CachedObject>),
    /// The new version cannot be read, for this reason.
    Unreadable {
        key: Arc<str>,
        revision: u64,
        why: Unreadable,
    },
    Delete {
        key: Arc<str>,
        revision: u64,
    },
}

/// Why an object cannot be read.
#[derive(Clone, Debug)]
pub enum Unreadable {
    /// The bytes are no object of the resource.
    Corrupt(Arc<str>),
    /// The store could not give the bytes back. This may change without the entry being written.
    Transform(Arc<str>),
}

impl Decoded {
    pub(super) fn of_entry(codec: &dyn ObjectCodec, kv: &KeyValue) -> Self {
        let decoded = match &kv.unreadable {
            Some(why) => Err(Unreadable::Transform(Arc::clone(why))),
            None => codec.decode(kv).map_err(|why| Unreadable::Corrupt(Arc::from(why))),
        };
        match decoded {
            Ok(object) => Self::Put(Arc::new(object)),
            Err(why) => {
                tracing::error!(key = &*kv.key, ?why, "a stored object cannot be read and is not served");
                Self::Unreadable { key: Arc::clone(&kv.key), revision: kv.mod_revision, why }
            }
        }
    }

    pub(super) fn of_event(codec: &dyn ObjectCodec, event: &Event) -> Self {
        match event {
            Event::Put { kv, .. } => Self::of_entry(codec, kv),
            Event::Delete { key, revision, .. } => Self::Delete { key: Arc::clone(key), revision: *revision },
        }
    }

    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Put(object) => object.revision,
            Self::Unreadable { revision, .. } | Self::Delete { revision, .. } => *revision,
        }
    }
}

/// The lanes of one field, by the value.
type Lanes = HashMap<String, Weak<Lane>>;

/// See the module.
pub(super) struct State {
    pub objects: OrdMap<Arc<str>, Arc<CachedObject>>,
    /// Objects whose present version cannot be read, and why.
    pub unreadable: OrdMap<Arc<str>, Unreadable>,
    pub revision: u64,
    /// The revision at which the initial state was read; the main lane begins after it.
    pub began: u64,
    /// What came in before the initial state was there; `None` once it is.
    pub early: Option<Vec<Decoded>>,
    /// An initial state from before this revision is of no use: events up to it may have been missed.
    pub least: u64,
    lanes: HashMap<String, Lanes>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            objects: OrdMap::new(),
            unreadable: OrdMap::new(),
            revision: 0,
            began: 0,
            early: Some(Vec::new()),
            least: 0,
            lanes: HashMap::new(),
        }
    }

    /// Takes the initial state. What has come in early and is newer follows with [`Self::apply`].
    pub(super) fn load(&mut self, entries: Vec<Decoded>, revision: u64) -> Vec<Decoded> {
        (self.objects, self.unreadable) = (OrdMap::new(), OrdMap::new());
        for entry in entries {
            match entry {
                Decoded::Put(object) => drop(self.objects.insert(Arc::clone(&object.key), object)),
                Decoded::Unreadable { key, why, .. } => drop(self.unreadable.insert(key, why)),
                Decoded::Delete { .. } => {}
            }
        }
        (self.revision, self.began) = (revision, revision);
        self.early.take().unwrap_or_default()
    }

    /// Applies changes in their order and moves on to `revision`. Those that the initial state has already are left out.
    pub(super) fn apply(&mut self, main: &Lane, decoded: Vec<Decoded>, revision: u64) {
        let mut changes = Vec::with_capacity(decoded.len());
        for change in decoded {
            if change.revision() <= self.began {
                continue;
            }
            match change {
                Decoded::Put(object) => {
                    self.unreadable.remove(&object.key);
                    let prev = self.objects.insert(Arc::clone(&object.key), Arc::clone(&object));
                    let revision = object.revision;
                    changes.push(Arc::new(Change { object, prev, deleted: false, revision }));
                }
                Decoded::Delete { key, revision } => {
                    self.unreadable.remove(&key);
                    let Some(prev) = self.objects.remove(&key) else { continue };
                    let object = Arc::new(prev.deleted_at(revision));
                    changes.push(Arc::new(Change { object, prev: Some(prev), deleted: true, revision }));
                }
                Decoded::Unreadable { key, revision, why } => {
                    // Neither the old version nor a deletion is the truth. Watchers start over, and find out.
                    self.objects.remove(&key);
                    self.unreadable.insert(key, why);
                    self.push(main, &std::mem::take(&mut changes), revision);
                    self.cut(main, revision);
                }
            }
        }
        self.push(main, &changes, revision);
    }

    fn push(&mut self, main: &Lane, changes: &[Arc<Change>], revision: u64) {
        self.revision = self.revision.max(revision);
        for (field, lanes) in &self.lanes {
            // A change concerns at most two lanes of a field, however many there are. Neighbours go in together.
            for change in changes {
                let now = change.object.field(field);
                let before =
                    change.prev.as_deref().and_then(|prev| prev.field(field)).filter(|before| Some(*before) != now);
                for value in [now, before].into_iter().flatten() {
                    if let Some(lane) = lanes.get(value).and_then(Weak::upgrade) {
                        lane.push(std::slice::from_ref(change), change.revision);
                    }
                }
            }
        }
        main.push(changes, revision);
    }

    /// Ends every watch that there is, and lets new ones begin after `revision`.
    pub(super) fn cut(&mut self, main: &Lane, revision: u64) {
        main.cut(revision);
        self.every_lane(|lane| lane.cut(revision));
    }

    /// Ends every watch for good.
    pub(super) fn close(&mut self, main: &Lane) {
        main.close();
        self.every_lane(Lane::close);
    }

    /// Lets every watch end once it has given what there is.
    pub(super) fn end(&mut self, main: &Lane) {
        main.end();
        self.every_lane(Lane::end);
    }

    fn every_lane(&self, act: impl Fn(&Lane)) {
        for lane in self.lanes.values().flat_map(HashMap::values).filter_map(Weak::upgrade) {
            act(&lane);
        }
    }

    /// The lane of one value of a field; if there is none yet, `fresh` becomes it, with the past changes that concern it.
    pub(super) fn lane(&mut self, main: &Lane, field: &str, value: &str, fresh: Lane) -> Arc<Lane> {
        let lanes = self.lanes.entry(field.to_owned()).or_default();
        if let Some(lane) = lanes.get(value).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(fresh);
        let mine: Vec<_> = main.all().into_iter().filter(|change| concerns(change, field, value)).collect();
        lane.push(&mine, self.revision);
        if main.has_ended() {
            lane.end();
        }
        lanes.insert(value.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

/// Whether a change is one of an object that has, or had, this value.
fn concerns(change: &Change, field: &str, value: &str) -> bool {
    let has = |object: &CachedObject| object.field(field) == Some(value);
    has(&change.object) || change.prev.as_deref().is_some_and(has)
}

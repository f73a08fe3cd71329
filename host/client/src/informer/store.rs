//! What an informer holds: the objects, the indexes over them, and who wants to hear of changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::Value;
use tokio::sync::watch;

use super::{Handler, IndexFn, InformerEvent};
use crate::object::{Object, ObjectExt};
use crate::resource::Resource;

pub(super) struct Shared {
    pub(super) resource: Resource,
    pub(super) synced: watch::Sender<bool>,
    pub(super) state: Mutex<State>,
    /// Held while events are handed out, so that every handler sees them in order and a new handler sees each object
    /// exactly once. Always taken before `state`.
    handlers: Mutex<Vec<Handler>>,
    indexes: Vec<(String, IndexFn)>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<Arc<str>, Object>,
    pub(super) resource_version: String,
    /// One for each index: from index key to the keys of objects.
    indexed: Vec<HashMap<String, BTreeSet<Arc<str>>>>,
}

impl Shared {
    pub(super) fn new(resource: Resource, indexes: Vec<(String, IndexFn)>) -> Self {
        let state = State { indexed: indexes.iter().map(|_| HashMap::new()).collect(), ..State::default() };
        Self {
            resource,
            synced: watch::Sender::new(false),
            state: Mutex::new(state),
            handlers: Mutex::new(Vec::new()),
            indexes,
        }
    }

    pub(super) fn by_index(&self, index: &str, key: &str) -> Vec<Object> {
        let Some(position) = self.indexes.iter().position(|(name, _)| name == index) else { return Vec::new() };
        let state = self.state.lock();
        let Some(keys) = state.indexed[position].get(key) else { return Vec::new() };
        keys.iter().filter_map(|key| state.objects.get(key).cloned()).collect()
    }

    pub(super) fn add_handler(&self, handler: Handler) {
        let mut handlers = self.handlers.lock();
        let present: Vec<Object> = self.state.lock().objects.values().cloned().collect();
        for object in present {
            handler(&InformerEvent::Added(object));
        }
        handlers.push(handler);
    }

    fn insert(&self, state: &mut State, object: Value) -> InformerEvent {
        let key: Arc<str> = object.key().into();
        let new: Object = Arc::new(object);
        let old = state.objects.insert(key.clone(), new.clone());
        for ((_, keys_of), index) in self.indexes.iter().zip(&mut state.indexed) {
            if let Some(old) = &old {
                unindex(index, keys_of(old), &key);
            }
            for index_key in keys_of(&new) {
                index.entry(index_key).or_default().insert(key.clone());
            }
        }
        match old {
            None => InformerEvent::Added(new),
            Some(old) => InformerEvent::Updated { old, new },
        }
    }

    fn remove(&self, state: &mut State, key: &str) -> Option<Object> {
        let (key, old) = state.objects.remove_entry(key)?;
        for ((_, keys_of), index) in self.indexes.iter().zip(&mut state.indexed) {
            unindex(index, keys_of(&old), &key);
        }
        Some(old)
    }

    /// Takes in one added or changed object.
    pub(super) fn put(&self, object: Value) {
        let handlers = self.handlers.lock();
        let event = {
            let mut state = self.state.lock();
            state.resource_version = object.resource_version().to_owned();
            self.insert(&mut state, object)
        };
        handlers.iter().for_each(|handler| handler(&event));
    }

    /// Takes out an object whose last state is `object`.
    pub(super) fn delete(&self, object: Value) {
        let handlers = self.handlers.lock();
        let known = {
            let mut state = self.state.lock();
            state.resource_version = object.resource_version().to_owned();
            self.remove(&mut state, &object.key())
        };
        // One that was never known here is no news to anybody.
        if known.is_some() {
            let event = InformerEvent::Deleted(Arc::new(object));
            handlers.iter().for_each(|handler| handler(&event));
        }
    }

    pub(super) fn set_version(&self, resource_version: &str) {
        self.state.lock().resource_version = resource_version.to_owned();
    }

    /// Makes the copy equal to a whole list, and tells the handlers the difference.
    pub(super) fn replace(&self, items: Vec<Value>, resource_version: &str) {
        let handlers = self.handlers.lock();
        let mut events = Vec::new();
        {
            let mut state = self.state.lock();
            let mut gone: BTreeSet<Arc<str>> = state.objects.keys().cloned().collect();
            for item in items {
                let key = item.key();
                gone.remove(key.as_str());
                let unchanged = state.objects.get(key.as_str()).is_some_and(|known| {
                    known.resource_version() == item.resource_version() && known.uid() == item.uid()
                });
                if !unchanged {
                    // An object that was deleted and created again between two lists is two events.
                    let replaced = state.objects.get(key.as_str()).is_some_and(|known| known.uid() != item.uid());
                    if replaced && let Some(old) = self.remove(&mut state, &key) {
                        events.push(InformerEvent::Deleted(old));
                    }
                    events.push(self.insert(&mut state, item));
                }
            }
            for key in gone {
                if let Some(old) = self.remove(&mut state, &key) {
                    events.push(InformerEvent::Deleted(old));
                }
            }
            state.resource_version = resource_version.to_owned();
        }
        for event in &events {
            handlers.iter().for_each(|handler| handler(event));
        }
        self.synced.send_replace(true);
    }
}

fn unindex(index: &mut HashMap<String, BTreeSet<Arc<str>>>, index_keys: Vec<String>, key: &Arc<str>) {
    for index_key in index_keys {
        if let Some(keys) = index.get_mut(&index_key) {
            keys.remove(key);
            if keys.is_empty() {
                index.remove(&index_key);
            }
        }
    }
}

//! The webhooks of all configurations of a kind, and for each resource those that may have to do with it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use parking_lot::RwLock;
use portcullis_machinery::definition::Registry;
use portcullis_storage::cache::{CachedObject, ResourceCache, Snapshot};

use super::GROUP;
use super::forms::equivalents;
use super::hook::Hook;
use crate::admission::GroupVersionName;
use crate::handlers::scope::cache_of;
use crate::server::ApiServer;

/// A webhook and its place among all.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub index: usize,
    pub hook: Arc<Hook>,
}

/// The webhooks at one state of the configurations.
pub(super) struct Table {
    snapshot: Snapshot,
    /// By configuration: what it was read from, and what it says.
    configurations: Vec<(Arc<CachedObject>, Vec<Arc<Hook>>)>,
    hooks: Vec<Arc<Hook>>,
    /// What [`Self::candidates`] found before, by group and resource.
    found: RwLock<HashMap<String, HashMap<String, Arc<[Placed]>>>>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("hooks", &self.hooks.len()).finish_non_exhaustive()
    }
}

impl Table {
    /// The table of a state; configurations that are as they were keep what was made of them.
    fn new(snapshot: Snapshot, before: Option<&Self>) -> Self {
        let known = |object: &Arc<CachedObject>| {
            let configurations = before.map(|table| table.configurations.as_slice()).unwrap_or_default();
            configurations.iter().find(|(from, _)| Arc::ptr_eq(from, object)).map(|(_, hooks)| hooks.clone())
        };
        let read = |object: &Arc<CachedObject>| Hook::all_of(&object.value()).into_iter().map(Arc::new).collect();
        let configurations: Vec<(Arc<CachedObject>, Vec<Arc<Hook>>)> = snapshot
            .objects
            .values()
            .map(|object| (Arc::clone(object), known(object).unwrap_or_else(|| read(object))))
            .collect();
        let hooks = configurations.iter().flat_map(|(_, hooks)| hooks.iter().cloned()).collect();
        Self { snapshot, configurations, hooks, found: RwLock::default() }
    }

    /// The webhooks that have a rule which may be about a resource, in whatever version, in their order.
    fn candidates(&self, registry: &Registry, of: &GroupVersionName) -> Arc<[Placed]> {
        let (group, resource) = (of.group.as_str(), of.name.as_str());
        if let Some(found) = self.found.read().get(group).and_then(|group| group.get(resource)) {
            return Arc::clone(found);
        }
        let definition = registry.resource(group, &of.version, resource);
        let others = definition.map(|definition| equivalents(registry, definition)).unwrap_or_default();
        let concerned = |hook: &Hook| {
            let rules = |group: &str| hook.rules.iter().any(|rule| rule.may_match(group, resource));
            rules(group) || (hook.equivalent && others.iter().any(|other| rules(&other.group)))
        };
        let placed = self.hooks.iter().enumerate().filter(|(_, hook)| concerned(hook));
        let found: Arc<[Placed]> = placed.map(|(index, hook)| Placed { index, hook: Arc::clone(hook) }).collect();
        let mut all = self.found.write();
        all.entry(group.to_owned()).or_default().insert(resource.to_owned(), Arc::clone(&found));
        found
    }
}

/// The configurations of a kind, read anew when one has changed.
pub(super) struct Kept {
    plural: &'static str,
    cache: OnceLock<Arc<ResourceCache>>,
    table: ArcSwapOption<Table>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("plural", &self.plural).field("table", &self.table.load()).finish_non_exhaustive()
    }
}

impl Kept {
    pub fn new(plural: &'static str) -> Self {
        Self { plural, cache: OnceLock::new(), table: ArcSwapOption::empty() }
    }

    /// The webhooks that may have to do with a request; none most of the time.
    pub fn candidates(&self, server: &ApiServer, resource: &GroupVersionName) -> Arc<[Placed]> {
        let cache = match self.cache.get() {
            Some(cache) => cache,
            None => {
                let registry = server.registry.load();
                let Some(definition) = registry.resource(GROUP, "v1", self.plural) else { return Arc::default() };
                self.cache.get_or_init(|| cache_of(server, definition))
            }
        };
        let snapshot = cache.peek();
        if snapshot.objects.is_empty() {
            return Arc::default();
        }
        let known = self.table.load_full();
        if let Some(table) = known.as_ref().filter(|table| table.snapshot.objects.ptr_eq(&snapshot.objects)) {
            return table.candidates(&server.registry.load(), resource);
        }
        let table = Arc::new(Table::new(snapshot, known.as_deref()));
        self.table.store(Some(Arc::clone(&table)));
        table.candidates(&server.registry.load(), resource)
    }
}

//! Follows the definitions and keeps what is served in line with them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_machinery::definition::custom::{CONVERTER, definitions, has_condition};
use portcullis_machinery::definition::{Registry, ResourceDefinition};
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::StoreError;
use portcullis_storage::cache::{CachedObject, EventKind, ResourceCache, WatchItem, WatchRequest, WatchStart, Watcher};
use tokio_util::sync::CancellationToken;

use super::codec::CustomCodec;
use super::{finalize, internal, names};
use crate::handlers::scope::cache_of;
use crate::server::ApiServer;

/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// One definition and what it serves.
struct Entry {
    crd: Arc<Value>,
    /// The version with the names that were decided on last, which has not come back yet.
    named: Option<Arc<Value>>,
    served: Vec<Arc<ResourceDefinition>>,
    /// What the cache of its instances depends on.
    stored_form: Option<String>,
}

impl Entry {
    /// The version whose names are known.
    fn names(&self) -> &Value {
        self.named.as_ref().unwrap_or(&self.crd)
    }
}

struct Controller {
    server: Arc<ApiServer>,
    shutdown: CancellationToken,
    /// The resource of the definitions themselves.
    resource: Arc<ResourceDefinition>,
    /// What is served without any definition.
    base: Arc<Registry>,
    known: BTreeMap<Arc<str>, Entry>,
    names: names::Names,
    /// Whether the registry does not say what is known.
    stale: bool,
    /// Definitions whose instances are being deleted, by uid.
    ending: Arc<Mutex<HashSet<String>>>,
}

/// Serves what the stored definitions say, and goes on following them. Returns once all stored ones are served.
///
/// # Errors
/// If the definitions cannot be read.
pub async fn start(server: &Arc<ApiServer>, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let base = server.registry.load_full();
    let Some(resource) = base.resource("apiextensions.k8s.io", "v1", "customresourcedefinitions").cloned() else {
        return Ok(());
    };
    let cache = cache_of(server, &resource);
    let mut watcher = cache.watch(everything(&cache)).await?;
    let mut controller = Controller {
        server: Arc::clone(server),
        shutdown: shutdown.clone(),
        resource,
        base,
        known: BTreeMap::new(),
        names: names::Names::default(),
        stale: false,
        ending: Arc::default(),
    };
    let mut changed = BTreeSet::new();
    while let Some(item) = watcher.next().await {
        match item {
            WatchItem::Event(event) => controller.take(&event.object, event.kind, &mut changed),
            WatchItem::Synced(_) | WatchItem::Lagged => break,
        }
    }
    controller.publish();
    tokio::spawn(controller.run(cache, watcher, changed));
    Ok(())
}

fn everything(cache: &ResourceCache) -> WatchRequest {
    WatchRequest { prefix: cache.prefix().to_owned(), start: WatchStart::Initial, filter: None, index: None }
}

impl Controller {
    async fn run(mut self, cache: Arc<ResourceCache>, mut watcher: Watcher, mut changed: BTreeSet<Arc<str>>) {
        loop {
            let failed = self.settle(std::mem::take(&mut changed)).await;
            let again = tokio::time::sleep(RETRY);
            let first = tokio::select! {
                () = self.shutdown.cancelled() => return,
                item = watcher.next() => item,
                () = again, if !failed.is_empty() => {
                    changed = failed;
                    continue;
                }
            };
            changed = failed;
            // All that has come in is settled together: a burst of definitions is one new registry.
            let mut item = first;
            loop {
                match item {
                    Some(WatchItem::Event(event)) => self.take(&event.object, event.kind, &mut changed),
                    Some(WatchItem::Synced(_)) => {}
                    Some(WatchItem::Lagged) | None => {
                        match cache.watch(everything(&cache)).await {
                            Ok(fresh) => watcher = fresh,
                            Err(error) => tracing::warn!(%error, "definitions cannot be watched; trying again"),
                        }
                        tokio::time::sleep(RETRY).await;
                        self.forget_missing(&cache, &mut changed);
                        break;
                    }
                }
                match watcher.try_next() {
                    Some(next) => item = Some(next),
                    None => break,
                }
            }
            self.publish();
        }
    }

    /// After a watch that broke off: what was deleted meanwhile.
    fn forget_missing(&mut self, cache: &ResourceCache, changed: &mut BTreeSet<Arc<str>>) {
        let present = cache.peek();
        let gone: Vec<Arc<str>> = self
            .known
            .keys()
            .filter(|name| !present.objects.contains_key(&*self.resource.key("", name)))
            .cloned()
            .collect();
        for name in gone {
            self.drop_entry(&name);
            changed.insert(name);
        }
    }

    fn take(&mut self, found: &CachedObject, kind: EventKind, changed: &mut BTreeSet<Arc<str>>) {
        let name: Arc<str> = Arc::from(&*found.name);
        changed.insert(Arc::clone(&name));
        if kind == EventKind::Deleted {
            self.drop_entry(&name);
            return;
        }
        let crd = found.value();
        let before = self.known.remove(&name);
        self.names.set(&name, before.as_ref().map(|entry| entry.names()), Some(&crd));
        // A new status mostly says nothing of what is served.
        if let Some(entry) = before.as_ref().filter(|entry| what_matters(&entry.crd) == what_matters(&crd)) {
            let (served, stored_form) = (entry.served.clone(), entry.stored_form.clone());
            self.known.insert(name, Entry { crd, named: None, served, stored_form });
            return;
        }
        let served = definitions(&crd);
        let stored_form = served.first().and_then(|definition| stored_form(definition));
        self.stale |= !served.is_empty() || before.as_ref().is_some_and(|entry| !entry.served.is_empty());
        if let Some(definition) = served.first()
            && before.as_ref().and_then(|entry| entry.stored_form.as_ref()) != stored_form.as_ref()
            && let Some(custom) = &definition.custom
        {
            // Instances are read anew in their new form; watches of the old form end. A late request may have left a
            // cache behind after the definition of that name was deleted.
            let codec = Arc::new(CustomCodec::new(custom));
            self.server.hub.replace(&definition.key_prefix(None), codec);
        }
        self.known.insert(name, Entry { crd, named: None, served, stored_form });
    }

    fn drop_entry(&mut self, name: &Arc<str>) {
        let Some(entry) = self.known.remove(name) else { return };
        self.names.set(name, Some(entry.names()), None);
        if let Some(definition) = entry.served.first() {
            self.stale = true;
            self.server.hub.remove(&definition.key_prefix(None));
        }
    }

    /// Puts everything that is served now into a new registry, if that is not what the present one has.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let served: Vec<Arc<ResourceDefinition>> =
            self.known.values().flat_map(|entry| entry.served.iter().cloned()).collect();
        self.server.registry.store(Arc::new(self.base.with_custom(served)));
        self.server.aggregation.registry_changed();
    }

    /// Decides on the names of what changed and of those that wait for names, and begins to end what is deleted. Gives
    /// those whose status could not be written.
    async fn settle(&mut self, changed: BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let mut failed = BTreeSet::new();
        // What one definition gives up, another of its group may be waiting for. The group of a deleted definition is
        // the end of its name.
        let touched: BTreeSet<&str> =
            changed.iter().filter_map(|name| name.split_once('.')).map(|(_, group)| group).collect();
        let waiting = touched.iter().flat_map(|group| self.names.waiting(group));
        let concerned: BTreeSet<Arc<str>> = changed.iter().chain(waiting).cloned().collect();
        for name in concerned {
            let Some(entry) = self.known.get(&name) else { continue };
            let crd = entry.names();
            let taken = self.names.taken(crd);
            if names::decide(crd, &taken).get("status") == crd.get("status") {
                continue;
            }
            match self.write_status(&name, crd, taken).await {
                // Those that follow are decided on with this one's names.
                Ok(stored) => {
                    if let Some(entry) = self.known.get_mut(&name) {
                        self.names.set(&name, Some(entry.names()), Some(&stored));
                        entry.named = Some(Arc::new(stored));
                    }
                }
                Err(status) if status.is_not_found() => {}
                Err(status) => {
                    tracing::warn!(definition = &*name, error = status.message, "a status cannot be written");
                    failed.insert(name);
                }
            }
        }
        for name in &changed {
            let Some(entry) = self.known.get(name) else { continue };
            if finalize::is_pending(&entry.crd) {
                self.end(Arc::clone(&entry.crd));
            }
        }
        failed
    }

    async fn write_status(&self, name: &str, crd: &Value, taken: names::Taken) -> Result<Value, Status> {
        let asked = object::get_at(crd, &["spec", "names"]).cloned();
        let name_for_errors = name.to_owned();
        let change = move |crd: &Value| {
            // What is taken was looked up for the names that were asked for.
            if object::get_at(crd, &["spec", "names"]) != asked.as_ref() {
                return Err(Status::modified("apiextensions.k8s.io", "customresourcedefinitions", &name_for_errors));
            }
            Ok(names::decide(crd, &taken))
        };
        internal::change_status(&self.server, &self.resource, name, Box::new(change)).await
    }

    fn end(&self, crd: Arc<Value>) {
        let uid = object::uid(&crd).to_owned();
        if !self.ending.lock().insert(uid.clone()) {
            return;
        }
        let (server, resource) = (Arc::clone(&self.server), Arc::clone(&self.resource));
        let (ending, shutdown) = (Arc::clone(&self.ending), self.shutdown.clone());
        tokio::spawn(async move {
            while !shutdown.is_cancelled() {
                match finalize::run(&server, &resource, &crd, &shutdown).await {
                    Ok(()) => break,
                    Err(status) if status.is_not_found() => break,
                    Err(status) => {
                        let name = object::name(&crd);
                        tracing::warn!(definition = name, error = status.message, "instances cannot be deleted");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
            ending.lock().remove(&uid);
        });
    }
}

/// What of a definition says what is served.
fn what_matters(crd: &Value) -> (Option<&Value>, [bool; 2], Option<&str>) {
    let conditions = ["Established", "Terminating"].map(|condition| has_condition(crd, condition));
    (crd.get("spec"), conditions, object::annotation(crd, CONVERTER))
}

/// What the cached forms of instances depend on: the types of the versions, the indexed fields, and who converts.
fn stored_form(definition: &ResourceDefinition) -> Option<String> {
    let custom = definition.custom.as_ref()?;
    let types = custom.types.iter().map(|(name, schema)| (name, schema.custom().map(|custom| custom.hash())));
    let types: Vec<_> = types.collect();
    Some(format!("{types:?} {:?} {:?}", custom.indexed, custom.conversion))
}

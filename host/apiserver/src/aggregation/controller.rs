//! Follows the APIServices: those that lead elsewhere get a worker each, the others are kept in line with what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{Value, object};
use portcullis_storage::StoreError;
use portcullis_storage::cache::{CacheEvent, EventKind, ResourceCache, WatchItem, WatchRequest, WatchStart, Watcher};
use tokio_util::sync::CancellationToken;

use super::availability::Outcome;
use super::local::Registrar;
use super::{GROUP, Service, worker};
use crate::customresources::internal;
use crate::handlers::scope::cache_of;
use crate::server::ApiServer;

/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

struct Controller {
    server: Arc<ApiServer>,
    resource: Arc<ResourceDefinition>,
    shutdown: CancellationToken,
    /// The workers by the name of the APIService, each with the `spec` that it works with.
    workers: BTreeMap<String, (Value, CancellationToken)>,
    /// All APIServices that are known.
    known: BTreeSet<String>,
    /// What has come in and is not settled.
    changed: BTreeSet<String>,
    /// Those that are served here and do not say that they are available.
    unsaid: BTreeSet<String>,
}

/// Sends requests where the stored APIServices say, and goes on following them.
///
/// # Errors
/// If they cannot be read.
pub async fn start(server: &Arc<ApiServer>, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let registry = server.registry.load_full();
    let Some(resource) = registry.resource(GROUP, "v1", "apiservices").cloned() else { return Ok(()) };
    let cache = cache_of(server, &resource);
    let mut controller = Controller {
        server: Arc::clone(server),
        resource,
        shutdown: shutdown.clone(),
        workers: BTreeMap::new(),
        known: BTreeSet::new(),
        changed: BTreeSet::new(),
        unsaid: BTreeSet::new(),
    };
    let watcher = controller.begin(&cache).await?;
    let registrar = Registrar::new(server, &controller.resource, controller.known.clone());
    tokio::spawn(controller.run(cache, watcher, registrar));
    Ok(())
}

impl Controller {
    /// Takes in all that is there.
    async fn begin(&mut self, cache: &ResourceCache) -> Result<Watcher, StoreError> {
        let prefix = cache.prefix().to_owned();
        let request = WatchRequest { prefix, start: WatchStart::Initial, filter: None, index: None };
        let mut watcher = cache.watch(request).await?;
        let before = std::mem::take(&mut self.known);
        while let Some(item) = watcher.next().await {
            match item {
                WatchItem::Event(event) => self.take(&event),
                WatchItem::Synced(_) | WatchItem::Lagged => break,
            }
        }
        for gone in before.difference(&self.known.clone()) {
            self.forget(gone);
            self.changed.insert(gone.clone());
        }
        Ok(watcher)
    }

    async fn run(mut self, cache: Arc<ResourceCache>, mut watcher: Watcher, mut registrar: Registrar) {
        loop {
            self.changed = registrar.settle(std::mem::take(&mut self.changed)).await;
            self.say().await;
            let item = tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.server.aggregation.served.notified() => continue,
                () = tokio::time::sleep(RETRY), if !(self.changed.is_empty() && self.unsaid.is_empty()) => continue,
                item = watcher.next() => item,
            };
            // What has come in is settled together.
            let mut next = item;
            loop {
                match next {
                    Some(WatchItem::Event(event)) => self.take(&event),
                    Some(WatchItem::Synced(_)) => {}
                    Some(WatchItem::Lagged) | None => {
                        match self.begin(&cache).await {
                            Ok(fresh) => watcher = fresh,
                            Err(error) => {
                                tracing::warn!(%error, "APIServices cannot be watched; trying again");
                                tokio::time::sleep(RETRY).await;
                            }
                        }
                        break;
                    }
                }
                match watcher.try_next() {
                    Some(more) => next = Some(more),
                    None => break,
                }
            }
        }
    }

    fn take(&mut self, event: &CacheEvent) {
        let name = event.object.name.to_string();
        self.changed.insert(name.clone());
        if event.kind == EventKind::Deleted {
            self.known.remove(&name);
            self.forget(&name);
            return;
        }
        self.known.insert(name.clone());
        let object = event.object.value();
        match Service::of(&object, &self.server.pki) {
            Some(service) => self.lead(service, &object),
            None => {
                self.forget(&name);
                if !Outcome::local().is_in(&object) {
                    self.unsaid.insert(name);
                }
            }
        }
    }

    /// An APIService leads elsewhere.
    fn lead(&mut self, service: Service, object: &Value) {
        let spec = object.get("spec").cloned().unwrap_or_default();
        let known = self.workers.get(&service.name);
        if known.is_none_or(|(known, _)| *known != spec) {
            self.forget(&service.name);
            let stop = self.shutdown.child_token();
            self.workers.insert(service.name.clone(), (spec, stop.clone()));
            let (server, resource) = (Arc::clone(&self.server), Arc::clone(&self.resource));
            tokio::spawn(worker::run(server, resource, service.clone(), stop));
        }
        self.server.aggregation.put(service);
    }

    fn forget(&mut self, name: &str) {
        self.unsaid.remove(name);
        if let Some((_, stop)) = self.workers.remove(name) {
            stop.cancel();
            self.server.aggregation.remove(name);
        }
    }

    /// Says of those that are served here that they are available.
    async fn say(&mut self) {
        for name in std::mem::take(&mut self.unsaid) {
            let change = |object: &Value| {
                let elsewhere = object::get_at(object, &["spec", "service"]).is_some_and(Value::is_object);
                Ok(if elsewhere { object.clone() } else { Outcome::local().put_in(object) })
            };
            match internal::change_status(&self.server, &self.resource, &name, Box::new(change)).await {
                Ok(_) => {}
                Err(status) if status.is_not_found() => {}
                Err(status) => {
                    tracing::warn!(name, error = status.message, "an APIService's status cannot be written");
                    self.unsaid.insert(name);
                }
            }
        }
    }
}

//! What is done for one APIService that leads to another server, for as long as it is there.

use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::Value;
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_storage::cache::{CachedObject, Filter, WatchItem, WatchRequest, WatchStart, Watcher};
use tokio_util::sync::CancellationToken;

use super::{Service, availability, fetch};
use crate::customresources::internal;
use crate::handlers::scope::cache_of;
use crate::outbound::Where;
use crate::server::ApiServer;

/// How long after a check that went well the next one comes.
const AGAIN: Duration = Duration::from_secs(30);
/// How long after one that did not: at first, and at most. It doubles each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Checks and asks the server until it is told to stop.
pub(super) async fn run(
    server: Arc<ApiServer>,
    resource: Arc<ResourceDefinition>,
    service: Service,
    stop: CancellationToken,
) {
    let mut failures = 0;
    let mut watchers = Watchers::open(&server, &service).await;
    loop {
        let good = round(&server, &resource, &service).await;
        failures = if good { 0 } else { failures + 1 };
        let wait = if good { AGAIN } else { RETRY.1.min(RETRY.0 * 2u32.saturating_pow(failures)) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = watchers.changed() => failures = 0,
            () = tokio::time::sleep(wait) => {}
        }
        if watchers.ended {
            watchers = Watchers::open(&server, &service).await;
        }
    }
}

/// One check, and what follows from it. Says whether all is well.
async fn round(server: &Arc<ApiServer>, resource: &Arc<ResourceDefinition>, service: &Service) -> bool {
    let outcome = availability::check(server, service).await;
    let available = outcome.status == "True";
    let current = server.read(&resource.group, &resource.version, &resource.plural, "", &service.name).await;
    let mut written = true;
    if let Ok(Some(current)) = &current
        && !outcome.is_in(current)
    {
        let (status, reason, message) = (outcome.status, outcome.reason, &outcome.message);
        tracing::info!(name = service.name, status, reason, message, "an APIService's availability changed");
        let change = move |object: &Value| Ok(outcome.put_in(object));
        written = internal::change_status(server, resource, &service.name, Box::new(change)).await.is_ok();
    }
    available && learn(server, service).await && written
}

/// Asks what the server serves. Says whether all of it is known now; what is not known any better stays.
async fn learn(server: &Arc<ApiServer>, service: &Service) -> bool {
    let known = server.aggregation.services().of_version(&service.group, &service.version).cloned();
    let known = known.map(|known| known.learned.clone()).unwrap_or_default();
    let (discovery, v3, v2) =
        tokio::join!(fetch::discovery(server, service), fetch::v3(server, service), fetch::v2(server, service, &known));
    let complete = discovery.is_ok() && v3.is_ok() && v2.is_ok();
    for why in [discovery.as_ref().err(), v3.as_ref().err(), v2.as_ref().err()].into_iter().flatten() {
        tracing::debug!(name = service.name, why, "a server's documents cannot be had");
    }
    let mut learned = known.clone();
    learned.fresh = discovery.is_ok();
    if let Ok(entry) = discovery
        && learned.discovery.as_deref() != Some(&entry)
    {
        learned.discovery = Some(Arc::new(entry));
    }
    learned.v3 = v3.unwrap_or(learned.v3);
    learned.v2 = v2.unwrap_or(learned.v2);
    if !learned.same(&known) {
        server.aggregation.learn(&service.name, |known| *known = learned);
    }
    complete
}

/// Watches of what the check looks at beside the server itself.
struct Watchers {
    all: Vec<Watcher>,
    /// Whether one has come to its end.
    ended: bool,
}

impl Watchers {
    async fn open(server: &Arc<ApiServer>, service: &Service) -> Self {
        let mut watchers = Self { all: Vec::new(), ended: false };
        let Ok(destination) = &service.destination else { return watchers };
        let Where::Service { namespace, name, .. } = &destination.place else { return watchers };
        let registry = server.registry.load_full();
        let (of_service, of_slice) = (name.clone(), name.clone());
        let is_service: Filter = Arc::new(move |found: &CachedObject| *found.name == *of_service);
        let is_slice: Filter =
            Arc::new(move |found: &CachedObject| found.label("kubernetes.io/service-name") == Some(&*of_slice));
        let services = registry.resource("", "v1", "services").map(|definition| (definition, is_service));
        let slices = registry.resource("discovery.k8s.io", "v1", "endpointslices");
        let slices = slices.map(|definition| (definition, is_slice));
        for (definition, filter) in services.into_iter().chain(slices) {
            let cache = cache_of(server, definition);
            let prefix = definition.key_prefix(Some(namespace));
            let request = WatchRequest { prefix, start: WatchStart::Now, filter: Some(filter), index: None };
            match cache.watch(request).await {
                Ok(watcher) => watchers.all.push(watcher),
                Err(error) => {
                    tracing::debug!(%error, "a Service cannot be watched");
                    watchers.ended = true;
                }
            }
        }
        watchers
    }

    /// Returns once something has changed. What came together counts once.
    async fn changed(&mut self) {
        if self.all.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let next = self.all.iter_mut().map(|watcher| Box::pin(watcher.next()));
            let (item, _, _) = futures::future::select_all(next).await;
            match item {
                Some(WatchItem::Event(_)) => break,
                Some(WatchItem::Synced(_)) => {}
                Some(WatchItem::Lagged) | None => {
                    self.ended = true;
                    break;
                }
            }
        }
        for watcher in &mut self.all {
            while watcher.try_next().is_some() {}
        }
    }
}

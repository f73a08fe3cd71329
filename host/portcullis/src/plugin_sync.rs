//! Keeps what serves in line with the Plugin objects, and their status in line with what serves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portcullis_apiserver::handlers::scope::cache_of;
use portcullis_apiserver::{ApiServer, modules};
use portcullis_client::resource::PLUGINS;
use portcullis_client::{Client, PatchType};
use portcullis_machinery::{Value, object};
use portcullis_plugins::first_party;
use portcullis_plugins::manager::PluginManager;
use portcullis_storage::StoreError;
use portcullis_storage::cache::{EventKind, ResourceCache, WatchItem, WatchRequest, WatchStart, Watcher};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// How often counters in a status are brought up to date.
const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// Follows the Plugin objects of a server.
pub struct PluginSync {
    manager: Arc<PluginManager>,
    client: Client,
    cache: Arc<ResourceCache>,
    modules: Arc<ResourceCache>,
    /// The spec that was tried last, by name: a change of status alone loads nothing.
    tried: HashMap<String, Value>,
}

impl PluginSync {
    /// Loads the first-party plugins, so that the server can decide before it has read anything.
    pub async fn load_first_party(manager: &PluginManager) {
        manager.apply_all(&first_party::plugins()).await;
    }

    /// Creates the first-party Plugin objects that are missing, so that they can be seen and swapped like any other.
    pub fn new(server: &Arc<ApiServer>, manager: Arc<PluginManager>, client: Client) -> anyhow::Result<Self> {
        let registry = server.registry.load();
        let cache_of = |plural: &str| {
            let definition = registry.preferred_resource("plugins.portcullis.dev", plural);
            definition
                .map(|definition| cache_of(server, definition))
                .with_context(|| format!("{plural} are not served"))
        };
        let (cache, modules) = (cache_of("plugins")?, cache_of("modules")?);
        let weak = Arc::downgrade(server);
        manager.fetch_with(Box::new(move |digest| {
            let server = weak.upgrade();
            Box::pin(async move {
                let Some(server) = server else { return Ok(None) };
                modules::fetch(&server, &digest).await.map_err(|status| status.message)
            })
        }));
        let first = first_party::plugins();
        let tried = first.iter().map(|plugin| (object::name(plugin).to_owned(), plugin["spec"].clone())).collect();
        Ok(Self { manager, client, cache, modules, tried })
    }

    /// Loads the Plugins that are stored. A server calls this before it takes its first request, so that none is
    /// decided without them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load_stored(&mut self) -> anyhow::Result<()> {
        let snapshot = self.cache.snapshot(None).await?;
        let stored: Vec<Value> = snapshot.objects.values().map(|plugin| Value::clone(&plugin.value())).collect();
        let stored: Vec<Value> =
            stored.into_iter().filter(|plugin| object::deletion_timestamp(plugin).is_none()).collect();
        self.manager.apply_all(&stored).await;
        for plugin in stored {
            self.tried.insert(object::name(&plugin).to_owned(), plugin["spec"].clone());
        }
        Ok(())
    }

    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        for plugin in first_party::plugins() {
            match self.client.create(&PLUGINS, "", &plugin).await {
                Ok(_) => {}
                Err(error) if error.is_already_exists() => {}
                Err(error) => {
                    tracing::warn!(plugin = object::name(&plugin), %error, "a first-party Plugin could not be created");
                }
            }
        }
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.follow() => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn follow(&mut self) {
        let (Ok(mut watcher), Ok(mut modules)) = (watch(&self.cache).await, watch(&self.modules).await) else {
            return;
        };
        let mut tick = tokio::time::interval(STATS_INTERVAL);
        loop {
            tokio::select! {
                item = modules.next() => match item {
                    Some(WatchItem::Event(event)) if event.kind != EventKind::Deleted => {
                        if let Some(digest) = modules::digest_of(&event.object.name) {
                            self.retry(self.manager.to_retry(Some(&digest))).await;
                        }
                    }
                    Some(WatchItem::Event(_) | WatchItem::Synced(_)) => {}
                    Some(WatchItem::Lagged) | None => return,
                },
                item = watcher.next() => match item {
                    Some(WatchItem::Event(event)) if event.kind == EventKind::Deleted => {
                        self.removed(&event.object.name).await;
                    }
                    Some(WatchItem::Event(event)) => self.changed(&event.object.value()).await,
                    Some(WatchItem::Synced(_)) => {}
                    Some(WatchItem::Lagged) | None => return,
                },
                _ = tick.tick() => {
                    self.retry(self.manager.to_retry(None)).await;
                    self.report_all().await;
                }
            }
        }
    }

    /// Tries plugins again that failed for a reason that may have passed: a module or a file that was not there.
    async fn retry(&self, names: Vec<String>) {
        let snapshot = self.cache.peek();
        for name in names {
            let found = snapshot.objects.values().find(|plugin| *plugin.name == *name).map(|plugin| plugin.value());
            let Some(plugin) = found else { continue };
            if let Err(error) = self.manager.apply(&plugin).await {
                tracing::debug!(plugin = name, %error, "a Plugin still does not load");
            }
            self.report(&plugin).await;
        }
    }

    async fn changed(&mut self, plugin: &Value) {
        let name = object::name(plugin).to_owned();
        if object::deletion_timestamp(plugin).is_some() {
            return;
        }
        let spec = plugin.get("spec").cloned().unwrap_or_default();
        let known = self.tried.get(&name) == Some(&spec);
        let observed = plugin.pointer("/status/observedGeneration").and_then(Value::as_i64);
        if known && observed == Some(object::generation(plugin)) {
            return;
        }
        if !known {
            self.tried.insert(name.clone(), spec);
        }
        if let Err(error) = self.manager.apply(plugin).await {
            tracing::warn!(plugin = name, %error, "a Plugin did not take effect; what served before goes on");
        }
        self.report(plugin).await;
    }

    /// A first-party plugin that is deleted comes back as the binary carries it: nobody can be locked out by deleting.
    async fn removed(&mut self, name: &str) {
        self.tried.remove(name);
        let first = first_party::plugins().into_iter().find(|plugin| object::name(plugin) == name);
        match first {
            Some(plugin) => {
                self.tried.insert(name.to_owned(), plugin["spec"].clone());
                if let Err(error) = self.manager.apply(&plugin).await {
                    tracing::error!(plugin = name, %error, "an embedded component does not load");
                }
                if let Err(error) = self.client.create(&PLUGINS, "", &plugin).await
                    && !error.is_already_exists()
                {
                    tracing::warn!(plugin = name, %error, "a first-party Plugin could not be made again");
                }
            }
            None => self.manager.remove(name).await,
        }
    }

    async fn report_all(&self) {
        let snapshot = self.cache.peek();
        for plugin in snapshot.objects.values() {
            self.report(&plugin.value()).await;
        }
    }

    /// Writes a plugin's status if it differs from the one there.
    async fn report(&self, plugin: &Value) {
        let name = object::name(plugin);
        let Some(mut status) = self.manager.status(name) else { return };
        status["observedGeneration"] = json!(object::generation(plugin));
        let before = plugin.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = json!(object::generation(plugin));
            let same =
                before.iter().find(|old| old["type"] == condition["type"] && old["status"] == condition["status"]);
            condition["lastTransitionTime"] = match same {
                Some(old) => old["lastTransitionTime"].clone(),
                None => json!(object::now_rfc3339()),
            };
        }
        if plugin.get("status") == Some(&status) {
            return;
        }
        // The whole status is replaced: a merge would keep reasons of errors that are over.
        let patch = json!([{"op": "add", "path": "/status", "value": status}]);
        let written = self.client.patch(&PLUGINS, "", name, "status", PatchType::Json, &patch).await;
        if let Err(error) = written
            && !error.is_not_found()
        {
            tracing::warn!(plugin = name, %error, "a Plugin's status could not be written");
        }
    }
}

/// Everything that is in a cache, and every change after it.
async fn watch(cache: &Arc<ResourceCache>) -> Result<Watcher, StoreError> {
    let prefix = cache.prefix().to_owned();
    Arc::clone(cache).watch(WatchRequest { prefix, start: WatchStart::Initial, filter: None, index: None }).await
}

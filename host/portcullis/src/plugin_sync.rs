//! Keeps what serves in line with the Plugin objects, and their status in line with what serves.
//!
//! [`revisions`] stores the versions that Plugins had, [`rollout`] moves canaries on, and [`status`] writes what is known.

mod revisions;
mod rollout;
mod status;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portcullis_apiserver::handlers::scope::cache_of;
use portcullis_apiserver::{ApiServer, modules};
use portcullis_client::Client;
use portcullis_client::events::EventRecorder;
use portcullis_client::resource::PLUGINS;
use portcullis_machinery::{Value, object};
use portcullis_plugins::first_party;
use portcullis_plugins::manager::{ApplyError, PluginManager};
use portcullis_plugins::rollout::plan::{Plan, Planned, plan};
use portcullis_plugins::rollout::state::RolloutStatus;
use portcullis_plugins::spec::PluginSpec;
use portcullis_storage::StoreError;
use portcullis_storage::cache::{EventKind, ResourceCache, WatchItem, WatchRequest, WatchStart, Watcher};
use tokio_util::sync::CancellationToken;

use self::revisions::Revisions;

/// How often counters in a status are brought up to date.
const STATS_INTERVAL: Duration = Duration::from_secs(10);
/// How often canaries are looked at while there are any.
const ROLLOUT_INTERVAL: Duration = Duration::from_secs(1);

/// Follows the Plugin objects of a server.
pub struct PluginSync {
    manager: Arc<PluginManager>,
    client: Client,
    cache: Arc<ResourceCache>,
    modules: Arc<ResourceCache>,
    revisions: Revisions,
    events: EventRecorder,
    /// The name under which this server counts in roll-outs.
    server: String,
    /// What was tried last, by name: a change of the status alone loads nothing, unless it is one of the roll-out.
    tried: HashMap<String, Tried>,
    /// Plugins about which something is still to be written: somebody else had written meanwhile.
    unwritten: BTreeSet<String>,
}

/// What was tried of a Plugin.
#[derive(PartialEq)]
struct Tried {
    spec: Value,
    plan: Option<Plan>,
}

impl PluginSync {
    /// Loads the first-party plugins, so that the server can decide before it has read anything.
    pub async fn load_first_party(manager: &PluginManager) {
        let first = first_party::plugins().into_iter().map(|plugin| (plugin, Ok(Plan::Direct)));
        manager.apply_all(&first.collect::<Vec<_>>()).await;
    }

    /// Creates the first-party Plugin objects that are missing, so that they can be seen and swapped like any other.
    pub fn new(
        server: &Arc<ApiServer>,
        manager: Arc<PluginManager>,
        client: Client,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let registry = server.registry.load();
        let cache_of = |group: &str, plural: &str| {
            let definition = registry.preferred_resource(group, plural);
            definition
                .map(|definition| cache_of(server, definition))
                .with_context(|| format!("{plural} are not served"))
        };
        let own = "plugins.portcullis.dev";
        let (cache, modules) = (cache_of(own, "plugins")?, cache_of(own, "modules")?);
        let revisions = Revisions::new(cache_of("apps", "controllerrevisions")?, client.clone());
        let weak = Arc::downgrade(server);
        manager.fetch_with(Box::new(move |digest| {
            let server = weak.upgrade();
            Box::pin(async move {
                let Some(server) = server else { return Ok(None) };
                modules::fetch(&server, &digest).await.map_err(|status| status.message)
            })
        }));
        let first = first_party::plugins();
        let direct = |plugin: &Value| Tried { spec: plugin["spec"].clone(), plan: Some(Plan::Direct) };
        let tried = first.iter().map(|plugin| (object::name(plugin).to_owned(), direct(plugin))).collect();
        let id = server_id(&server.config.data_dir).context("this server has no name to count under")?;
        manager.count_as(&id);
        let events = EventRecorder::new(client.clone(), "portcullis-plugins", &id, shutdown.clone());
        Ok(Self { manager, client, cache, modules, revisions, events, server: id, tried, unwritten: BTreeSet::new() })
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
        self.revisions.filled().await?;
        let planned: Vec<(Value, Result<Plan, ApplyError>)> = stored
            .into_iter()
            .map(|plugin| {
                let planned = self.plan(&plugin, false);
                if planned.as_ref().is_ok_and(|planned| planned.begins.is_some() || planned.forget) {
                    self.unwritten.insert(object::name(&plugin).to_owned());
                }
                (plugin, planned.map(|planned| planned.plan))
            })
            .collect();
        self.manager.apply_all(&planned).await;
        for (plugin, plan) in planned {
            let tried = Tried { spec: plugin["spec"].clone(), plan: plan.ok() };
            self.tried.insert(object::name(&plugin).to_owned(), tried);
        }
        Ok(())
    }

    /// What a Plugin stands for now. `known` is whether what serves here counts as the version before, where its status
    /// names none: at the start it is only what the binary carries.
    fn plan(&self, plugin: &Value, known: bool) -> Result<Planned, ApplyError> {
        let spec = PluginSpec::from_object(plugin)?;
        let serving = self.manager.serving(object::name(plugin)).filter(|_| known);
        Ok(plan(plugin, &spec, serving.as_ref(), |name| self.revisions.find(name), &object::now_rfc3339())?)
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
        let mut rollouts = tokio::time::interval(ROLLOUT_INTERVAL);
        let manager = Arc::clone(&self.manager);
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
                _ = rollouts.tick() => self.move_on().await,
                () = manager.candidate_stopped() => self.move_on().await,
            }
        }
    }

    /// Tries plugins again that failed for a reason that may have passed: a module or a file that was not there.
    async fn retry(&mut self, names: Vec<String>) {
        for name in names {
            let Some(plugin) = self.find(&name) else { continue };
            self.load(&plugin).await;
        }
    }

    /// The Plugin as it is stored now, if it is.
    fn find(&self, name: &str) -> Option<Arc<Value>> {
        let snapshot = self.cache.peek();
        snapshot.objects.values().find(|plugin| *plugin.name == *name).map(|plugin| plugin.value())
    }

    async fn changed(&mut self, plugin: &Value) {
        if object::deletion_timestamp(plugin).is_some() {
            return;
        }
        let spec = plugin.get("spec").cloned().unwrap_or_default();
        let tried = self.tried.get(object::name(plugin));
        let observed = plugin.pointer("/status/observedGeneration").and_then(Value::as_i64);
        if tried.is_some_and(|tried| tried.spec == spec) && observed == Some(object::generation(plugin)) {
            // Another server may have moved a roll-out on; most Plugins never had one.
            if RolloutStatus::of(plugin).is_none() {
                return;
            }
            let plan = self.plan(plugin, true).ok().map(|planned| planned.plan);
            if tried.is_some_and(|tried| tried.plan == plan) {
                return;
            }
        }
        self.load(plugin).await;
    }

    /// Loads what a Plugin stands for, and writes what came of it.
    async fn load(&mut self, plugin: &Value) {
        let name = object::name(plugin).to_owned();
        let spec = plugin.get("spec").cloned().unwrap_or_default();
        let planned = self.plan(plugin, true);
        let plan = planned.as_ref().ok().map(|planned| planned.plan.clone());
        self.tried.insert(name.clone(), Tried { spec, plan });
        let mut stored = Vec::new();
        let applied = match &planned {
            Ok(planned) => {
                stored = self.keep_versions(plugin, &planned.plan).await;
                self.manager.apply(plugin, &planned.plan).await
            }
            Err(error) => {
                self.manager.fail(plugin, error).await;
                Ok(())
            }
        };
        if let Some(why) = planned.as_ref().err().or(applied.as_ref().err()) {
            tracing::warn!(plugin = name, error = %why, "a Plugin did not take effect; what served before goes on");
        }
        if let Ok(planned) = planned
            && !self.write_rollout(plugin, &planned, applied.is_ok(), &stored).await
        {
            self.unwritten.insert(name);
        }
        self.report(plugin).await;
    }

    /// A first-party plugin that is deleted comes back as the binary carries it: nobody can be locked out by deleting.
    async fn removed(&mut self, name: &str) {
        self.tried.remove(name);
        let first = first_party::plugins().into_iter().find(|plugin| object::name(plugin) == name);
        match first {
            Some(plugin) => {
                let tried = Tried { spec: plugin["spec"].clone(), plan: Some(Plan::Direct) };
                self.tried.insert(name.to_owned(), tried);
                if let Err(error) = self.manager.apply(&plugin, &Plan::Direct).await {
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
}

/// The name under which this server counts in roll-outs: made once for its data directory, so that it is the same after a
/// restart.
fn server_id(data_dir: &Path) -> std::io::Result<String> {
    let path = data_dir.join("plugins").join("server-id");
    if let Ok(known) = std::fs::read_to_string(&path) {
        return Ok(known.trim().to_owned());
    }
    let id = format!("server-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    std::fs::create_dir_all(data_dir.join("plugins"))?;
    std::fs::write(&path, &id)?;
    Ok(id)
}

/// Everything that is in a cache, and every change after it.
async fn watch(cache: &Arc<ResourceCache>) -> Result<Watcher, StoreError> {
    let prefix = cache.prefix().to_owned();
    Arc::clone(cache).watch(WatchRequest { prefix, start: WatchStart::Initial, filter: None, index: None }).await
}

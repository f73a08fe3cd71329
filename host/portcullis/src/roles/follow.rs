//! Follows the scheduler plugins of a cluster through its API, for a scheduler in a process of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_apiserver::modules;
use portcullis_client::resource::{MODULES, PLUGINS};
use portcullis_client::{Client, Informer, InformerEvent, Object, ObjectExt};
use portcullis_plugins::first_party;
use portcullis_plugins::manager::PluginManager;
use portcullis_plugins::rollout::plan::Plan;
use portcullis_policy::Stage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Loads what the Plugins of the stage `scheduler` describe. Their status is written by the API server, which loads
/// every Plugin as well; a version that does not load here is only logged.
pub struct PluginFollower {
    client: Client,
    manager: Arc<PluginManager>,
}

/// How often what did not load is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);

enum Change {
    Set(Object),
    Removed(String),
}

impl PluginFollower {
    /// A follower that reads with `client` and loads into `manager`.
    pub fn new(client: Client, manager: Arc<PluginManager>) -> Self {
        Self { client, manager }
    }

    /// Loads what is there now, and follows changes until shutdown.
    pub async fn start(self, shutdown: &CancellationToken) {
        let plugins = Informer::builder(&self.client, &PLUGINS).start(shutdown.clone());
        let (changes, mut queue) = mpsc::unbounded_channel();
        plugins.on_event(move |event| {
            let object = event.object();
            let scheduler = object["spec"]["stage"] == Stage::Scheduler.as_str();
            let change = match event {
                InformerEvent::Deleted(_) => Change::Removed(object.name().to_owned()),
                _ if scheduler => Change::Set(object.clone()),
                _ => Change::Removed(object.name().to_owned()),
            };
            // The receiver lives as long as the process wants to hear of changes.
            let _ = changes.send(change);
        });
        let manager = self.manager;
        let client = self.client.clone();
        manager.fetch_with(Box::new(move |digest| {
            let client = client.clone();
            let path = MODULES.path("", &modules::name_of(&digest), "content");
            Box::pin(async move {
                match client.get_raw(&path, "application/wasm").await {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error.to_string()),
                }
            })
        }));
        tokio::spawn(async move {
            let mut followed: HashMap<String, Object> = HashMap::new();
            let mut again = tokio::time::interval(RETRY_EVERY);
            loop {
                tokio::select! {
                    change = queue.recv() => match change {
                        Some(change) => apply(&manager, &mut followed, change).await,
                        None => return,
                    },
                    _ = again.tick() => retry(&manager, &followed).await,
                }
            }
        });
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = plugins.synced() => {}
        }
    }
}

/// Tries again what did not load for a reason that may have passed: its module was not there yet.
async fn retry(manager: &PluginManager, followed: &HashMap<String, Object>) {
    for plugin in manager.to_retry(None).iter().filter_map(|name| followed.get(name)) {
        if let Err(error) = manager.apply(plugin, &Plan::Direct).await {
            tracing::debug!(plugin = plugin.name(), %error, "a Plugin still does not load");
        }
    }
}

async fn apply(manager: &PluginManager, followed: &mut HashMap<String, Object>, change: Change) {
    match change {
        Change::Set(plugin) => {
            let known = followed.insert(plugin.name().to_owned(), plugin.clone());
            if known.is_some_and(|known| known.get("spec") == plugin.get("spec")) {
                return;
            }
            if let Err(error) = manager.apply(&plugin, &Plan::Direct).await {
                tracing::warn!(plugin = plugin.name(), %error, "a Plugin did not take effect; what served before goes on");
            }
        }
        Change::Removed(name) => {
            if followed.remove(&name).is_none() {
                return;
            }
            match first_party::plugins().into_iter().find(|plugin| plugin.name() == name) {
                Some(own) => {
                    if let Err(error) = manager.apply(&own, &Plan::Direct).await {
                        tracing::error!(plugin = name, %error, "an embedded component does not load");
                    }
                }
                None => manager.remove(&name).await,
            }
        }
    }
}

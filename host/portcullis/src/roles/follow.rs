//! Follows the scheduler plugins of a cluster through its API, for a scheduler in a process of its own.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_client::resource::PLUGINS;
use portcullis_client::{Client, Informer, InformerEvent, Object, ObjectExt};
use portcullis_machinery::Value;
use portcullis_plugins::first_party;
use portcullis_plugins::manager::PluginManager;
use portcullis_policy::Stage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Loads what the Plugins of the stage `scheduler` describe. Their status is written by the API server, which loads
/// every Plugin as well; a version that does not load here is only logged.
pub struct PluginFollower {
    client: Client,
    manager: Arc<PluginManager>,
}

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
        let mut specs: HashMap<String, Value> = HashMap::new();
        let manager = self.manager;
        tokio::spawn(async move {
            while let Some(change) = queue.recv().await {
                apply(&manager, &mut specs, change).await;
            }
        });
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = plugins.synced() => {}
        }
    }
}

async fn apply(manager: &PluginManager, specs: &mut HashMap<String, Value>, change: Change) {
    match change {
        Change::Set(plugin) => {
            let spec = plugin.get("spec").cloned().unwrap_or_default();
            if specs.get(plugin.name()) == Some(&spec) {
                return;
            }
            specs.insert(plugin.name().to_owned(), spec);
            if let Err(error) = manager.apply(&plugin).await {
                tracing::warn!(plugin = plugin.name(), %error, "a Plugin did not take effect; what served before goes on");
            }
        }
        Change::Removed(name) => {
            if specs.remove(&name).is_none() {
                return;
            }
            match first_party::plugins().into_iter().find(|plugin| plugin.name() == name) {
                Some(own) => {
                    if let Err(error) = manager.apply(&own).await {
                        tracing::error!(plugin = name, %error, "an embedded component does not load");
                    }
                }
                None => manager.remove(&name).await,
            }
        }
    }
}

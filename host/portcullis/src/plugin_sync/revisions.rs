//! The versions that Plugins had: ControllerRevisions in `kube-system`, owned by the Plugin.
//!
//! A revision is named by its content, so that all servers make the same one, and making it twice changes nothing. A
//! version that comes back gets the next number, as the revision of a Deployment does. Nothing is stored for the embedded
//! components as a new cluster has them: the binary knows those.

use std::sync::Arc;

use portcullis_client::resource::CONTROLLERREVISIONS;
use portcullis_client::{Client, ClientError, DeleteParams, PatchType};
use portcullis_machinery::{Value, object};
use portcullis_plugins::rollout::revision;
use portcullis_storage::StoreError;
use portcullis_storage::cache::ResourceCache;
use serde_json::json;

/// Where they are.
pub const NAMESPACE: &str = "kube-system";
/// The label that says whose they are; a name that is too long for a label is cut.
const LABEL: &str = "plugins.portcullis.dev/plugin";
/// How many are kept of one Plugin.
const KEPT: usize = 10;

/// The stored versions of all Plugins.
pub struct Revisions {
    cache: Arc<ResourceCache>,
    client: Client,
}

impl Revisions {
    /// The revisions in a cache, written with `client`.
    pub fn new(cache: Arc<ResourceCache>, client: Client) -> Self {
        Self { cache, client }
    }

    /// Waits until the cache knows what is stored.
    pub async fn filled(&self) -> Result<(), StoreError> {
        self.cache.snapshot(None).await.map(drop)
    }

    /// The spec that is stored under a revision's name.
    pub fn find(&self, name: &str) -> Option<Value> {
        let key = format!("{}{NAMESPACE}/{name}", self.cache.prefix());
        self.cache.peek().objects.get(key.as_str())?.value().pointer("/data/spec").cloned()
    }

    /// Those of a Plugin, as name and number.
    fn of(&self, plugin: &Value) -> Vec<(String, i64)> {
        let snapshot = self.cache.peek();
        let uid = object::uid(plugin);
        let own = |revision: &Value| object::controller_of(revision).is_some_and(|owner| owner["uid"] == uid);
        let all = snapshot.objects.values().map(|revision| revision.value());
        all.filter(|revision| own(revision))
            .map(|revision| (object::name(&revision).to_owned(), number(&revision)))
            .collect()
    }

    /// Stores a version of a Plugin as its latest, and lets go of the oldest but those that are in use.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn keep(&self, plugin: &Value, spec: &Value, in_use: &[&str]) -> Result<(), ClientError> {
        let name = revision::name(object::name(plugin), spec);
        let known = self.of(plugin);
        let latest = known.iter().map(|(_, number)| *number).max().unwrap_or_default();
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, number)) if *number == latest => return Ok(()),
            Some(_) => {
                let patch = json!({"revision": latest + 1});
                self.client.patch(&CONTROLLERREVISIONS, NAMESPACE, &name, "", PatchType::Merge, &patch).await?;
            }
            None => {
                match self.client.create(&CONTROLLERREVISIONS, NAMESPACE, &made(plugin, spec, &name, latest + 1)).await
                {
                    Ok(_) => {}
                    Err(error) if error.is_already_exists() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.prune(known, &name, in_use).await;
        Ok(())
    }

    async fn prune(&self, mut known: Vec<(String, i64)>, latest: &str, in_use: &[&str]) {
        known.retain(|(name, _)| name != latest);
        known.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        for (name, _) in known.iter().skip(KEPT - 1).filter(|(name, _)| !in_use.contains(&name.as_str())) {
            let deleted = self.client.delete(&CONTROLLERREVISIONS, NAMESPACE, name, &DeleteParams::default()).await;
            if let Err(error) = deleted
                && !error.is_not_found()
            {
                tracing::warn!(revision = name, %error, "an old revision could not be deleted");
            }
        }
    }
}

fn number(revision: &Value) -> i64 {
    revision.get("revision").and_then(Value::as_i64).unwrap_or_default()
}

fn made(plugin: &Value, spec: &Value, name: &str, number: i64) -> Value {
    let label = object::name(plugin);
    let label = label[..label.floor_char_boundary(63)].trim_end_matches(['-', '.']);
    json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {LABEL: label},
            "ownerReferences": [{
                "apiVersion": object::api_version(plugin),
                "kind": "Plugin",
                "name": object::name(plugin),
                "uid": object::uid(plugin),
                "controller": true,
            }],
        },
        "data": {"spec": revision::content(spec)},
        "revision": number,
    })
}

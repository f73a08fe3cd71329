//! The two versions that are compared: a candidate from this machine, and the one that serves in the cluster.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use portcullis_client::resource::{MODULES, Resource};
use portcullis_client::{Client, ClientError};
use portcullis_machinery::{Value, object};
use portcullis_plugins::matching::Matcher;
use portcullis_plugins::spec::PluginSpec;
use portcullis_policy::{
    Digest, KeySets, ModuleSource, PolicyHost, ReadError, Runtime, RuntimeConfig, Stage, VerifyError,
};
use serde_json::json;
use tokio::runtime::Handle;

use super::Version;
use crate::{KitError, history, served};

/// What is to be tried.
pub struct Candidate {
    /// Its component.
    pub component: Bytes,
    /// The Plugin that it would be a version of.
    pub plugin: String,
    /// Its Plugin's spec, if it is another than the cluster's.
    pub spec: Option<Value>,
}

/// Both versions.
pub struct Versions {
    pub(super) candidate: Version,
    pub(super) serving: Option<Version>,
    pub(super) stage: Stage,
}

/// Loads both. There is no version that serves if the cluster has no such Plugin: then everything was let through as it
/// came.
pub async fn load(client: &Client, candidate: &Candidate) -> Result<Versions, KitError> {
    let name = &candidate.plugin;
    let present = match history::read(client, name).await {
        Ok((plugin, revisions)) => {
            let active = object::str_at(&plugin, &["status", "activeRevision"]);
            let active = revisions.into_iter().find(|revision| Some(revision.name.as_str()) == active);
            let spec = active.map_or_else(|| plugin["spec"].clone(), |revision| revision.spec);
            Some((plugin, spec))
        }
        Err(KitError::Cluster { error, .. }) if error.is_not_found() && candidate.spec.is_some() => None,
        Err(error) => return Err(error),
    };
    let described = candidate.spec.clone().or_else(|| present.as_ref().map(|(plugin, _)| plugin["spec"].clone()));
    let mut described = described.unwrap_or_default();
    // What it would be applied as: the source is these bytes, whatever the spec names now.
    described["source"] = json!({"digest": Digest::of(&candidate.component).to_string()});
    let host = Arc::new(ClusterHost::new(client).await?);
    // What is compiled is of no use to anybody afterwards.
    let dir = std::env::temp_dir().join(format!("portcullis-replay-{}", std::process::id()));
    let runtime = Runtime::new(RuntimeConfig::new(&dir))?;
    let result = async {
        let (stage, tried) = version(&runtime, &host, name, &described, candidate.component.clone()).await?;
        let serving = match &present {
            None => None,
            Some((_, spec)) => {
                let bytes = component(client, spec).await?;
                let (other, serving) = version(&runtime, &host, name, spec, bytes).await?;
                if other != stage {
                    let message = format!("the version that serves is of the stage {other}, and this one of {stage}");
                    return Err(KitError::Project(message));
                }
                Some(serving)
            }
        };
        Ok(Versions { candidate: tried, serving, stage })
    }
    .await;
    let _ = std::fs::remove_dir_all(&dir);
    result
}

async fn version(
    runtime: &Runtime,
    host: &Arc<ClusterHost>,
    name: &str,
    spec: &Value,
    bytes: Bytes,
) -> Result<(Stage, Version), KitError> {
    let wrong = |error: portcullis_plugins::spec::SpecError| KitError::Project(format!("the Plugin {name:?}: {error}"));
    let spec = PluginSpec::from_object(&json!({"spec": spec})).map_err(wrong)?;
    let mut wanted = portcullis_policy::PluginSpec::new(name, spec.stage, ModuleSource::Bytes(bytes));
    wanted.config = spec.config.clone();
    wanted.limits = spec.limits().map_err(wrong)?;
    wanted.grants = spec.grants();
    let matcher = Matcher::new(&spec.matching).map_err(wrong)?;
    let policy = runtime.load(wanted, Arc::<ClusterHost>::clone(host)).await?;
    Ok((spec.stage, Version { matcher, policy }))
}

/// The bytes of the component that a spec names.
async fn component(client: &Client, spec: &Value) -> Result<Bytes, KitError> {
    let source = |kind: &str| object::str_at(spec, &["source", kind]);
    if let Some(digest) = source("digest") {
        let path = MODULES.path("", &digest.replace(':', "-"), "content");
        let failed =
            |error: ClientError| KitError::Cluster { what: "the module that serves cannot be read".into(), error };
        return client.get_raw(&path, "application/wasm").await.map_err(failed);
    }
    if let Some(name) = source("embedded") {
        let found = portcullis_first_party::find(name);
        let missing = || KitError::Project(format!("this program has no embedded component {name:?}"));
        return found.map(|component| Bytes::from_static(component.bytes)).ok_or_else(missing);
    }
    let path = source("file").unwrap_or_default();
    std::fs::read(path).map(Bytes::from).map_err(KitError::file(std::path::Path::new(path)))
}

/// Resource, namespace and name.
type Key = (String, String, String);

/// The cluster as policies read it, with the rights of whoever replays. What was read once is not read again.
struct ClusterHost {
    client: Client,
    resources: HashMap<String, Resource>,
    read: Mutex<HashMap<Key, Option<Arc<Value>>>>,
    keys: KeySets,
    handle: Handle,
}

impl ClusterHost {
    async fn new(client: &Client) -> Result<Self, KitError> {
        let all = served::all(client).await?;
        let resources = all.into_iter().map(|served| (served.resource.to_string(), served.resource)).collect();
        let (client, handle) = (client.clone(), Handle::current());
        Ok(Self { client, resources, read: Mutex::default(), keys: KeySets::default(), handle })
    }
}

impl PolicyHost for ClusterHost {
    fn cluster_get(
        &self,
        _: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, ReadError> {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(known) = self.read.lock().get(&key) {
            return Ok(known.clone());
        }
        let known = self.resources.get(resource);
        let known = known.ok_or_else(|| ReadError::UnknownResource(format!("there is no resource {resource:?}")))?;
        let get = self.client.get(known, namespace, name);
        let found = match tokio::task::block_in_place(|| self.handle.block_on(get)) {
            Ok(found) => Some(Arc::new(found)),
            Err(error) if error.is_not_found() => None,
            Err(ClientError::Api(status)) if status.code == 403 => return Err(ReadError::Forbidden(status.message)),
            Err(error) => return Err(ReadError::Unavailable(error.to_string())),
        };
        self.read.lock().insert(key, found.clone());
        Ok(found)
    }

    fn verify(
        &self,
        key_set: &str,
        key_id: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        self.keys.verify(key_set, key_id, algorithm, message, signature)
    }

    fn log(&self, line: &portcullis_policy::LogLine<'_>) {
        eprintln!("{}: {}", line.identity, line.message);
    }
}

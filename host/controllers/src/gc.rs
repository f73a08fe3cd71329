//! Garbage collection: objects whose owners are gone go, too (API reference, "Garbage Collection").
//!
//! The graph is the informers' own: one metadata-only copy of each resource that can be listed, watched and deleted,
//! with an index by owner. Resources that come later are found by asking discovery again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use portcullis_client::{
    Client, ClientError, DeleteParams, Informer, InformerEvent, Object, ObjectExt, PatchType, Propagation, Resource,
    WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::common::Context;
use crate::namespace::discover;

#[cfg(test)]
mod tests;
mod verdict;

use verdict::{Owner, Verdict, judge, unblocked};

/// How often discovery is asked for new resources.
const DISCOVERY: Duration = Duration::from_secs(30);
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// An object: its resource, namespace and name.
type Key = (Resource, String, String);
type Monitors = BTreeMap<Resource, (Informer, CancellationToken)>;

struct Collector {
    client: Client,
    monitors: RwLock<Monitors>,
    queue: WorkQueue<Key>,
}

/// Runs the collector until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("generic-garbage-collector");
    let collector = Arc::new(Collector { client, monitors: RwLock::default(), queue: WorkQueue::new() });
    let this = collector.clone();
    let refresh = async {
        let mut pause = Duration::from_secs(1);
        loop {
            match this.refresh(&context.shutdown).await {
                Ok(()) => pause = DISCOVERY,
                Err(error) => tracing::debug!(%error, "discovery failed"),
            }
            tokio::time::sleep(pause).await;
        }
    };
    let this = collector.clone();
    let work = run_workers("garbage-collector", collector.queue.clone(), 8, context.shutdown.clone(), move |key| {
        let this = this.clone();
        async move { this.process(&key).await }
    });
    tokio::select! {
        () = work => {}
        () = refresh => {}
    }
}

impl Collector {
    async fn refresh(self: &Arc<Self>, shutdown: &CancellationToken) -> Result<(), ClientError> {
        let (found, failed) = discover(&self.client).await?;
        let wanted: Vec<Resource> = found
            .into_iter()
            .filter(|(resource, verbs)| {
                let can = |verb: &str| verbs.iter().any(|known| known == verb);
                // Events have no dependents and come by the thousand; the reference leaves them out as well.
                can("list") && can("watch") && can("delete") && resource.plural != "events"
            })
            .map(|(resource, _)| resource)
            .collect();
        let new: Vec<Resource> = {
            let mut monitors = self.monitors.write();
            // A group that did not answer may still be there: nothing is dropped then.
            if failed.is_empty() {
                monitors.retain(|resource, (_, stop)| {
                    let stays = wanted.contains(resource);
                    if !stays {
                        stop.cancel();
                    }
                    stays
                });
            }
            wanted.into_iter().filter(|resource| !monitors.contains_key(resource)).collect()
        };
        for resource in new {
            let stop = shutdown.child_token();
            let informer = Informer::builder(&self.client, &resource)
                .metadata_only()
                .index_by_owner()
                .transform(|object| {
                    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                        metadata.retain(|field, _| {
                            let read = ["name", "namespace", "uid", "resourceVersion", "ownerReferences", "finalizers"];
                            read.contains(&field.as_str()) || field == "deletionTimestamp"
                        });
                    }
                })
                .start(stop.clone());
            self.monitors.write().insert(resource.clone(), (informer.clone(), stop));
            let this = self.clone();
            informer.on_event(move |event| this.see(&resource, event));
        }
        Ok(())
    }

    fn see(&self, resource: &Resource, event: &InformerEvent) {
        let object = event.object();
        let key = |object: &Value| (resource.clone(), object.namespace().to_owned(), object.name().to_owned());
        match event {
            InformerEvent::Deleted(_) => {
                for dependent in self.dependents(object.uid()) {
                    self.queue.add(dependent.0);
                }
                // An owner that is deleted in the foreground may have waited for this one.
                self.wake(object.owner_references().iter(), object.namespace());
            }
            InformerEvent::Added(_) | InformerEvent::Updated { .. } => {
                if let InformerEvent::Updated { old, new } = event {
                    self.wake(unblocked(old, new), object.namespace());
                }
                if !object.owner_references().is_empty() || object.is_deleting() {
                    self.queue.add(key(object));
                }
                let has = |object: &Value| object.is_deleting() && has_finalizer(object, FOREGROUND);
                if has(object) {
                    for dependent in self.dependents(object.uid()) {
                        self.queue.add(dependent.0);
                    }
                }
            }
        }
    }

    /// Has owners looked at again.
    fn wake<'a>(&self, owners: impl Iterator<Item = &'a Value>, namespace: &str) {
        for owner in owners {
            if let Some((resource, _)) = self.monitor_of(owner) {
                let namespace = if resource.namespaced { namespace } else { "" };
                self.queue.add((resource, namespace.to_owned(), owner.str_at(&["name"]).to_owned()));
            }
        }
    }

    fn monitor_of(&self, owner: &Value) -> Option<(Resource, Informer)> {
        let api_version = owner.str_at(&["apiVersion"]);
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let monitors = self.monitors.read();
        let found = monitors.iter().find(|(r, _)| r.group == group && r.kind == owner.str_at(&["kind"]));
        found.map(|(resource, (informer, _))| (resource.clone(), informer.clone()))
    }

    fn dependents(&self, uid: &str) -> Vec<(Key, Object)> {
        let monitors = self.monitors.read();
        let of = |(resource, (informer, _)): (&Resource, &(Informer, CancellationToken))| {
            let resource = resource.clone();
            let found = informer.by_index("owner", uid);
            found.into_iter().map(move |object| {
                ((resource.clone(), object.namespace().to_owned(), object.name().to_owned()), object)
            })
        };
        monitors.iter().flat_map(of).collect()
    }

    async fn process(&self, key: &Key) -> Result<(), ClientError> {
        let (resource, namespace, name) = key;
        let informer = self.monitors.read().get(resource).map(|(informer, _)| informer.clone());
        let Some(object) = informer.and_then(|informer| informer.get(namespace, name)) else { return Ok(()) };
        if object.is_deleting() {
            if has_finalizer(&object, ORPHAN) {
                return self.orphan(key, &object).await;
            }
            if has_finalizer(&object, FOREGROUND) {
                return self.finish_foreground(key, &object).await;
            }
            return Ok(());
        }
        let mut owners = Vec::new();
        for owner in object.owner_references() {
            owners.push((owner.str_at(&["uid"]).to_owned(), self.state_of(owner, namespace).await?));
        }
        let dependents = self.dependents(object.uid());
        match judge(&object, &owners, !dependents.is_empty()) {
            Verdict::Keep => Ok(()),
            Verdict::DropOwners(uids) => self.drop_owners(key, &object, &uids).await,
            Verdict::Delete(propagation) => {
                let waits = |dependent: &Object| dependent.is_deleting() && has_finalizer(dependent, FOREGROUND);
                let mut version = object.resource_version().to_owned();
                // Objects that wait for each other in a circle would wait for ever: here the circle is opened.
                if propagation == Propagation::Foreground && dependents.iter().any(|(_, found)| waits(found)) {
                    match self.unblock_owners(key, &object).await? {
                        Some(changed) => version = changed.resource_version().to_owned(),
                        None => return Ok(()),
                    }
                }
                // The version makes sure that no owner was added since.
                let params = DeleteParams {
                    propagation: Some(propagation),
                    resource_version: Some(version),
                    ..DeleteParams::uid(object.uid())
                };
                match self.client.delete(resource, namespace, name, &params).await {
                    Err(error) if error.is_not_found() => Ok(()),
                    other => other.map(drop),
                }
            }
        }
    }

    /// Has no owner wait for the object any more; the object as it is then, if it is there.
    async fn unblock_owners(&self, key: &Key, object: &Value) -> Result<Option<Value>, ClientError> {
        let (resource, namespace, name) = key;
        let mut owners = object.owner_references().to_vec();
        for owner in &mut owners {
            owner["blockOwnerDeletion"] = false.into();
        }
        let patch = json!({"metadata": {
            "uid": object.uid(), "resourceVersion": object.resource_version(), "ownerReferences": owners,
        }});
        match self.client.patch(resource, namespace, name, "", PatchType::Merge, &patch).await {
            Err(error) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// Asks the copy first, and the server before an owner is held to be gone: the copy may be behind.
    async fn state_of(&self, owner: &Value, namespace: &str) -> Result<Owner, ClientError> {
        let Some((resource, informer)) = self.monitor_of(owner) else {
            // A kind nobody serves: its objects may come back with it.
            return Ok(Owner::Present);
        };
        let namespace = if resource.namespaced { namespace } else { "" };
        if resource.namespaced && namespace.is_empty() {
            // A cluster-scoped object cannot be owned by a namespaced one; such a reference is never resolved.
            return Ok(Owner::Present);
        }
        let name = owner.str_at(&["name"]);
        let mut found = informer.get(namespace, name).filter(|found| found.uid() == owner.str_at(&["uid"]));
        if found.is_none() {
            found = match self.client.get_metadata(&resource, namespace, name).await {
                Ok(live) => Some(Arc::new(live)).filter(|live| live.uid() == owner.str_at(&["uid"])),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error),
            };
        }
        Ok(match found {
            None => Owner::Gone,
            Some(found) if found.is_deleting() && has_finalizer(&found, FOREGROUND) => Owner::WaitsForUs,
            Some(_) => Owner::Present,
        })
    }

    async fn drop_owners(&self, key: &Key, object: &Value, uids: &[String]) -> Result<(), ClientError> {
        let (resource, namespace, name) = key;
        let kept: Vec<&Value> = object
            .owner_references()
            .iter()
            .filter(|owner| !uids.iter().any(|uid| owner.str_at(&["uid"]) == uid))
            .collect();
        let patch = json!({"metadata": {
            "uid": object.uid(), "resourceVersion": object.resource_version(), "ownerReferences": kept,
        }});
        match self.client.patch(resource, namespace, name, "", PatchType::Merge, &patch).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn orphan(&self, key: &Key, object: &Value) -> Result<(), ClientError> {
        for (dependent, held) in self.dependents(object.uid()) {
            self.drop_owners(&dependent, &held, &[object.uid().to_owned()]).await?;
        }
        self.remove_finalizer(key, object, ORPHAN).await
    }

    async fn finish_foreground(&self, key: &Key, object: &Value) -> Result<(), ClientError> {
        let blocks = |dependent: &Object| {
            let mut owners = dependent.owner_references().iter();
            owners.any(|owner| owner.str_at(&["uid"]) == object.uid() && owner.bool_at(&["blockOwnerDeletion"]))
        };
        let dependents = self.dependents(object.uid());
        let blocked = dependents.iter().any(|(_, dependent)| blocks(dependent));
        for (dependent, _) in dependents {
            self.queue.add(dependent);
        }
        // The last dependent's end brings the owner back here.
        if blocked { Ok(()) } else { self.remove_finalizer(key, object, FOREGROUND).await }
    }

    async fn remove_finalizer(&self, key: &Key, object: &Value, finalizer: &str) -> Result<(), ClientError> {
        let (resource, namespace, name) = key;
        let kept: Vec<&Value> =
            object.list_at(&["metadata", "finalizers"]).iter().filter(|known| *known != finalizer).collect();
        let patch = json!({"metadata": {
            "uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": kept,
        }});
        match self.client.patch(resource, namespace, name, "", PatchType::Merge, &patch).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    object.list_at(&["metadata", "finalizers"]).iter().any(|finalizer| finalizer == name)
}

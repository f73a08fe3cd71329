//! Keeps the authorizers' indexes as fresh as the watch caches.

use std::sync::Arc;

use portcullis_machinery::definition::Registry;
use portcullis_storage::cache::{CachedObject, EventKind, ResourceCache, WatchItem, WatchRequest, WatchStart};
use tokio_util::sync::CancellationToken;

use super::Authorizer;
use super::node::NodeSource;
use super::rbac::RbacKind;

/// Which index takes a resource's objects.
#[derive(Clone, Copy, Debug)]
pub enum Feed {
    /// Roles and bindings.
    Rbac(RbacKind),
    /// The node authorizer's graph.
    Node(NodeSource),
}

impl Feed {
    /// All feeds, with the group, version and plural of the resource that they read.
    pub const ALL: [(Self, &'static str, &'static str, &'static str); 8] = [
        (Self::Rbac(RbacKind::Role), "rbac.authorization.k8s.io", "v1", "roles"),
        (Self::Rbac(RbacKind::ClusterRole), "rbac.authorization.k8s.io", "v1", "clusterroles"),
        (Self::Rbac(RbacKind::RoleBinding), "rbac.authorization.k8s.io", "v1", "rolebindings"),
        (Self::Rbac(RbacKind::ClusterRoleBinding), "rbac.authorization.k8s.io", "v1", "clusterrolebindings"),
        (Self::Node(NodeSource::Pods), "", "v1", "pods"),
        (Self::Node(NodeSource::Volumes), "", "v1", "persistentvolumes"),
        (Self::Node(NodeSource::Attachments), "storage.k8s.io", "v1", "volumeattachments"),
        (Self::Node(NodeSource::Slices), "resource.k8s.io", "v1", "resourceslices"),
    ];

    fn apply(self, authorizer: &Authorizer, object: &CachedObject, deleted: bool) {
        // A pod that is on no node gives no node a right.
        let idle =
            matches!(self, Self::Node(NodeSource::Pods)) && object.field("spec.nodeName").is_none_or(str::is_empty);
        let value = (!deleted && !idle).then(|| object.value());
        let value = value.as_deref();
        match self {
            Self::Rbac(kind) => authorizer.rbac.apply(kind, &object.namespace, &object.name, value),
            Self::Node(source) => authorizer.node.apply(source, &object.namespace, &object.name, value),
        }
    }
}

/// Starts one task for each feed and returns once all that is there already has been taken in. `cache` gives a
/// resource's cache by group, version and plural; resources that are not served are left out.
///
/// # Errors
/// If a cache cannot be read.
pub async fn start(
    authorizer: &Arc<Authorizer>,
    registry: &Registry,
    cache: impl Fn(&str, &str, &str) -> Option<Arc<ResourceCache>>,
    shutdown: &CancellationToken,
) -> Result<(), portcullis_storage::StoreError> {
    for (feed, group, version, plural) in Feed::ALL {
        if registry.resource(group, version, plural).is_none() {
            continue;
        }
        let Some(cache) = cache(group, version, plural) else { continue };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = cache.loaded() => {}
        }
        let (synced, first) = tokio::sync::oneshot::channel();
        let mut watcher = cache.watch(whole(&cache)).await?;
        let (authorizer, shutdown) = (authorizer.clone(), shutdown.clone());
        tokio::spawn(async move {
            let mut synced = Some(synced);
            // What is there, so that a restart after a lag finds what was deleted meanwhile.
            let mut known: std::collections::HashMap<Arc<str>, Arc<CachedObject>> = std::collections::HashMap::new();
            let mut stale: Option<Vec<Arc<CachedObject>>> = None;
            loop {
                let item = tokio::select! {
                    () = shutdown.cancelled() => return,
                    item = watcher.next() => item,
                };
                match item {
                    Some(WatchItem::Event(event)) => {
                        let deleted = event.kind == EventKind::Deleted;
                        feed.apply(&authorizer, &event.object, deleted);
                        if deleted {
                            known.remove(&event.object.key);
                        } else {
                            known.insert(event.object.key.clone(), event.object);
                        }
                    }
                    Some(WatchItem::Synced(_)) => {
                        for object in stale.take().unwrap_or_default() {
                            if !known.contains_key(&object.key) {
                                feed.apply(&authorizer, &object, true);
                            }
                        }
                        if let Some(synced) = synced.take() {
                            let _ = synced.send(());
                        }
                    }
                    Some(WatchItem::Lagged) | None => {
                        stale = Some(known.drain().map(|(_, object)| object).collect());
                        loop {
                            match cache.watch(whole(&cache)).await {
                                Ok(fresh) => {
                                    watcher = fresh;
                                    break;
                                }
                                Err(error) => {
                                    tracing::warn!(%error, plural, "cannot watch for authorization; trying again");
                                    tokio::select! {
                                        () = shutdown.cancelled() => return,
                                        () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
                                    }
                                }
                            }
                        }
                    }
                }
            }
        });
        let _ = first.await;
    }
    Ok(())
}

fn whole(cache: &ResourceCache) -> WatchRequest {
    WatchRequest {
        prefix: format!("{}/", cache.prefix().trim_end_matches('/')),
        start: WatchStart::Initial,
        filter: None,
        index: None,
    }
}

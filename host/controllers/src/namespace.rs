//! Namespaces on their way out: everything in them is deleted first, whatever resources there are.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_client::resource::{NAMESPACES, PODS};
use portcullis_client::{
    Client, ClientError, DeleteParams, ListParams, ObjectExt, Propagation, Resource, WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use serde_json::json;

use crate::common::{Context, set_condition};

/// How long to wait before looking again at content that is going.
const PATIENCE: Duration = Duration::from_secs(2);

/// The resources of the server by their preferred versions, with their verbs. A group that does not answer is left
/// out, and named in the second list.
pub(crate) async fn discover(client: &Client) -> Result<(Vec<(Resource, Vec<String>)>, Vec<String>), ClientError> {
    let mut versions = vec!["/api/v1".to_owned()];
    let groups = client.get_path("/apis").await?;
    for group in groups.list_at(&["groups"]) {
        versions.push(format!("/apis/{}", group.str_at(&["preferredVersion", "groupVersion"])));
    }
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for path in versions {
        match client.get_path(&path).await {
            Ok(list) => found.extend(resources_of(&list)),
            Err(error) => failed.push(format!("{path}: {error}")),
        }
    }
    Ok((found, failed))
}

fn resources_of(list: &Value) -> Vec<(Resource, Vec<String>)> {
    let group_version = list.str_at(&["groupVersion"]);
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let entries = list.list_at(&["resources"]).iter().filter(|entry| !entry.str_at(&["name"]).contains('/'));
    let read = |entry: &Value| {
        let resource = Resource::named(
            group,
            version,
            entry.str_at(&["name"]),
            entry.str_at(&["kind"]),
            entry.bool_at(&["namespaced"]),
        );
        let verbs = entry.list_at(&["verbs"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        (resource, verbs)
    };
    entries.map(read).collect()
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("namespace-controller");
    let queue: WorkQueue<String> = WorkQueue::new();
    context.namespaces.synced().await;
    let add = queue.clone();
    context.namespaces.on_event(move |event| {
        if event.object().is_deleting() {
            add.add(event.object().name().to_owned());
        }
    });
    let again = queue.clone();
    run_workers("namespace", queue, 4, context.shutdown, move |name| {
        let (client, again) = (client.clone(), again.clone());
        async move {
            if !finish(&client, &name).await? {
                again.add_after(name, PATIENCE);
            }
            Ok::<(), ClientError>(())
        }
    })
    .await;
}

/// One pass over a namespace; true if nothing is left to do.
async fn finish(client: &Client, name: &str) -> Result<bool, ClientError> {
    let namespace = match client.get(&NAMESPACES, "", name).await {
        Err(error) if error.is_not_found() => return Ok(true),
        other => other?,
    };
    let ours = namespace.list_at(&["spec", "finalizers"]).iter().any(|finalizer| finalizer == "kubernetes");
    if !namespace.is_deleting() || !ours {
        return Ok(true);
    }
    let (resources, undiscovered) = discover(client).await?;
    let mut left = Left::default();
    let content = resources.iter().filter(|(resource, verbs)| {
        let can = |verb: &str| verbs.iter().any(|known| known == verb);
        resource.namespaced && can("list") && (can("delete") || can("deletecollection"))
    });
    // Pods go first: what they use while they end, such as policies about the network, is there until they are gone.
    let (pods, others): (Vec<_>, Vec<_>) = content.partition(|(resource, _)| *resource == PODS);
    for (resource, verbs) in pods {
        left.delete(client, resource, verbs, name).await?;
    }
    if left.is_nothing() {
        for (resource, verbs) in others {
            left.delete(client, resource, verbs, name).await?;
        }
    }
    if !left.is_nothing() || !undiscovered.is_empty() {
        report(client, namespace, &left, &undiscovered).await?;
        return Ok(false);
    }
    let mut finalized = namespace;
    if let Some(list) = finalized.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
        list.retain(|finalizer| finalizer != "kubernetes");
    }
    match client.update_subresource(&NAMESPACES, "finalize", &finalized).await {
        Err(error) if error.is_not_found() => Ok(true),
        other => other.map(|_| true),
    }
}

/// What there still is in a namespace after a pass.
#[derive(Default)]
struct Left {
    /// How many objects of a resource.
    remaining: Vec<String>,
    /// How many of them have a finalizer.
    finalizers: BTreeMap<String, usize>,
    /// What went wrong.
    failures: Vec<String>,
}

impl Left {
    fn is_nothing(&self) -> bool {
        self.remaining.is_empty() && self.failures.is_empty()
    }

    /// Deletes the objects of a resource, and notes those that are not gone at once.
    async fn delete(
        &mut self,
        client: &Client,
        resource: &Resource,
        verbs: &[String],
        namespace: &str,
    ) -> Result<(), ClientError> {
        let params = ListParams { metadata_only: true, ..ListParams::default() };
        let before = client.list_all(resource, namespace, &params).await?;
        if before.items.is_empty() {
            return Ok(());
        }
        let delete = DeleteParams { propagation: Some(Propagation::Background), ..DeleteParams::default() };
        if verbs.iter().any(|verb| verb == "deletecollection") {
            if let Err(error) = client.delete_collection(resource, namespace, &ListParams::default(), &delete).await {
                self.failures.push(format!("{resource}: {error}"));
            }
        } else {
            for item in &before.items {
                match client.delete(resource, namespace, item.name(), &delete).await {
                    Err(error) if !error.is_not_found() => self.failures.push(format!("{resource}: {error}")),
                    _ => {}
                }
            }
        }
        let after = client.list_all(resource, namespace, &params).await?.items;
        if !after.is_empty() {
            let (plural, group, count) = (&resource.plural, &resource.group, after.len());
            self.remaining.push(format!("{plural}.{group} has {count} resource instances"));
        }
        for finalizer in after.iter().flat_map(|item| item.list_at(&["metadata", "finalizers"])) {
            *self.finalizers.entry(finalizer.as_str().unwrap_or("").to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

/// Writes the conditions that tell what a namespace still waits for.
async fn report(
    client: &Client,
    mut namespace: Value,
    left: &Left,
    undiscovered: &[String],
) -> Result<(), ClientError> {
    let held: Vec<String> =
        left.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    let mut conditions = namespace.list_at(&["status", "conditions"]).to_vec();
    let now = portcullis_client::time::now();
    let mut changed = false;
    for (kind, problems, reasons, good, intro) in [
        (
            "NamespaceDeletionDiscoveryFailure",
            undiscovered,
            ("DiscoveryFailed", "ResourcesDiscovered"),
            "All resources successfully discovered",
            format!("Discovery failed for some groups, {} failing: ", undiscovered.len()),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            Default::default(),
            ("GroupVersionParsingFailed", "ParsedGroupVersions"),
            "All legacy kube types successfully parsed",
            String::new(),
        ),
        (
            "NamespaceDeletionContentFailure",
            left.failures.as_slice(),
            ("ContentDeletionFailed", "ContentDeleted"),
            "All content successfully deleted, may be waiting on finalization",
            format!("Failed to delete all resource types, {} remaining: ", left.failures.len()),
        ),
        (
            "NamespaceContentRemaining",
            left.remaining.as_slice(),
            ("SomeResourcesRemain", "ContentRemoved"),
            "All content successfully removed",
            "Some resources are remaining: ".to_owned(),
        ),
        (
            "NamespaceFinalizersRemaining",
            held.as_slice(),
            ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
            "All content-preserving finalizers finished",
            "Some content in the namespace has finalizers remaining: ".to_owned(),
        ),
    ] {
        let (status, reason, message) = if problems.is_empty() {
            ("False", reasons.1, good.to_owned())
        } else {
            ("True", reasons.0, format!("{intro}{}", problems.join(", ")))
        };
        let wanted = json!({"type": kind, "status": status, "reason": reason, "message": message});
        changed |= set_condition(&mut conditions, wanted, &now);
    }
    if !changed {
        return Ok(());
    }
    namespace["status"]["conditions"] = conditions.into();
    match client.update_status(&NAMESPACES, &namespace).await {
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_names_resources_and_not_subresources() {
        let list = json!({"groupVersion": "apps/v1", "resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": true, "verbs": ["list", "delete"]},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": true, "verbs": ["get"]},
        ]});
        let found = resources_of(&list);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.path("a", "b", ""), "/apis/apps/v1/namespaces/a/deployments/b");
        assert_eq!(found[0].1, ["list", "delete"]);
        let core = json!({"groupVersion": "v1", "resources": [{"name": "nodes", "kind": "Node", "verbs": []}]});
        assert_eq!(resources_of(&core)[0].0.path("", "", ""), "/api/v1/nodes");
    }
}

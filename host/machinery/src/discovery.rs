//! The documents in which the server says what it serves.

mod remote;

pub use remote::{Remote, of_resource_list};

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};

use crate::Value;
use crate::definition::custom::version_priority;
use crate::definition::{Registry, ResourceDefinition, api_version, priority};

/// The content type of the aggregated form.
pub const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `GET /api`: an `APIVersions`. `server_address` is host and port.
pub fn api_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    })
}

/// A version in the list of all.
struct Version<'a> {
    name: &'a str,
    priority: i64,
    group_priority: i64,
    remote: Option<&'a Remote>,
}

/// What decides between groups of the same priority.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The names of their APIServices, `VERSION.GROUP`.
    Services,
    /// Their own names.
    Groups,
}

/// All groups but the core one in their order, each with its versions in theirs. What another server serves takes the
/// place of what is served here.
fn merged<'a>(registry: &'a Registry, remotes: &'a [Remote], order: Order) -> Vec<(&'a str, Vec<Version<'a>>)> {
    let mut groups: BTreeMap<&str, Vec<Version<'_>>> = BTreeMap::new();
    for remote in remotes.iter().filter(|remote| !remote.group.is_empty()) {
        groups.entry(&remote.group).or_default().push(Version {
            name: &remote.version,
            priority: remote.version_priority,
            group_priority: remote.group_priority,
            remote: Some(remote),
        });
    }
    for group in registry.groups().iter().filter(|group| !group.name.is_empty()) {
        let versions = groups.entry(&group.name).or_default();
        for name in &group.versions {
            if versions.iter().all(|version| version.name != name) {
                let (group_priority, priority) = priority(&group.name, name);
                versions.push(Version { name, priority, group_priority, remote: None });
            }
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_cached_key(|(group, versions)| {
        let of = |version: &Version<'_>| match order {
            Order::Services => (Reverse(version.group_priority), format!("{}.{group}", version.name)),
            Order::Groups => (Reverse(version.group_priority), (*group).to_owned()),
        };
        versions.iter().map(of).min()
    });
    for (_, versions) in &mut groups {
        versions.sort_by_cached_key(|version| Reverse((version.priority, version_priority(version.name))));
    }
    groups
}

fn group_document(group: &str, versions: &[Version<'_>]) -> Value {
    let version =
        |version: &Version<'_>| json!({"groupVersion": api_version(group, version.name), "version": version.name});
    json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

/// `GET /apis`: an `APIGroupList`.
pub fn api_group_list(registry: &Registry, remotes: &[Remote]) -> Value {
    let groups = merged(registry, remotes, Order::Services);
    let documents: Vec<Value> = groups.iter().map(|(group, versions)| group_document(group, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": documents})
}

/// `GET /apis/<group>`: an `APIGroup`, if the group is served.
pub fn api_group(registry: &Registry, remotes: &[Remote], group: &str) -> Option<Value> {
    let groups = merged(registry, remotes, Order::Services);
    let (_, versions) = groups.iter().find(|(name, _)| *name == group)?;
    let mut document = group_document(group, versions);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    Some(document)
}

/// The hash that stands for how a resource is stored: clients compare it between servers, and nothing else.
fn storage_version_hash(definition: &ResourceDefinition) -> String {
    use base64::Engine as _;
    let storage = &definition.storage;
    let hash = Sha256::digest(format!("{}/{}/{}", storage.group, storage.advertised, definition.kind));
    base64::engine::general_purpose::STANDARD.encode(&hash[..8])
}

fn resource_entries(definition: &ResourceDefinition) -> Vec<Value> {
    let mut resource = json!({
        "name": definition.plural,
        "singularName": definition.singular,
        "namespaced": definition.namespaced,
        "kind": definition.kind,
        "verbs": definition.verbs,
    });
    if !definition.short_names.is_empty() {
        resource["shortNames"] = json!(definition.short_names);
    }
    if !definition.categories.is_empty() {
        resource["categories"] = json!(definition.categories);
    }
    if definition.is_stored() {
        resource["storageVersionHash"] = json!(storage_version_hash(definition));
    }
    let mut entries = vec![resource];
    for subresource in &definition.subresources {
        let mut entry = json!({
            "name": format!("{}/{}", definition.plural, subresource.name),
            "singularName": "",
            "namespaced": definition.namespaced,
            "kind": subresource.kind,
            "verbs": subresource.verbs,
        });
        if (&subresource.group, &subresource.version) != (&definition.group, &definition.version) {
            entry["group"] = json!(subresource.group);
            entry["version"] = json!(subresource.version);
        }
        entries.push(entry);
    }
    entries
}

/// `GET /api/v1` and `GET /apis/<group>/<version>`: an `APIResourceList`, if the version is served.
pub fn api_resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<Value> = registry.in_version(group, version).flat_map(|d| resource_entries(d)).collect();
    if resources.is_empty() {
        return None;
    }
    let mut document = json!({
        "kind": "APIResourceList",
        "groupVersion": api_version(group, version),
        "resources": resources,
    });
    if !group.is_empty() {
        document["apiVersion"] = json!("v1");
    }
    Some(document)
}

fn aggregated_resource(definition: &ResourceDefinition) -> Value {
    // The group and version are those of the list that this is in, unless they are said.
    let response_kind = |group: &str, version: &str, kind: &str| {
        let own = (group, version) == (definition.group.as_str(), definition.version.as_str());
        let (group, version) = if own { ("", "") } else { (group, version) };
        json!({"group": group, "version": version, "kind": kind})
    };
    let scope = if definition.namespaced { "Namespaced" } else { "Cluster" };
    let mut resource = json!({
        "resource": definition.plural,
        "responseKind": response_kind(&definition.group, &definition.version, &definition.kind),
        "scope": scope,
        "singularResource": definition.singular,
        "verbs": definition.verbs,
    });
    if !definition.short_names.is_empty() {
        resource["shortNames"] = json!(definition.short_names);
    }
    if !definition.categories.is_empty() {
        resource["categories"] = json!(definition.categories);
    }
    if !definition.subresources.is_empty() {
        let subresource = |s: &crate::definition::SubresourceDefinition| json!({"subresource": s.name, "responseKind": response_kind(&s.group, &s.version, &s.kind), "verbs": s.verbs});
        resource["subresources"] = definition.subresources.iter().map(subresource).collect();
    }
    resource
}

/// What this server says of a version, as an `APIVersionDiscovery`.
fn version_document(registry: &Registry, group: &str, version: &str) -> Value {
    let resources: Vec<Value> = registry.in_version(group, version).map(|d| aggregated_resource(d)).collect();
    json!({"version": version, "freshness": "Current", "resources": resources})
}

/// The aggregated form of `GET /api` (`core` true) and `GET /apis`: an `APIGroupDiscoveryList`.
pub fn aggregated_v2(registry: &Registry, remotes: &[Remote], core: bool) -> Value {
    let items: Vec<Value> = if core {
        let versions = registry.group("").into_iter().flat_map(|group| &group.versions);
        let versions: Vec<Value> = versions.map(|version| version_document(registry, "", version)).collect();
        vec![json!({"metadata": {}, "versions": versions})]
    } else {
        let groups = merged(registry, remotes, Order::Groups);
        let documents = groups.into_iter().map(|(group, versions)| {
            let document = |version: Version<'_>| match version.remote {
                Some(remote) => remote.entry.clone(),
                None => version_document(registry, group, version.name),
            };
            json!({"metadata": {"name": group}, "versions": versions.into_iter().map(document).collect::<Vec<_>>()})
        });
        documents.collect()
    };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// The value of an `ETag` for a document: a quoted hash of its text, in upper-case hex.
pub fn etag(document: &Value) -> String {
    let hash = Sha512::digest(document.to_string());
    let hex: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("\"{hex}\"")
}

#[cfg(test)]
mod tests;

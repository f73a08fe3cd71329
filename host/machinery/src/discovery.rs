//! The documents in which the server says what it serves.

use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};

use crate::Value;
use crate::definition::{Group, Registry, ResourceDefinition, api_version};

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

fn group_document(group: &Group) -> Value {
    let version = |version: &String| json!({"groupVersion": api_version(&group.name, version), "version": version});
    json!({
        "name": group.name,
        "versions": group.versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": group.versions.first().map(version),
    })
}

/// `GET /apis`: an `APIGroupList`.
pub fn api_group_list(registry: &Registry) -> Value {
    let groups = registry.groups().iter().filter(|group| !group.name.is_empty());
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.map(group_document).collect::<Vec<_>>()})
}

/// `GET /apis/<group>`: an `APIGroup`, if the group is served.
pub fn api_group(registry: &Registry, group: &str) -> Option<Value> {
    let mut document = group_document(registry.group(group).filter(|group| !group.name.is_empty())?);
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

/// The aggregated form of `GET /api` (`core` true) and `GET /apis`: an `APIGroupDiscoveryList`.
pub fn aggregated_v2(registry: &Registry, core: bool) -> Value {
    let groups = registry.groups().iter().filter(|group| group.name.is_empty() == core).map(|group| {
        let versions = group.versions.iter().map(|version| {
            let resources: Vec<Value> =
                registry.in_version(&group.name, version).map(|d| aggregated_resource(d)).collect();
            json!({"version": version, "freshness": "Current", "resources": resources})
        });
        let metadata = if core { json!({}) } else { json!({"name": group.name}) };
        json!({"metadata": metadata, "versions": versions.collect::<Vec<_>>()})
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": groups.collect::<Vec<_>>(),
    })
}

/// The value of an `ETag` for a document: a quoted hash of its text, in upper-case hex.
pub fn etag(document: &Value) -> String {
    let hash = Sha512::digest(document.to_string());
    let hex: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("\"{hex}\"")
}

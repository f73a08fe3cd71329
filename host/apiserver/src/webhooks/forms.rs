//! The versions of a resource that are the same objects, and an object in another of them.

use std::sync::Arc;

use portcullis_machinery::definition::{Registry, ResourceDefinition};
use portcullis_machinery::{Status, Value, convert};

use crate::admission::GroupVersionName;
use crate::customresources::conversion;
use crate::server::ApiServer;

/// The other versions in which a resource's objects are served, in the order in which they are served. The group may be
/// another one: events are in two.
pub(super) fn equivalents(registry: &Registry, definition: &ResourceDefinition) -> Vec<Arc<ResourceDefinition>> {
    let same = |other: &&Arc<ResourceDefinition>| {
        !definition.storage.prefix.is_empty()
            && other.storage.prefix == definition.storage.prefix
            && (other.version != definition.version || other.group != definition.group)
    };
    if definition.builtin {
        return registry.all().iter().filter(|other| other.builtin).filter(same).cloned().collect();
    }
    let Some(group) = registry.group(&definition.group) else { return Vec::new() };
    let of_version = |version: &String| registry.resource(&group.name, version, &definition.plural);
    group.versions.iter().filter_map(of_version).filter(same).cloned().collect()
}

/// The kind of what a request to a resource, or to its subresource, carries.
pub(super) fn kind_of(definition: &ResourceDefinition, subresource: &str) -> GroupVersionName {
    let own = || GroupVersionName {
        group: definition.group.clone(),
        version: definition.version.clone(),
        name: definition.kind.clone(),
    };
    match definition.subresource(subresource) {
        Some(sub) if !subresource.is_empty() => {
            GroupVersionName { group: sub.group.clone(), version: sub.version.clone(), name: sub.kind.clone() }
        }
        _ => own(),
    }
}

/// An object of one version in another. What a subresource carries in a kind of its own (a scale, an eviction) has the
/// same version everywhere.
///
/// # Errors
/// 500 if it cannot be converted.
pub(super) async fn converted(
    server: &Arc<ApiServer>,
    value: &Value,
    from: &ResourceDefinition,
    to: &ResourceDefinition,
) -> Result<Value, Status> {
    if value.is_null() || value.get("kind").and_then(Value::as_str) != Some(from.kind.as_str()) {
        return Ok(value.clone());
    }
    if from.custom.is_some() {
        return conversion::one(server, from, value.clone(), &to.api_version()).await;
    }
    let is_stored = |definition: &ResourceDefinition| {
        definition.storage.version == definition.version && definition.storage.group == definition.group
    };
    let mut value = value.clone();
    if !is_stored(from) {
        value = convert::to_storage(from, value);
    }
    if !is_stored(to) {
        value = convert::from_storage(to, value);
    }
    Ok(value)
}

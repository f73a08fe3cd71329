//! What other servers serve.

use serde_json::json;

use crate::{Value, object};

/// A version of a group that another server serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The group's priority among the groups.
    pub group_priority: i64,
    /// The version's priority in its group.
    pub version_priority: i64,
    /// What that server says of it: an `APIVersionDiscovery`.
    pub entry: Value,
}

/// The `APIVersionDiscovery` of a version, of the `APIResourceList` that servers without the aggregated form have.
pub fn of_resource_list(list: &Value, version: &str) -> Value {
    let text = |resource: &Value, field: &str| object::str_at(resource, &[field]).unwrap_or_default().to_owned();
    let kind = |resource: &Value| json!({"group": text(resource, "group"), "version": text(resource, "version"), "kind": text(resource, "kind")});
    let scope = |resource: &Value| match resource.get("namespaced") {
        Some(Value::Bool(true)) => "Namespaced",
        _ => "Cluster",
    };
    let mut resources: Vec<Value> = Vec::new();
    // A subresource may stand before its resource, or without one.
    let (own, subresources): (Vec<&Value>, Vec<&Value>) =
        object::list_at(list, &["resources"]).iter().partition(|resource| !text(resource, "name").contains('/'));
    for resource in own {
        let mut entry = json!({
            "resource": text(resource, "name"), "responseKind": kind(resource), "scope": scope(resource),
            "singularResource": text(resource, "singularName"),
        });
        for field in ["verbs", "shortNames", "categories"] {
            if let Some(given @ Value::Array(_)) = resource.get(field) {
                entry[field] = given.clone();
            }
        }
        resources.push(entry);
    }
    for subresource in subresources {
        let name = text(subresource, "name");
        let Some((parent, name)) = name.split_once('/') else { continue };
        let at = resources.iter().position(|resource| resource["resource"] == parent).unwrap_or_else(|| {
            let nothing = json!({"group": "", "version": "", "kind": ""});
            resources.push(json!({
                "resource": parent, "responseKind": nothing, "scope": scope(subresource), "singularResource": "",
            }));
            resources.len() - 1
        });
        let entry = json!({
            "subresource": name, "responseKind": kind(subresource), "verbs": object::list_at(subresource, &["verbs"]),
        });
        match resources[at]["subresources"].as_array_mut() {
            Some(known) => known.push(entry),
            None => resources[at]["subresources"] = json!([entry]),
        }
    }
    json!({"version": version, "resources": resources})
}

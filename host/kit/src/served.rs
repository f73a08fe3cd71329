//! What resources a cluster serves, as its discovery documents say.

use portcullis_client::resource::Resource;
use portcullis_client::{Client, ClientError};
use portcullis_machinery::Value;

use crate::KitError;

/// A resource and what can be done with it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The resource.
    pub resource: Resource,
    /// The verbs that it has.
    pub verbs: Vec<String>,
}

fn failed(error: ClientError) -> KitError {
    KitError::Cluster { what: "what the cluster serves cannot be read".into(), error }
}

/// The resources of one group and version, without subresources.
///
/// # Errors
/// What the cluster says.
pub async fn of_version(client: &Client, group: &str, version: &str) -> Result<Vec<Served>, KitError> {
    let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let list = client.get_path(&path).await.map_err(failed)?;
    let items = list["resources"].as_array().cloned().unwrap_or_default();
    let served = |item: &Value| {
        let text = |member: &str| item[member].as_str().unwrap_or_default().to_owned();
        let verbs =
            item["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let namespaced = item["namespaced"].as_bool().unwrap_or_default();
        Served { resource: Resource::named(group, version, &text("name"), &text("kind"), namespaced), verbs }
    };
    Ok(items.iter().map(served).filter(|served| !served.resource.plural.contains('/')).collect())
}

/// All resources, each in its group's preferred version. A group whose server does not answer is left out.
///
/// # Errors
/// What the cluster says.
pub async fn all(client: &Client) -> Result<Vec<Served>, KitError> {
    let mut all = of_version(client, "", "v1").await?;
    let groups = client.get_path("/apis").await.map_err(failed)?;
    for group in groups["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        let version = group.pointer("/preferredVersion/version").and_then(Value::as_str).unwrap_or_default();
        match of_version(client, name, version).await {
            Ok(served) => all.extend(served),
            Err(error) => eprintln!("{name}/{version} is left out: {error}"),
        }
    }
    Ok(all)
}

/// The resource of a kind.
///
/// # Errors
/// What the cluster says, or that it serves no such kind.
pub async fn of_kind(client: &Client, group: &str, version: &str, kind: &str) -> Result<Resource, KitError> {
    let all = of_version(client, group, version).await?;
    let found = all.into_iter().find(|served| served.resource.kind == kind);
    found
        .map(|served| served.resource)
        .ok_or_else(|| KitError::Project(format!("the cluster serves no {kind} in {group}/{version}")))
}

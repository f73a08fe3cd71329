//! `plugin push` and `plugin apply`: a component and its Plugin, brought to a cluster.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use portcullis_client::resource::{MODULES, PLUGINS};
use portcullis_client::{Client, ClientError, PatchType};
use portcullis_machinery::{Value, object};
use portcullis_policy::{Content, Digest};

use crate::{KitError, Project};

/// How often the Plugin is looked at while it loads.
const EVERY: Duration = Duration::from_millis(100);

fn failed(what: &str) -> impl FnOnce(ClientError) -> KitError + '_ {
    move |error| KitError::Cluster { what: what.to_owned(), error }
}

/// Puts content into the cluster's module store.
///
/// # Errors
/// What the cluster says.
pub async fn push(client: &Client, bytes: Bytes) -> Result<Digest, KitError> {
    let digest = Digest::of(&bytes);
    let path = MODULES.path("", &digest.to_string().replace(':', "-"), "content");
    let pushed = client.call(Method::PUT, &path, "application/wasm", "application/json", bytes).await;
    pushed.map_err(failed("the module was not pushed"))?;
    Ok(digest)
}

/// What can be said of a component and its Plugin before anything is changed: that it is one, of the Plugin's stage, and
/// that the Plugin grants what it imports.
///
/// # Errors
/// As the server would say it.
pub fn check(project: &Project, bytes: &Bytes) -> Result<(), KitError> {
    let spec = project.runtime_spec(bytes, None)?;
    Ok(Content::of(bytes).check(spec.stage, &spec.grants)?)
}

/// Pushes a project's component, applies its Plugin, and waits until that version serves.
///
/// # Errors
/// What the cluster says, or what the conditions of the Plugin say if it does not serve within `wait`.
pub async fn apply(client: &Client, project: &Project, bytes: Bytes, wait: Duration) -> Result<Digest, KitError> {
    check(project, &bytes)?;
    let digest = push(client, bytes).await?;
    let (name, plugin) = (project.name(), project.object(&digest));
    let applied = client.patch(&PLUGINS, "", name, "", PatchType::Apply, &plugin).await;
    let applied = applied.map_err(failed("the Plugin was not applied"))?;
    let generation = object::generation(&applied);
    let until = Instant::now() + wait;
    loop {
        let plugin = client.get(&PLUGINS, "", name).await.map_err(failed("the Plugin cannot be read"))?;
        match loaded(&plugin, generation) {
            Some(true) => return Ok(digest),
            Some(false) => return Err(KitError::NotServing(conditions(&plugin))),
            None if Instant::now() >= until => {
                let text = format!("the Plugin did not load within {wait:?}\n{}", conditions(&plugin));
                return Err(KitError::NotServing(text));
            }
            None => tokio::time::sleep(EVERY).await,
        }
    }
}

/// Whether this generation of a Plugin loaded; `None` while that is not known.
fn loaded(plugin: &Value, generation: i64) -> Option<bool> {
    let conditions = plugin.pointer("/status/conditions").and_then(Value::as_array)?;
    let condition = conditions.iter().find(|condition| condition["type"] == "Loaded")?;
    let observed = condition["observedGeneration"].as_i64()?;
    (observed >= generation).then(|| condition["status"] == "True")
}

/// The conditions of a Plugin, a line each.
fn conditions(plugin: &Value) -> String {
    let list = plugin.pointer("/status/conditions").and_then(Value::as_array);
    let line = |condition: &Value| {
        let text = |member: &str| condition[member].as_str().unwrap_or_default().to_owned();
        format!("  {} {}: {}: {}", text("type"), text("status"), text("reason"), text("message"))
    };
    let lines: Vec<String> = list.into_iter().flatten().map(line).collect();
    format!("the Plugin {:?} does not serve this version:\n{}", object::name(plugin), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_present_generation_counts() {
        let check = |status: Value, expected: Option<bool>| {
            assert_eq!(loaded(&json!({"status": status}), 2), expected, "{status}");
        };
        let condition = |status: &str, generation: i64| json!({"conditions": [{"type": "Loaded", "status": status, "observedGeneration": generation}]});
        check(json!(null), None);
        check(condition("True", 1), None);
        check(condition("True", 2), Some(true));
        check(condition("False", 3), Some(false));
    }
}

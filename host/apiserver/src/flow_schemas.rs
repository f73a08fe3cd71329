//! What flow control is told of the stored schemas and levels, and what it says of them: whether the priority level that a
//! FlowSchema names is there, its condition `Dangling`.
//!
//! The condition is applied under a manager of its own, so that others may own further conditions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::cache::{ResourceCache, Snapshot, WatchItem, WatchRequest, WatchStart, Watcher};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::customresources::internal;
use crate::handlers::options::WriteOptions;
use crate::handlers::patch::{Patch, PatchKind};
use crate::handlers::scope::cache_of;
use crate::handlers::update;
use crate::server::ApiServer;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const MANAGER: &str = "api-priority-and-fairness-config-consumer-v1";
const DANGLING: &str = "Dangling";
/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the conditions in line with the stored levels until the server ends.
pub async fn run(server: Arc<ApiServer>, shutdown: CancellationToken) {
    let registry = server.registry.load_full();
    let resource = |plural: &str| registry.resource(GROUP, "v1", plural).cloned();
    let (Some(schemas), Some(levels)) = (resource("flowschemas"), resource("prioritylevelconfigurations")) else {
        return;
    };
    let (schema_cache, level_cache) = (cache_of(&server, &schemas), cache_of(&server, &levels));
    let mut watchers: Option<(Watcher, Watcher)> = None;
    loop {
        let settled = settle(&server, &schemas, &schema_cache, &levels, &level_cache).await;
        if watchers.is_none()
            && let (Ok(of_schemas), Ok(of_levels)) = (watch(&schema_cache).await, watch(&level_cache).await)
        {
            watchers = Some((of_schemas, of_levels));
        }
        let failed = settled.is_err() || watchers.is_none();
        let item = async {
            match &mut watchers {
                Some((of_schemas, of_levels)) => tokio::select! {
                    item = of_schemas.next() => item,
                    item = of_levels.next() => item,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETRY), if failed => {}
            item = item => match item {
                Some(WatchItem::Event(_) | WatchItem::Synced(_)) => {}
                Some(WatchItem::Lagged) | None => watchers = None,
            },
        }
    }
}

async fn watch(cache: &ResourceCache) -> Result<Watcher, portcullis_storage::StoreError> {
    let prefix = cache.prefix().to_owned();
    cache.watch(WatchRequest { prefix, start: WatchStart::Initial, filter: None, index: None }).await
}

/// Writes every condition that is not as it should be.
async fn settle(
    server: &Arc<ApiServer>,
    schemas: &Arc<ResourceDefinition>,
    schema_cache: &ResourceCache,
    levels: &ResourceDefinition,
    level_cache: &ResourceCache,
) -> Result<(), Status> {
    let mut result = Ok(());
    let (known, stored) = (level_cache.peek(), schema_cache.peek());
    let values =
        |snapshot: &Snapshot| snapshot.objects.values().map(|cached| (*cached.value()).clone()).collect::<Vec<_>>();
    server.flow.configure(&values(&stored), &values(&known));
    for cached in stored.objects.values() {
        let schema = cached.value();
        let level = object::str_at(&schema, &["spec", "priorityLevelConfiguration", "name"]).unwrap_or_default();
        let exists = known.objects.contains_key(levels.key("", level).as_str());
        let Some(condition) = wanted(&schema, level, exists) else { continue };
        let body = json!({
            "kind": "FlowSchema", "apiVersion": schemas.api_version(), "metadata": {"name": object::name(&schema)},
            "status": {"conditions": [condition]},
        });
        let scope = internal::scope(server, schemas, "status", "", object::name(&schema), "patch");
        let options =
            WriteOptions { field_manager: MANAGER.to_owned(), force: true, applying: true, ..WriteOptions::default() };
        let patch = Patch { kind: PatchKind::Apply, body: Bytes::from(body.to_string()) };
        match update::apply(&scope, &update::Source::Patch(patch), &options).await {
            Ok(_) => {}
            // It is gone by now.
            Err(status) if status.is_not_found() => {}
            Err(status) => {
                tracing::debug!(schema = object::name(&schema), error = status.message, "a condition was not written");
                result = Err(status);
            }
        }
    }
    result
}

/// The condition that the schema should have; `None` if it has it.
fn wanted(schema: &Value, level: &str, exists: bool) -> Option<Value> {
    let mut conditions = object::list_at(schema, &["status", "conditions"]).iter();
    let had = conditions.find(|condition| object::str_at(condition, &["type"]) == Some(DANGLING));
    let about = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?}");
    let (status, reason, message) = if exists {
        ("False", "Found", format!("{about} and it exists"))
    } else {
        ("True", "NotFound", format!("{about} but there is no such object"))
    };
    let has = |field: &str, text: &str| had.is_some_and(|had| object::str_at(had, &[field]) == Some(text));
    if has("status", status) && has("reason", reason) && has("message", &message) {
        return None;
    }
    let since = had.filter(|_| has("status", status)).and_then(|had| object::str_at(had, &["lastTransitionTime"]));
    let since = since.map_or_else(object::now_rfc3339, str::to_owned);
    Some(json!({
        "type": DANGLING, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let schema = |conditions: Value| json!({"status": {"conditions": conditions}});
        let made = wanted(&schema(json!([])), "a", true).expect("a condition");
        assert_eq!(
            made["message"],
            "This FlowSchema references the PriorityLevelConfiguration object named \"a\" and it exists"
        );
        assert_eq!(wanted(&schema(json!([made])), "a", true), None);
        let gone = wanted(&schema(json!([made])), "a", false).expect("a condition");
        assert_eq!((gone["status"].as_str(), gone["reason"].as_str()), (Some("True"), Some("NotFound")));
        let other = wanted(
            &schema(json!([{
                "type": "Dangling", "status": "False", "lastTransitionTime": "2001-01-01T00:00:00Z",
            }])),
            "b",
            true,
        );
        assert_eq!(other.expect("a condition")["lastTransitionTime"], "2001-01-01T00:00:00Z");
    }
}

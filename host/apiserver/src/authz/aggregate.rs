//! Aggregated ClusterRoles: the rules of a role whose `aggregationRule` selects others (API reference, "Aggregated
//! ClusterRoles").

use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::{Value, codec, object};
use portcullis_storage::cache::{ResourceCache, WatchItem, WatchRequest, WatchStart};
use portcullis_storage::{Expect, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// Whether a label selector (`matchLabels` and `matchExpressions`) selects these labels.
fn selects(selector: &Value, role: &Value) -> bool {
    let label = |key: &str| object::label(role, key);
    let by_label = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .all(|(key, value)| label(key).is_some() && label(key) == value.as_str());
    by_label
        && object::list_at(selector, &["matchExpressions"]).iter().all(|expression| {
            let found = label(object::str_at(expression, &["key"]).unwrap_or_default());
            let listed =
                || object::list_at(expression, &["values"]).iter().filter_map(Value::as_str).any(|v| Some(v) == found);
            match object::str_at(expression, &["operator"]).unwrap_or_default() {
                "In" => found.is_some() && listed(),
                "NotIn" => !(found.is_some() && listed()),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// The rules that an aggregated role should have: those of all roles that a selector selects, selector by selector, the
/// roles in order of their names, each rule once. `None` if the role is not aggregated.
pub fn aggregated_rules<'a>(role: &Value, roles: impl Iterator<Item = &'a Value>) -> Option<Value> {
    role.pointer("/aggregationRule/clusterRoleSelectors")?;
    let selectors = object::list_at(role, &["aggregationRule", "clusterRoleSelectors"]);
    let mut roles: Vec<&Value> = roles.filter(|other| object::name(other) != object::name(role)).collect();
    roles.sort_by_key(|role| object::name(role).to_owned());
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        for other in roles.iter().filter(|other| selects(selector, other)) {
            for rule in object::list_at(other, &["rules"]) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    Some(Value::Array(rules))
}

/// Brings every aggregated role in line with what it selects; one pass over a snapshot.
async fn pass(store: &Arc<dyn Store>, cache: &ResourceCache) -> Result<(), StoreError> {
    let snapshot = cache.snapshot(None).await?;
    let values: Vec<_> = snapshot.objects.values().map(|cached| (cached, cached.value())).collect();
    for (cached, role) in &values {
        let Some(rules) = aggregated_rules(role, values.iter().map(|(_, role)| &**role)) else { continue };
        if object::list_at(role, &["rules"]) == object::list_at(&rules, &[]) {
            continue;
        }
        let mut new = (**role).clone();
        object::set_at(&mut new, &["rules"], rules);
        object::remove_at(&mut new, &["metadata", "resourceVersion"]);
        match store.put(&cached.key, codec::encode(&new), Expect::ModRevision(cached.revision), None).await {
            // Somebody else wrote the role: that event brings the next pass.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Keeps aggregated roles up to date until `shutdown`: after every change of a ClusterRole, all are looked at again. It
/// runs in the API server, since authorization there depends on it.
pub async fn run(store: Arc<dyn Store>, cache: Arc<ResourceCache>, shutdown: CancellationToken) {
    let request = || WatchRequest {
        prefix: format!("{}/", cache.prefix().trim_end_matches('/')),
        start: WatchStart::Now,
        filter: None,
        index: None,
    };
    let mut watcher = None;
    loop {
        if watcher.is_none() {
            watcher = cache.watch(request()).await.ok();
        }
        let mut wait = Duration::from_millis(500);
        match pass(&store, &cache).await {
            Ok(()) if watcher.is_some() => wait = Duration::from_secs(300),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "cannot aggregate cluster roles; trying again"),
        }
        let changed = async {
            match watcher.as_mut() {
                Some(watcher) => watcher.next().await,
                None => std::future::pending().await,
            }
        };
        let item = tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => continue,
            item = changed => item,
        };
        // What was written together is looked at together.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut latest = item;
        while let Some(WatchItem::Event(_) | WatchItem::Synced(_)) = latest {
            latest = watcher.as_mut().and_then(|watcher| watcher.try_next());
            if latest.is_none() {
                break;
            }
        }
        if matches!(latest, Some(WatchItem::Lagged)) {
            watcher = None;
        }
    }
}

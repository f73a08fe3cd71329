//! ResourceQuotas: what a namespace uses is counted anew, so that the server's admission, which only ever adds, gets back
//! what deletions and changes gave free.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_client::resource::PODS;
use portcullis_client::{
    Client, ClientError, Informer, InformerEvent, ListParams, ObjectExt, Resource, WorkQueue, run_workers,
};
use portcullis_machinery::quota::{self, Amounts};
use portcullis_machinery::{Value, object};

use crate::common::Context;
use crate::namespace::discover;

const QUOTAS: Resource = Resource::fixed("", "v1", "resourcequotas", "ResourceQuota", true);
/// How often a quota is counted without an occasion: most kinds that quotas can limit are not watched here.
const RECOUNT: Duration = Duration::from_secs(30);
/// How long a lower count has to stand before it is believed. What admission has charged may not be stored yet.
const SETTLE: Duration = Duration::from_millis(300);

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("resourcequota-controller");
    let queue: WorkQueue<String> = WorkQueue::new();
    let quotas = Informer::builder(&client, &QUOTAS).start(context.shutdown.clone());
    quotas.synced().await;
    context.pods.synced().await;
    let add = queue.clone();
    quotas.on_event(move |event| {
        // A charge changes no limit, and needs no count.
        let limits = |field: &str| quota::amounts(event.object().at(&[field, "hard"]));
        if limits("spec") != limits("status") {
            add.add(event.object().key());
        }
    });
    for informer in [&context.pods, &context.services] {
        let (add, quotas) = (queue.clone(), quotas.clone());
        informer.on_event(move |event| {
            // What is new was charged when it was made.
            if matches!(event, InformerEvent::Added(_)) {
                return;
            }
            for quota in quotas.list_namespace(event.object().namespace()) {
                add.add(quota.key());
            }
        });
    }
    let again = queue.clone();
    run_workers("resourcequota", queue, 2, context.shutdown, move |key| {
        let (client, again, quotas) = (client.clone(), again.clone(), quotas.clone());
        async move {
            if quotas.get_key(&key).is_none() {
                return Ok(());
            }
            let (namespace, name) = key.split_once('/').unwrap_or(("", &key));
            count(&client, namespace, name).await?;
            again.add_after(key, RECOUNT);
            Ok::<(), ClientError>(())
        }
    })
    .await;
}

/// Counts one quota and writes down what was found.
async fn count(client: &Client, namespace: &str, name: &str) -> Result<(), ClientError> {
    // Read before what it counts: a charge in between makes the write fail, and the count is done again.
    let quota = match client.get(&QUOTAS, namespace, name).await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let hard = quota::amounts(quota.at(&["spec", "hard"]));
    let written = |field: &str| quota::amounts(quota.at(&["status", field]));
    let before = written("used");
    let mut used = usage(client, namespace, &quota, &hard).await?;
    let lower = |used: &Amounts| before.iter().any(|(name, before)| used.get(name).is_some_and(|now| now < before));
    if lower(&used) {
        tokio::time::sleep(SETTLE).await;
        used = usage(client, namespace, &quota, &hard).await?;
    }
    if written("hard") == hard && before == used {
        return Ok(());
    }
    let mut counted = quota.clone();
    object::set_at(&mut counted, &["status", "hard"], quota::to_value(&hard));
    object::set_at(&mut counted, &["status", "used"], quota::to_value(&used));
    client.update_status(&QUOTAS, &counted).await.map(drop)
}

/// What the namespace uses of what the quota limits.
async fn usage(client: &Client, namespace: &str, quota: &Value, hard: &Amounts) -> Result<Amounts, ClientError> {
    let names: BTreeSet<&str> = hard.keys().map(String::as_str).collect();
    let spec = quota.at(&["spec"]).cloned().unwrap_or_default();
    let mut used = Amounts::new();
    let (resources, _) = if hard.is_empty() { Default::default() } else { discover(client).await? };
    for (resource, verbs) in &resources {
        let concerned = |name: &&&str| quota::concerns(&resource.group, &resource.plural, name);
        let counted: Vec<&str> = names.iter().filter(concerned).copied().collect();
        if !resource.namespaced || counted.is_empty() || !verbs.iter().any(|verb| verb == "list") {
            continue;
        }
        // Only some kinds have more to count than their number.
        let whole = matches!(&*resource.plural, "services" | "persistentvolumeclaims") || *resource == PODS;
        let params = ListParams { metadata_only: !whole, ..ListParams::default() };
        let found = client.list_all(resource, namespace, &params).await?;
        add_up(&mut used, &spec, resource, &counted, &found.items);
    }
    Ok(used)
}

fn add_up(used: &mut Amounts, spec: &Value, resource: &Resource, names: &[&str], objects: &[Value]) {
    for name in names {
        used.entry((*name).to_owned()).or_default();
    }
    for found in objects {
        if !quota::in_scope(spec, &resource.group, &resource.plural, found) {
            continue;
        }
        for (name, amount) in quota::usage(&resource.group, &resource.plural, found) {
            if let Some(sum) = used.get_mut(&name) {
                *sum = sum.add(&amount);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_limited_is_added_up() {
        let pod = |cpu: &str| json!({"spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}});
        let mut used = Amounts::new();
        add_up(&mut used, &json!({}), &PODS, &["pods", "requests.cpu"], &[pod("1"), pod("500m")]);
        assert_eq!(quota::to_value(&used), json!({"pods": "2", "requests.cpu": "1500m"}));
    }
}

//! ResourceQuotas: what a namespace uses is counted anew, so that the server's admission, which only ever adds, gets back
//! what deletions and changes gave free.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_client::resource::PODS;
use portcullis_client::{Client, ClientError, Informer, ListParams, ObjectExt, Resource, WorkQueue, run_workers};
use portcullis_machinery::quota::{self, Amounts};
use portcullis_machinery::{Value, object};

use crate::common::Context;
use crate::namespace::discover;

const QUOTAS: Resource = Resource::fixed("", "v1", "resourcequotas", "ResourceQuota", true);
/// How often a quota is counted without an occasion: most kinds that quotas can limit are not watched here.
const RECOUNT: Duration = Duration::from_secs(30);

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("resourcequota-controller");
    let queue: WorkQueue<String> = WorkQueue::new();
    let quotas = Informer::builder(&client, &QUOTAS).start(context.shutdown.clone());
    quotas.synced().await;
    context.pods.synced().await;
    let add = queue.clone();
    quotas.on_event(move |event| add.add(event.object().key()));
    for informer in [&context.pods, &context.services] {
        let (add, quotas) = (queue.clone(), quotas.clone());
        informer.on_event(move |event| {
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
    let status = |field: &str| quota::amounts(quota.at(&["status", field]));
    if status("hard") == hard && status("used") == used {
        return Ok(());
    }
    let mut counted = quota.clone();
    object::set_at(&mut counted, &["status", "hard"], quota::to_value(&hard));
    object::set_at(&mut counted, &["status", "used"], quota::to_value(&used));
    client.update_status(&QUOTAS, &counted).await.map(drop)
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

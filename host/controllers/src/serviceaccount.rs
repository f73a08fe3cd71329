//! What each namespace gets by itself: the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`.

use portcullis_client::resource::{CONFIGMAPS, SERVICEACCOUNTS};
use portcullis_client::{Client, ClientError, Informer, ObjectExt, Resource, WorkQueue, run_workers};
use portcullis_machinery::Value;
use serde_json::json;

use crate::common::Context;

const CA_NAME: &str = "kube-root-ca.crt";

/// Keeps the ServiceAccount `default` in every namespace.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("service-account-controller");
    let wanted = json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}});
    keep("serviceaccount", context, client, &SERVICEACCOUNTS, wanted).await;
}

/// Keeps the ConfigMap with the cluster's CA in every namespace, and its content as it should be.
pub(crate) async fn publish_ca(context: Context, root_ca: String) {
    if root_ca.is_empty() {
        return context.shutdown.cancelled().await;
    }
    let client = context.client_for("root-ca-cert-publisher");
    let wanted = json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": CA_NAME, "annotations": {
            "kubernetes.io/description": "The certificates that the API server's certificate chains to, for clients in pods.",
        }},
        "data": {"ca.crt": root_ca},
    });
    keep("root-ca", context, client, &CONFIGMAPS, wanted).await;
}

/// Keeps one object of one name in every namespace that is not being deleted.
async fn keep(name: &'static str, context: Context, client: Client, resource: &Resource, wanted: Value) {
    let queue: WorkQueue<String> = WorkQueue::new();
    let selector = format!("metadata.name={}", wanted.name());
    let present = Informer::builder(&client, resource).field_selector(&selector).start(context.shutdown.clone());
    context.namespaces.synced().await;
    present.synced().await;
    let add = queue.clone();
    context.namespaces.on_event(move |event| add.add(event.object().name().to_owned()));
    let add = queue.clone();
    present.on_event(move |event| add.add(event.object().namespace().to_owned()));
    let (resource, namespaces) = (resource.clone(), context.namespaces.clone());
    run_workers(name, queue, 2, context.shutdown, move |namespace| {
        let (client, resource, present, wanted) = (client.clone(), resource.clone(), present.clone(), wanted.clone());
        let active = namespaces
            .get("", &namespace)
            .is_some_and(|object| !object.is_deleting() && object.str_at(&["status", "phase"]) != "Terminating");
        async move {
            if !active {
                return Ok::<(), ClientError>(());
            }
            let result = match present.get(&namespace, wanted.name()) {
                None => client.create(&resource, &namespace, &wanted).await,
                Some(found) if wanted.get("data").is_some() && found.get("data") != wanted.get("data") => {
                    let mut updated = (*found).clone();
                    updated["data"] = wanted["data"].clone();
                    client.update(&resource, &updated).await
                }
                Some(_) => return Ok(()),
            };
            match result {
                Err(error) if error.is_already_exists() || error.is_namespace_terminating() || error.is_not_found() => {
                    Ok(())
                }
                other => other.map(drop),
            }
        }
    })
    .await;
}

//! What a controller written with kube-rs does, against the cluster of `KUBECONFIG`. `run.sh` starts one.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy,
    WatchEvent, WatchParams,
};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _, discovery};
use serde_json::json;

/// A namespace of the test's own.
async fn namespace(client: &Client, name: &str) -> Result<()> {
    let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
    Ok(())
}

fn config_map(name: &str, labels: serde_json::Value, data: serde_json::Value) -> Result<ConfigMap> {
    Ok(serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": data}))?)
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

/// Waits for a condition, asked again and again.
async fn until<F: Future<Output = Result<bool>>>(what: &str, mut holds: impl FnMut() -> F) -> Result<()> {
    for _ in 0..100 {
        if holds().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("not within 10 s: {what}")
}

#[tokio::test]
async fn objects_live_and_die() -> Result<()> {
    let client = Client::try_default().await?;
    namespace(&client, "kube-rs-objects").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-rs-objects");
    let created = maps.create(&PostParams::default(), &config_map("a", json!({"n": "1"}), json!({"k": "v"}))?).await?;
    ensure!(created.uid().is_some() && created.resource_version().is_some());
    let again = maps.create(&PostParams::default(), &created_without_version(&created)).await;
    ensure!(again.as_ref().is_err_and(|error| code(error) == 409), "{again:?}");

    // Optimistic concurrency: the second of two writers with the same version loses.
    let mut first = maps.get("a").await?;
    let mut second = first.clone();
    first.data.get_or_insert_default().insert("k".into(), "first".into());
    second.data.get_or_insert_default().insert("k".into(), "second".into());
    maps.replace("a", &PostParams::default(), &first).await?;
    let lost = maps.replace("a", &PostParams::default(), &second).await;
    ensure!(lost.as_ref().is_err_and(|error| code(error) == 409), "{lost:?}");

    let merged = maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"m": "1"}}))).await?;
    ensure!(merged.data.context("data")?.len() == 2);
    let patch: json_patch::Patch = serde_json::from_value(json!([{"op": "remove", "path": "/data/m"}]))?;
    let patched = maps.patch("a", &PatchParams::default(), &Patch::Json::<()>(patch)).await?;
    ensure!(patched.data.context("data")?.len() == 1);
    let strategic = Patch::Strategic(json!({"metadata": {"labels": {"n": null, "s": "1"}}}));
    let patched = maps.patch("a", &PatchParams::default(), &strategic).await?;
    ensure!(patched.labels().get("s").is_some() && patched.labels().get("n").is_none());

    let dry = maps.delete("a", &DeleteParams::default().dry_run()).await?;
    ensure!(dry.is_left() || dry.is_right());
    ensure!(maps.get_opt("a").await?.is_some());
    maps.delete("a", &DeleteParams::default()).await?;
    ensure!(maps.get_opt("a").await?.is_none());
    Ok(())
}

fn created_without_version(object: &ConfigMap) -> ConfigMap {
    let mut object = object.clone();
    object.metadata.resource_version = None;
    object.metadata.uid = None;
    object
}

#[tokio::test]
async fn apply_owns_fields() -> Result<()> {
    let client = Client::try_default().await?;
    namespace(&client, "kube-rs-apply").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-rs-apply");
    let wanted = |value: &str| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}}))
    };
    maps.patch("a", &PatchParams::apply("one"), &wanted("1")).await?;
    let conflict = maps.patch("a", &PatchParams::apply("two"), &wanted("2")).await;
    ensure!(conflict.as_ref().is_err_and(|error| code(error) == 409), "{conflict:?}");
    maps.patch("a", &PatchParams::apply("two").force(), &wanted("2")).await?;
    let managers: Vec<_> = maps.get("a").await?.managed_fields().iter().filter_map(|f| f.manager.clone()).collect();
    ensure!(managers.contains(&"two".to_owned()), "{managers:?}");
    Ok(())
}

#[tokio::test]
async fn watches_see_everything_once() -> Result<()> {
    let client = Client::try_default().await?;
    namespace(&client, "kube-rs-watch").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-rs-watch");
    for n in 0..30 {
        maps.create(&PostParams::default(), &config_map(&format!("m{n}"), json!({"w": "yes"}), json!({}))?).await?;
    }
    let page = maps.list(&ListParams::default().labels("w=yes").limit(7)).await?;
    ensure!(page.items.len() == 7);
    let token = page.metadata.continue_.clone().context("a continue token")?;
    let rest = maps.list(&ListParams::default().labels("w=yes").continue_token(&token)).await?;
    ensure!(rest.items.len() == 23);

    let version = rest.metadata.resource_version.context("a version")?;
    let mut events = maps.watch(&WatchParams::default().labels("w=yes"), &version).await?.boxed();
    maps.patch("m0", &PatchParams::default(), &Patch::Merge(json!({"data": {"a": "b"}}))).await?;
    maps.delete("m1", &DeleteParams::default()).await?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = tokio::time::timeout(Duration::from_secs(10), events.try_next()).await??.context("an event")?;
        match event {
            WatchEvent::Modified(map) => seen.push(format!("modified {}", map.name_any())),
            WatchEvent::Deleted(map) => seen.push(format!("deleted {}", map.name_any())),
            WatchEvent::Bookmark(_) => {}
            other => bail!("{other:?}"),
        }
    }
    ensure!(seen == ["modified m0", "deleted m1"], "{seen:?}");

    // The runtime's watcher, by list and by streaming list.
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let names: Vec<_> = watcher(maps.clone(), config.labels("w=yes"))
            .applied_objects()
            .take(29)
            .map_ok(|map| map.name_any())
            .try_collect()
            .await?;
        ensure!(names.len() == 29);
    }
    Ok(())
}

#[tokio::test]
async fn workloads_and_subresources() -> Result<()> {
    let client = Client::try_default().await?;
    namespace(&client, "kube-rs-work").await?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kube-rs-work");
    let pods: Api<Pod> = Api::namespaced(client.clone(), "kube-rs-work");
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "example.test/web:1"}]}}},
    }))?;
    deployments.create(&PostParams::default(), &deployment).await?;
    let count = || async { Ok::<_, anyhow::Error>(pods.list(&ListParams::default().labels("app=web")).await?.items.len()) };
    until("two pods", || async { Ok(count().await? == 2) }).await?;
    deployments.patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 1}}))).await?;
    ensure!(deployments.get_scale("web").await?.spec.and_then(|spec| spec.replicas) == Some(1));
    until("one pod", || async { Ok(count().await? == 1) }).await?;
    let pod = pods.list(&ListParams::default()).await?.items.pop().context("a pod")?.name_any();
    let status = json!({"status": {"conditions": [{"type": "example.test/ready", "status": "True"}]}});
    let patched = pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(status)).await?;
    ensure!(patched.status.and_then(|s| s.conditions).is_some_and(|c| c.iter().any(|c| c.type_ == "example.test/ready")));

    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "kube-rs-work");
    until("the default ServiceAccount", || async { Ok(accounts.get_opt("default").await?.is_some()) }).await?;
    let request = serde_json::from_value(json!({"metadata": {}, "spec": {"audiences": [], "expirationSeconds": 600}}))?;
    let token = accounts.create_token_request("default", &PostParams::default(), &request).await?;
    ensure!(token.status.is_some_and(|status| status.token.is_some_and(|token| token.split('.').count() == 3)));

    let review: SelfSubjectAccessReview = serde_json::from_value(json!({
        "metadata": {}, "spec": {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "kube-rs-work"}},
    }))?;
    let answer = Api::<SelfSubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await?;
    ensure!(answer.status.is_some_and(|status| status.allowed));

    let mut delete = DeleteParams::default();
    delete.propagation_policy = Some(PropagationPolicy::Foreground);
    deployments.delete("web", &delete).await?;
    until("everything gone", || async { Ok(deployments.get_opt("web").await?.is_none() && count().await? == 0) }).await
}

#[tokio::test]
async fn dynamic_objects_by_discovery() -> Result<()> {
    let client = Client::try_default().await?;
    for found in [
        discovery::Discovery::new(client.clone()).run().await?,
        discovery::Discovery::new(client.clone()).run_aggregated().await?,
    ] {
        let group = found.get("plugins.portcullis.dev").context("the group of Plugins")?;
        let (resource, _) = group.recommended_kind("Plugin").context("the kind Plugin")?;
        let plugins: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let names: Vec<_> = plugins.list(&ListParams::default()).await?.items.iter().map(|p| p.name_any()).collect();
        ensure!(names.contains(&"scheduler-default".to_owned()), "{names:?}");
        ensure!(found.groups().count() >= 20);
    }
    let unknown = ApiResource {
        group: "none.example".into(),
        version: "v1".into(),
        api_version: "none.example/v1".into(),
        kind: "None".into(),
        plural: "nones".into(),
        ..ApiResource::erase::<Pod>(&())
    };
    let missing = Api::<DynamicObject>::all_with(client, &unknown).list(&ListParams::default()).await;
    ensure!(missing.as_ref().is_err_and(|error| code(error) == 404), "{missing:?}");
    Ok(())
}

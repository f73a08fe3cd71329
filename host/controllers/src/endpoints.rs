//! EndpointSlices and Endpoints: which pods are behind a Service.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::{ENDPOINTS, ENDPOINTSLICES};
use portcullis_client::{
    Client, ClientError, DeleteParams, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use crate::common::{Context, controller_ref, is_over, is_ready};

#[cfg(test)]
mod tests;
pub(crate) mod tracker;

use tracker::Tracker;

/// So many endpoints go into one slice (`--max-endpoints-per-slice`).
const SLICE: usize = 100;
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("endpointslice-controller");
    let queue: WorkQueue<String> = WorkQueue::new();
    let slices = Informer::builder(&client, &ENDPOINTSLICES)
        .label_selector(&format!("endpointslice.kubernetes.io/managed-by={MANAGER}"))
        .index("service", |slice| vec![service_of(slice)])
        .start(context.shutdown.clone());
    context.services.synced().await;
    context.pods.synced().await;
    slices.synced().await;
    let tracker = Arc::new(Tracker::default());
    let (add, see) = (queue.clone(), tracker.clone());
    slices.on_event(move |event| {
        if see.is_news(event, service_of) {
            add.add(service_of(event.object()));
            if let InformerEvent::Updated { old, .. } = event {
                add.add(service_of(old));
            }
        }
    });
    let add = queue.clone();
    context.services.on_event(move |event| add.add(event.object().key()));
    let add = queue.clone();
    Informer::builder(&client, &ENDPOINTS)
        .label_selector("endpoints.kubernetes.io/managed-by=endpoint-controller")
        .metadata_only()
        .start(context.shutdown.clone())
        .on_event(move |event| {
            if let InformerEvent::Deleted(endpoints) = event {
                add.add(endpoints.key());
            }
        });
    let (add, services) = (queue.clone(), context.services.clone());
    context.pods.on_event(move |event| {
        let mut pods: Vec<&Object> = vec![event.object()];
        if let InformerEvent::Updated { old, .. } = event {
            pods.push(old);
        }
        for service in services.list_namespace(event.object().namespace()) {
            if selector_of(&service).is_some_and(|selector| pods.iter().any(|pod| selector.matches_object(pod))) {
                add.add(service.key());
            }
        }
    });
    let (services, pods) = (context.services.clone(), context.pods.clone());
    let controller = Arc::new(Controller { client, services, pods, slices, tracker, queue: queue.clone() });
    run_workers("endpointslice", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

struct Controller {
    client: Client,
    services: Informer,
    pods: Informer,
    slices: Informer,
    tracker: Arc<Tracker>,
    queue: WorkQueue<String>,
}

/// The key of the Service that a slice belongs to.
fn service_of(slice: &Value) -> String {
    format!("{}/{}", slice.namespace(), slice.label("kubernetes.io/service-name").unwrap_or_default())
}

/// `None` for Services whose endpoints somebody else keeps.
fn selector_of(service: &Value) -> Option<LabelSelector> {
    let labels = service.at(&["spec", "selector"])?.as_object()?;
    if labels.is_empty() || service.str_at(&["spec", "type"]) == "ExternalName" {
        return None;
    }
    Some(LabelSelector::from_map(labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or("")))))
}

impl Controller {
    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        // The slices of a Service that is gone go by their owner reference.
        let Some(service) = self.services.get_key(key).filter(|service| !service.is_deleting()) else {
            self.tracker.forget(key);
            return Ok(());
        };
        let Some(selector) = selector_of(&service) else { return Ok(()) };
        let mut present = self.slices.by_index("service", key);
        if self.tracker.is_stale(key, &present) {
            // What was written last has not come back yet; by then there may be nothing to do.
            self.queue.add_after(key.to_owned(), Duration::from_millis(100));
            return Ok(());
        }
        let mut behind: Vec<Object> = self.pods.list_namespace(service.namespace());
        behind.retain(|pod| {
            selector.matches_object(pod) && !is_over(pod) && !pod.str_at(&["status", "podIP"]).is_empty()
        });
        for want in slices_of(&service, &behind) {
            let fits = |have: &Object| have["addressType"] == want["addressType"];
            match present.iter().position(fits).map(|at| present.remove(at)) {
                Some(have) => {
                    if have.get("endpoints") == want.get("endpoints") && have.get("ports") == want.get("ports") {
                        self.tracker.expect(key, &have);
                        continue;
                    }
                    let mut updated = (*have).clone();
                    updated["endpoints"] = want["endpoints"].clone();
                    updated["ports"] = want["ports"].clone();
                    let updated = self.client.update(&ENDPOINTSLICES, &updated).await?;
                    self.tracker.expect(key, &updated);
                }
                None => match self.client.create(&ENDPOINTSLICES, service.namespace(), &want).await {
                    Err(error) if error.is_namespace_terminating() => return Ok(()),
                    created => self.tracker.expect(key, &created?),
                },
            }
        }
        for surplus in present {
            let params = DeleteParams::uid(surplus.uid());
            match self.client.delete(&ENDPOINTSLICES, surplus.namespace(), surplus.name(), &params).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => self.tracker.expect_deletion(key, &surplus),
            }
        }
        write_endpoints(&self.client, &service, &behind).await
    }
}

/// The port of a pod that a Service port leads to; `None` if the pod has no port of that name.
fn target(pod: &Value, port: &Value) -> Option<i64> {
    match port.get("targetPort") {
        Some(Value::Number(number)) => number.as_i64().filter(|number| *number != 0).or_else(|| port.int_at(&["port"])),
        Some(Value::String(name)) if !name.is_empty() => {
            let containers = pod.list_at(&["spec", "containers"]).iter();
            let mut ports = containers.flat_map(|container| container.list_at(&["ports"]));
            let protocol = |port: &Value| match port.str_at(&["protocol"]) {
                "" => "TCP".to_owned(),
                other => other.to_owned(),
            };
            ports
                .find(|found| found.str_at(&["name"]) == name && protocol(found) == protocol(port))
                .and_then(|found| found.int_at(&["containerPort"]))
        }
        _ => port.int_at(&["port"]),
    }
}

fn ports_of(service: &Value, pod: &Value) -> Vec<Value> {
    let ports = service.list_at(&["spec", "ports"]).iter();
    ports
        .filter_map(|port| {
            let protocol = if port.str_at(&["protocol"]).is_empty() { "TCP" } else { port.str_at(&["protocol"]) };
            let mut entry = json!({"name": port.str_at(&["name"]), "port": target(pod, port)?, "protocol": protocol});
            if let Some(app) = port.get("appProtocol") {
                entry["appProtocol"] = app.clone();
            }
            Some(entry)
        })
        .collect()
}

fn reference(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()})
}

fn serves(service: &Value, pod: &Value) -> bool {
    service.bool_at(&["spec", "publishNotReadyAddresses"]) || (is_ready(pod) && !pod.is_deleting())
}

/// The slices of a Service: one for each address family and set of ports, in parts of a hundred.
fn slices_of(service: &Value, pods: &[Object]) -> Vec<Value> {
    let mut groups: std::collections::BTreeMap<(String, String), (Vec<Value>, Vec<Value>)> = Default::default();
    let families: Vec<&str> = match service.list_at(&["spec", "ipFamilies"]) {
        [] => vec!["IPv4"],
        families => families.iter().filter_map(Value::as_str).collect(),
    };
    for family in families {
        groups.entry((family.to_owned(), String::new())).or_default();
        for pod in pods {
            let mut addresses: Vec<&str> =
                pod.list_at(&["status", "podIPs"]).iter().map(|entry| entry.str_at(&["ip"])).collect();
            if addresses.is_empty() {
                addresses.push(pod.str_at(&["status", "podIP"]));
            }
            let Some(address) = addresses.into_iter().find(|address| address.contains(':') == (family == "IPv6"))
            else {
                continue;
            };
            let ports = ports_of(service, pod);
            let serving = is_ready(pod);
            let mut endpoint = json!({
                "addresses": [address],
                "conditions": {"ready": serves(service, pod), "serving": serving, "terminating": pod.is_deleting()},
                "targetRef": reference(pod),
            });
            if !pod.str_at(&["spec", "nodeName"]).is_empty() {
                endpoint["nodeName"] = pod.str_at(&["spec", "nodeName"]).into();
            }
            if !pod.str_at(&["spec", "hostname"]).is_empty() && pod.str_at(&["spec", "subdomain"]) == service.name() {
                endpoint["hostname"] = pod.str_at(&["spec", "hostname"]).into();
            }
            let group = groups.entry((family.to_owned(), Value::from(ports.clone()).to_string())).or_default();
            group.0 = ports;
            group.1.push(endpoint);
        }
        // The empty slice is there for Services without pods only.
        if groups.keys().filter(|(of, _)| of == family).count() > 1 {
            groups.remove(&(family.to_owned(), String::new()));
        }
    }
    let mut slices = Vec::new();
    for ((family, _), (ports, endpoints)) in groups {
        let mut parts: Vec<&[Value]> = endpoints.chunks(SLICE).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            slices.push(json!({
                "kind": "EndpointSlice",
                "apiVersion": "discovery.k8s.io/v1",
                "metadata": {
                    "generateName": format!("{}-", service.name()),
                    "namespace": service.namespace(),
                    "labels": {
                        "kubernetes.io/service-name": service.name(),
                        "endpointslice.kubernetes.io/managed-by": MANAGER,
                    },
                    "ownerReferences": [controller_ref(service)],
                },
                "addressType": family,
                "ports": ports,
                "endpoints": part,
            }));
        }
    }
    slices
}

/// The older form of the same, one object a Service and a thousand addresses at most.
async fn write_endpoints(client: &Client, service: &Value, pods: &[Object]) -> Result<(), ClientError> {
    let subsets = subsets_of(service, pods);
    let found = match client.get(&ENDPOINTS, service.namespace(), service.name()).await {
        Err(error) if error.is_not_found() => None,
        other => Some(other?),
    };
    match found {
        None => {
            let endpoints = json!({
                "kind": "Endpoints",
                "apiVersion": "v1",
                "metadata": {
                    "name": service.name(),
                    "namespace": service.namespace(),
                    "labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"},
                    "ownerReferences": [controller_ref(service)],
                },
                "subsets": subsets,
            });
            match client.create(&ENDPOINTS, service.namespace(), &endpoints).await {
                Err(error) if error.is_namespace_terminating() => Ok(()),
                other => other.map(drop),
            }
        }
        Some(found) if found.list_at(&["subsets"]) == subsets.as_slice() => Ok(()),
        Some(mut found) => {
            found["subsets"] = subsets.into();
            client.update(&ENDPOINTS, &found).await.map(drop)
        }
    }
}

fn subsets_of(service: &Value, pods: &[Object]) -> Vec<Value> {
    let mut groups: std::collections::BTreeMap<String, (Vec<Value>, Vec<Value>, Vec<Value>)> = Default::default();
    for pod in pods.iter().filter(|pod| !pod.is_deleting()).take(1000) {
        let mut ports = ports_of(service, pod);
        // An unnamed port has no name here, where slices have an empty one.
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            if port.get("name").is_some_and(|name| name == "") {
                port.remove("name");
            }
        }
        let mut address = json!({"ip": pod.str_at(&["status", "podIP"]), "targetRef": reference(pod)});
        if !pod.str_at(&["spec", "nodeName"]).is_empty() {
            address["nodeName"] = pod.str_at(&["spec", "nodeName"]).into();
        }
        let group = groups.entry(Value::from(ports.clone()).to_string()).or_default();
        group.2 = ports;
        if serves(service, pod) { &mut group.0 } else { &mut group.1 }.push(address);
    }
    let make = |(ready, waiting, ports): (Vec<Value>, Vec<Value>, Vec<Value>)| {
        let mut subset = serde_json::Map::new();
        for (field, list) in [("addresses", ready), ("notReadyAddresses", waiting), ("ports", ports)] {
            if !list.is_empty() {
                subset.insert(field.into(), list.into());
            }
        }
        Value::Object(subset)
    };
    groups.into_values().map(make).collect()
}

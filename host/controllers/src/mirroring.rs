//! EndpointSlices for Endpoints that somebody other than a controller keeps: what reads slices alone sees those too.
//!
//! Endpoints are mirrored if they belong to a Service without a selector, unless they ask not to be or hold a leader's
//! record. Each set of ports and each address family is one slice, which carries the labels and the annotations of the
//! Endpoints. Slices that are no longer wanted are made into wanted ones where that spares a deletion.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::events::{EventRecorder, EventType};
use portcullis_client::resource::{ENDPOINTS, ENDPOINTSLICES};
use portcullis_client::{
    Client, ClientError, DeleteParams, Informer, InformerEvent, Object, ObjectExt, WorkQueue, run_workers,
};
use portcullis_machinery::Value;
use serde_json::{Map, json};

use crate::common::Context;
use crate::endpoints::tracker::Tracker;

mod desired;
#[cfg(test)]
mod tests;

use desired::{Desired, Group, endpoint_set};

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that are about the Endpoints object and not about what it says.
const OWN_ANNOTATIONS: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];
/// Slices can be large, so what failed is tried again more slowly than elsewhere.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(100));

struct Controller {
    client: Client,
    events: EventRecorder,
    endpoints: Informer,
    services: Informer,
    slices: Informer,
    tracker: Tracker,
    queue: WorkQueue<String>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("endpointslicemirroring-controller");
    let slices = Informer::builder(&client, &ENDPOINTSLICES)
        .label_selector(&format!("{MANAGED_BY}={MANAGER}"))
        .index("service", |slice| vec![service_of(slice)])
        .start(context.shutdown.clone());
    let controller = Arc::new(Controller {
        events: EventRecorder::new(client.clone(), "endpoint-slice-mirroring-controller", "", context.shutdown.clone()),
        endpoints: Informer::builder(&client, &ENDPOINTS).start(context.shutdown.clone()),
        client,
        services: context.services.clone(),
        slices,
        tracker: Tracker::default(),
        queue: WorkQueue::with_backoff(BACKOFF.0, BACKOFF.1),
    });
    for informer in [&controller.endpoints, &controller.services, &controller.slices] {
        informer.synced().await;
    }
    let see = controller.clone();
    controller.endpoints.on_event(move |event| {
        let before = matches!(event, InformerEvent::Updated { old, .. } if is_mirrored(old));
        if before || is_mirrored(event.object()) {
            see.queue.add(event.object().key());
        }
    });
    let see = controller.clone();
    controller.services.on_event(move |event| {
        let concerns = match event {
            InformerEvent::Updated { old, new } => has_selector(old) != has_selector(new),
            other => !has_selector(other.object()),
        };
        if concerns {
            see.queue.add(event.object().key());
        }
    });
    let see = controller.clone();
    controller.slices.on_event(move |event| {
        if see.tracker.is_news(event, service_of) {
            see.queue.add(service_of(event.object()));
            if let InformerEvent::Updated { old, .. } = event {
                see.queue.add(service_of(old));
            }
        }
    });
    let queue = controller.queue.clone();
    run_workers("endpointslicemirroring", queue, 5, context.shutdown, move |key| {
        let controller = controller.clone();
        async move { controller.sync(&key).await }
    })
    .await;
}

/// The key of the Service, and so of the Endpoints, that a slice belongs to.
fn service_of(slice: &Value) -> String {
    format!("{}/{}", slice.namespace(), slice.label(SERVICE_NAME).unwrap_or_default())
}

fn has_selector(service: &Value) -> bool {
    service.at(&["spec", "selector"]).is_some_and(Value::is_object)
}

/// Whether Endpoints want to be mirrored.
fn is_mirrored(endpoints: &Value) -> bool {
    endpoints.label(SKIP_MIRROR) != Some("true") && endpoints.at(&["metadata", "annotations", LEADER]).is_none()
}

/// What is to be done about the slices of one Endpoints object.
#[derive(Debug, Default)]
struct Changes {
    create: Vec<Value>,
    update: Vec<Value>,
    delete: Vec<Object>,
}

impl Controller {
    async fn sync(&self, key: &str) -> Result<(), ClientError> {
        let present = self.slices.by_index("service", key);
        let endpoints = self.endpoints.get_key(key).filter(|endpoints| is_mirrored(endpoints));
        let wanted = self.services.get_key(key).is_some_and(|service| !has_selector(&service));
        let Some(endpoints) = endpoints.filter(|_| wanted) else {
            self.tracker.forget(key);
            for slice in &present {
                self.delete(slice).await?;
            }
            return Ok(());
        };
        if self.tracker.is_stale(key, &present) {
            // What was written last has not come back yet; by then there may be nothing to do.
            self.queue.add_after(key.to_owned(), Duration::from_millis(100));
            return Ok(());
        }
        let desired = Desired::of(&endpoints);
        self.report(&endpoints, &desired);
        let changes = changes(&endpoints, &desired.groups, &present);
        for slice in &present {
            self.tracker.expect(key, slice);
        }
        // Endpoints that are about to go get no new slices.
        for slice in changes.create.iter().filter(|_| !endpoints.is_deleting()) {
            match self.client.create(&ENDPOINTSLICES, endpoints.namespace(), slice).await {
                Err(error) if error.is_namespace_terminating() => return Ok(()),
                created => self.tracker.expect(key, &created?),
            }
        }
        for slice in &changes.update {
            let updated = self.client.update(&ENDPOINTSLICES, slice).await?;
            self.tracker.expect(key, &updated);
        }
        for slice in &changes.delete {
            self.delete(slice).await?;
            self.tracker.expect_deletion(key, slice);
        }
        Ok(())
    }

    async fn delete(&self, slice: &Object) -> Result<(), ClientError> {
        let params = DeleteParams::uid(slice.uid());
        match self.client.delete(&ENDPOINTSLICES, slice.namespace(), slice.name(), &params).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Says which addresses are in no slice.
    fn report(&self, endpoints: &Value, desired: &Desired) {
        let warn = |reason: &str, message: String| self.events.event(endpoints, EventType::Warning, reason, &message);
        if desired.invalid > 0 {
            let message = format!("Skipped {} invalid IP addresses when mirroring to EndpointSlices", desired.invalid);
            warn("InvalidIPAddress", message);
        }
        if desired.skipped > desired.invalid {
            let message = format!(
                "A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were skipped",
                desired::MOST,
                desired.skipped
            );
            warn("TooManyAddressesToMirror", message);
        }
    }
}

/// The labels or annotations of an object, without some.
fn texts(object: &Value, field: &str, without: &[&str]) -> Map<String, Value> {
    let all = object.at(&["metadata", field]).and_then(Value::as_object).into_iter().flatten();
    all.filter(|(name, _)| !without.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// How the slices that are there become those that are wanted.
fn changes(endpoints: &Value, groups: &[Group], present: &[Object]) -> Changes {
    let mut changes = Changes::default();
    let mut left = present.to_vec();
    for group in groups {
        let (mut same, others): (Vec<Object>, Vec<Object>) = left.into_iter().partition(|slice| group.is_of(slice));
        left = others;
        if group.endpoints.is_empty() {
            changes.delete.append(&mut same);
            continue;
        }
        let mut same = same.into_iter();
        match same.next() {
            None => changes.create.push(slice_of(endpoints, group)),
            Some(slice) if is_as_wanted(endpoints, group, &slice) => {}
            Some(slice) => changes.update.push(named(slice_of(endpoints, group), slice.name())),
        }
        changes.delete.extend(same);
    }
    changes.delete.append(&mut left);
    // A slice cannot change its family, but everything else.
    for slice in std::mem::take(&mut changes.create) {
        let family = |unused: &Object| unused["addressType"] == slice["addressType"];
        match changes.delete.iter().position(family) {
            Some(at) => {
                let unused = changes.delete.remove(at);
                changes.update.push(named(slice, unused.name()));
            }
            None => changes.create.push(slice),
        }
    }
    changes
}

fn is_as_wanted(endpoints: &Value, group: &Group, slice: &Value) -> bool {
    let labels = |object: &Value| texts(object, "labels", &[SERVICE_NAME, MANAGED_BY]);
    // Endpoints that were deleted and made anew own nothing yet.
    let orphan = slice.owner_references().iter().any(|owner| {
        owner.str_at(&["kind"]) == "Endpoints"
            && owner.str_at(&["name"]) == endpoints.name()
            && owner.str_at(&["uid"]) != endpoints.uid()
    });
    !orphan
        && labels(slice) == labels(endpoints)
        && texts(slice, "annotations", &[]) == texts(endpoints, "annotations", &OWN_ANNOTATIONS)
        && endpoint_set(slice.list_at(&["endpoints"]).iter().cloned()) == group.endpoints
}

/// A slice as it is to be, without a name of its own.
fn slice_of(endpoints: &Value, group: &Group) -> Value {
    let mut labels = texts(endpoints, "labels", &[]);
    labels.insert(SERVICE_NAME.into(), endpoints.name().into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    // Names have 253 characters at most, and the server adds some.
    let prefix =
        if endpoints.name().len() < 253 { format!("{}-", endpoints.name()) } else { endpoints.name().to_owned() };
    let owner = json!({
        "apiVersion": "v1", "kind": "Endpoints", "name": endpoints.name(), "uid": endpoints.uid(),
        "controller": true, "blockOwnerDeletion": true,
    });
    json!({
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "generateName": prefix,
            "namespace": endpoints.namespace(),
            "labels": labels,
            "annotations": texts(endpoints, "annotations", &OWN_ANNOTATIONS),
            "ownerReferences": [owner],
        },
        "addressType": group.family,
        "ports": group.ports,
        "endpoints": group.endpoints.values().collect::<Vec<_>>(),
    })
}

/// The slice in the place of another.
fn named(mut slice: Value, name: &str) -> Value {
    if let Some(metadata) = slice.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("generateName");
        metadata.insert("name".into(), name.into());
    }
    slice
}

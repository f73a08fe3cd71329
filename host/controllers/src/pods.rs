//! Making and deleting the pods of an owner: what every controller of pods does alike.
//!
//! A controller decides on the picture of its informers, which is always a little old. The changes that it made and has
//! not seen yet are its expectations: while there are any, it does not decide again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_client::object::object_key;
use portcullis_client::resource::PODS;
use portcullis_client::{
    Client, ClientError, DeleteParams, EventRecorder, EventType, Informer, InformerEvent, Object, ObjectExt, PatchType,
};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;
use serde_json::json;

use crate::common::{Context, controller_ref, controller_uid, safe_encode};

#[cfg(test)]
mod tests;

/// At most so many pods are created or deleted in one pass (the reference's burst).
pub(crate) const BURST: usize = 500;
/// After this an event that did not come is not waited for any more.
const EXPECTATION_AGE: Duration = Duration::from_secs(300);

/// Changes that were made and are not seen yet, by the owner's key. Created pods are known by name, deleted by uid.
#[derive(Default)]
pub(crate) struct Expectations(Mutex<HashMap<String, Expected>>);

struct Expected {
    created: HashSet<String>,
    deleted: HashSet<String>,
    since: Instant,
}

impl Expectations {
    /// Whether everything was seen that was done for this owner.
    pub(crate) fn met(&self, key: &str) -> bool {
        self.0.lock().get(key).is_none_or(|expected| {
            (expected.created.is_empty() && expected.deleted.is_empty()) || expected.since.elapsed() > EXPECTATION_AGE
        })
    }

    /// Forgets an owner that is gone.
    pub(crate) fn forget(&self, key: &str) {
        self.0.lock().remove(key);
    }

    /// Takes note of a pod's event.
    pub(crate) fn see(&self, key: &str, event: &InformerEvent) {
        let pod = event.object();
        self.change(key, |expected| {
            expected.created.remove(pod.name());
            if matches!(event, InformerEvent::Deleted(_)) || pod.is_deleting() {
                expected.deleted.remove(pod.uid());
            }
        });
    }

    fn expect(&self, key: &str, change: impl FnOnce(&mut Expected)) {
        let mut all = self.0.lock();
        let expected = all.entry(key.to_owned()).or_insert_with(|| Expected {
            created: HashSet::new(),
            deleted: HashSet::new(),
            since: Instant::now(),
        });
        expected.since = Instant::now();
        change(expected);
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Expected)) {
        if let Some(expected) = self.0.lock().get_mut(key) {
            change(expected);
        }
    }
}

/// Creates and deletes pods for their owners, with events about it.
pub(crate) struct PodControl {
    pub(crate) client: Client,
    pub(crate) events: EventRecorder,
    pub(crate) expectations: Expectations,
}

impl PodControl {
    /// For one controller.
    pub(crate) fn new(context: &Context, controller: &str) -> Self {
        let client = context.client_for(controller);
        Self {
            events: EventRecorder::new(client.clone(), controller, "", context.shutdown.clone()),
            client,
            expectations: Expectations::default(),
        }
    }

    /// Creates one pod. That its namespace is on its way out is no failure: there is nothing left to be done.
    pub(crate) async fn create(&self, key: &str, owner: &Value, pod: &Value) -> Result<(), ClientError> {
        // The expectation is by name and set before the request: the event may come before the answer.
        let name = pod.name();
        self.expectations.expect(key, |expected| {
            expected.created.insert(name.to_owned());
        });
        match self.client.create(&PODS, owner.namespace(), pod).await {
            Ok(_) => {
                self.events.event(owner, EventType::Normal, "SuccessfulCreate", &format!("Created pod: {name}"));
                Ok(())
            }
            Err(error) => {
                self.expectations.change(key, |expected| {
                    expected.created.remove(name);
                });
                if error.is_namespace_terminating() {
                    return Ok(());
                }
                if !error.is_already_exists() {
                    let message = format!("Error creating: {error}");
                    self.events.event(owner, EventType::Warning, "FailedCreate", &message);
                }
                Err(error)
            }
        }
    }

    /// Creates pods in batches of 1, 2, 4, …: if all fail for one reason, one request shows it and not hundreds.
    pub(crate) async fn create_all(&self, key: &str, owner: &Value, pods: &[Value]) -> Result<(), ClientError> {
        let (mut batch, mut rest) = (1, pods);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(batch.min(rest.len()));
            for result in futures::future::join_all(now.iter().map(|pod| self.create(key, owner, pod))).await {
                result?;
            }
            rest = later;
            batch *= 2;
        }
        Ok(())
    }

    /// Deletes one pod; one that is gone is fine.
    pub(crate) async fn delete(&self, key: &str, owner: &Value, pod: &Value) -> Result<(), ClientError> {
        self.expectations.expect(key, |expected| {
            expected.deleted.insert(pod.uid().to_owned());
        });
        match self.client.delete(&PODS, pod.namespace(), pod.name(), &DeleteParams::uid(pod.uid())).await {
            Ok(_) => {
                let message = format!("Deleted pod: {}", pod.name());
                self.events.event(owner, EventType::Normal, "SuccessfulDelete", &message);
                Ok(())
            }
            Err(error) => {
                self.expectations.change(key, |expected| {
                    expected.deleted.remove(pod.uid());
                });
                if error.is_not_found() {
                    return Ok(());
                }
                self.events.event(owner, EventType::Warning, "FailedDelete", &format!("Error deleting: {error}"));
                Err(error)
            }
        }
    }

    /// The pods of an owner: its own that match; orphans that match are adopted, its own that do not are released.
    pub(crate) async fn claim(
        &self,
        owner: &Value,
        selector: &LabelSelector,
        pods: Vec<Object>,
    ) -> Result<Vec<Object>, ClientError> {
        let mut claimed = Vec::new();
        for pod in pods {
            let controller = controller_uid(&pod);
            let matches = selector.matches_object(&pod);
            if controller == owner.uid() {
                if matches {
                    claimed.push(pod);
                } else if !owner.is_deleting() {
                    let release = json!([{"$patch": "delete", "uid": owner.uid()}]);
                    self.patch(&pod, &json!({"metadata": {"uid": pod.uid(), "ownerReferences": release}})).await?;
                }
            } else if controller.is_empty() && matches && !owner.is_deleting() && !pod.is_deleting() {
                let patch = json!({"metadata": {"uid": pod.uid(), "ownerReferences": [controller_ref(owner)]}});
                self.patch(&pod, &patch).await?;
                claimed.push(pod);
            }
        }
        Ok(claimed)
    }

    /// Patches a pod; one that is gone, or is another by now, is fine.
    pub(crate) async fn patch(&self, pod: &Value, patch: &Value) -> Result<(), ClientError> {
        match self.client.patch(&PODS, pod.namespace(), pod.name(), "", PatchType::Strategic, patch).await {
            Err(error) if error.is_not_found() || error.code() == 422 => Ok(()),
            other => other.map(drop),
        }
    }
}

/// The keys of the owners that an event of a pod concerns: its controller, the one that it had before, and those that
/// would have it if it is an orphan.
pub(crate) fn concerned(
    event: &InformerEvent,
    owners: &Informer,
    selector_of: impl Fn(&Value) -> Option<LabelSelector>,
) -> Vec<String> {
    let namespace = event.object().namespace();
    keys_of(event, &owners.resource().kind, || owners.list_namespace(namespace), selector_of)
}

fn keys_of(
    event: &InformerEvent,
    kind: &str,
    owners: impl FnOnce() -> Vec<Object>,
    selector_of: impl Fn(&Value) -> Option<LabelSelector>,
) -> Vec<String> {
    let pod = event.object();
    let key_of = |pod: &Value| {
        let owner = pod.controller_of().filter(|owner| owner.str_at(&["kind"]) == kind)?;
        Some(object_key(pod.namespace(), owner.str_at(&["name"])))
    };
    let mut keys: Vec<String> = key_of(pod).into_iter().collect();
    if let InformerEvent::Updated { old, .. } = event {
        let before = key_of(old).filter(|key| !keys.contains(key));
        keys.extend(before);
    }
    if pod.controller_of().is_none() && !matches!(event, InformerEvent::Deleted(_)) {
        let fits = |owner: &Object| selector_of(owner).is_some_and(|selector| selector.matches_object(pod));
        for owner in owners().iter().filter(|owner| fits(owner)) {
            if !keys.contains(&owner.key()) {
                keys.push(owner.key());
            }
        }
    }
    keys
}

/// The selector of an owner, as most kinds have it.
pub(crate) fn selector_of(owner: &Value) -> Option<LabelSelector> {
    LabelSelector::from_object(Some(owner.at(&["spec", "selector"])?)).ok()
}

/// A pod of this template that its owner controls, without a name.
pub(crate) fn from_template(owner: &Value, template: &Value) -> Value {
    let mut metadata = json!({"namespace": owner.namespace(), "ownerReferences": [controller_ref(owner)]});
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.at(&["metadata", field]) {
            metadata[field] = value.clone();
        }
    }
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]})
}

/// Gives an object a name that nothing else has. The reference leaves the suffix to the server; five letters of 27 make
/// the same names, known before the request.
pub(crate) fn name_after(object: &mut Value, base: &str) {
    use rand::Rng as _;
    let mut random = rand::rng();
    let letters: String = (0..5).map(|_| random.random_range(b'a'..b'z') as char).collect();
    let prefix: String = base.chars().take(57).collect();
    object["metadata"]["generateName"] = format!("{prefix}-").into();
    object["metadata"]["name"] = format!("{prefix}-{}", safe_encode(&letters)).into();
}

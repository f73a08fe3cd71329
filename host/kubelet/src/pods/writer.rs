//! Writes a pod's status to the API: always the latest one, one write at a time, until it is there.

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::PODS;
use portcullis_client::{Client, ClientError, ObjectExt, PatchType};
use portcullis_machinery::Value;
use serde_json::{Map, json};
use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// Fields of a status that the kubelet takes away when it has nothing to say in them.
const OPTIONAL: [&str; 6] = ["reason", "message", "podIP", "podIPs", "initContainerStatuses", "containerStatuses"];

/// Lists that a strategic merge would merge by key, where the kubelet's are the whole truth.
const WHOLE: [&str; 2] = ["podIPs", "hostIPs"];

/// The background writer of one pod's status. It ends when this is dropped and everything is written.
pub(crate) struct StatusWriter {
    wanted: watch::Sender<Option<Arc<Value>>>,
    written: watch::Receiver<Option<Arc<Value>>>,
}

impl StatusWriter {
    /// A writer for a pod.
    pub(crate) fn new(client: Client, pod: &Value) -> Self {
        let (wanted, wanted_receiver) = watch::channel(None);
        let (written_sender, written) = watch::channel(None);
        let id =
            Identity { namespace: pod.namespace().to_owned(), name: pod.name().to_owned(), uid: pod.uid().to_owned() };
        tokio::spawn(write(client, id, wanted_receiver, written_sender));
        Self { wanted, written }
    }

    /// The status that is to be written next, or was written last.
    pub(crate) fn latest(&self) -> Option<Arc<Value>> {
        self.wanted.borrow().clone()
    }

    /// Has a status written, unless it is the last one again.
    pub(crate) fn set(&self, status: Value) {
        self.wanted.send_if_modified(|wanted| {
            if wanted.as_deref() == Some(&status) {
                return false;
            }
            *wanted = Some(Arc::new(status));
            true
        });
    }

    /// Has the last status written again: somebody changed what the kubelet owns.
    pub(crate) fn again(&self) {
        self.wanted.send_modify(|_| {});
    }

    /// Whether the last status is written.
    pub(crate) fn is_idle(&self) -> bool {
        let (wanted, written) = (self.wanted.borrow(), self.written.borrow());
        match (&*wanted, &*written) {
            (None, _) => true,
            (Some(wanted), Some(written)) => Arc::ptr_eq(wanted, written),
            (Some(_), None) => false,
        }
    }

    /// Returns once the last status is written, or the pod is gone.
    pub(crate) async fn flush(&self) {
        let mut written = self.written.clone();
        while !self.is_idle() {
            if written.changed().await.is_err() {
                return;
            }
        }
    }
}

struct Identity {
    namespace: String,
    name: String,
    uid: String,
}

/// The patch that makes a pod's status this one. The uid keeps it from a later pod of the same name.
pub(crate) fn patch(uid: &str, status: &Value) -> Value {
    let mut fields = status.as_object().cloned().unwrap_or_else(Map::new);
    for name in OPTIONAL {
        fields.entry(name).or_insert(Value::Null);
    }
    // Conditions are merged by type: what a condition does not say any more has to be taken away.
    for condition in fields.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        for name in ["reason", "message"] {
            if condition.get(name).is_none() {
                condition[name] = Value::Null;
            }
        }
    }
    for name in WHOLE {
        if let Some(Value::Array(items)) = fields.get_mut(name) {
            items.push(json!({"$patch": "replace"}));
        }
    }
    json!({"metadata": {"uid": uid}, "status": fields})
}

async fn write(
    client: Client,
    id: Identity,
    mut wanted: watch::Receiver<Option<Arc<Value>>>,
    written: watch::Sender<Option<Arc<Value>>>,
) {
    let mut delay = Duration::from_millis(200);
    // A writer whose owner is gone still writes what it was given last.
    while wanted.changed().await.is_ok() {
        loop {
            let Some(status) = wanted.borrow_and_update().clone() else { break };
            match client
                .patch(&PODS, &id.namespace, &id.name, "status", PatchType::Strategic, &patch(&id.uid, &status))
                .await
            {
                Ok(_) => {
                    delay = Duration::from_millis(200);
                    written.send_replace(Some(status));
                }
                Err(error) if is_final(&error) => {
                    tracing::debug!(pod = id.name, %error, "a status was not written");
                    written.send_replace(Some(status));
                }
                Err(error) => {
                    tracing::warn!(pod = id.name, namespace = id.namespace, %error, "a status could not be written yet");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(Duration::from_secs(10));
                    continue;
                }
            }
            break;
        }
    }
}

/// Whether trying again is pointless: the pod is gone, or another one has its name.
fn is_final(error: &ClientError) -> bool {
    error.is_not_found() || error.is_conflict()
}

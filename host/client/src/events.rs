//! Event objects: what happened to an object, for people, kept from becoming a storm.

use portcullis_machinery::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, PatchType};
use crate::error::ClientError;
use crate::object::ObjectExt;
use crate::resource::EVENTS;

mod correlator;

use correlator::{Correlator, Outcome};

/// Events that wait to be written. More are dropped: the API server is behind, and events are the first to give way.
const QUEUE: usize = 1000;

/// The two types of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Records events about objects. Clones share the recorder.
#[derive(Clone)]
pub struct EventRecorder {
    sender: mpsc::Sender<Value>,
    component: std::sync::Arc<str>,
    host: std::sync::Arc<str>,
}

impl EventRecorder {
    /// A recorder that writes in the background until `shutdown`. `component` is the reporting controller
    /// (`deployment-controller`), `host` the node or instance it runs on (may be empty).
    pub fn new(client: Client, component: &str, host: &str, shutdown: CancellationToken) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_events(client, receiver, shutdown));
        Self { sender, component: component.into(), host: host.into() }
    }

    /// Records an event about an object. Never waits: in a storm events are counted, then dropped.
    pub fn event(&self, about: &Value, event_type: EventType, reason: &str, message: &str) {
        self.event_on_field(about, "", event_type, reason, message);
    }

    /// The same about a part of the object, such as `spec.containers{web}`.
    pub fn event_on_field(&self, about: &Value, field_path: &str, event_type: EventType, reason: &str, message: &str) {
        let mut involved = json!({
            "kind": about.str_at(&["kind"]),
            "apiVersion": about.str_at(&["apiVersion"]),
            "name": about.name(),
            "uid": about.uid(),
        });
        for (field, value) in
            [("namespace", about.namespace()), ("resourceVersion", about.resource_version()), ("fieldPath", field_path)]
        {
            if !value.is_empty() {
                involved[field] = value.into();
            }
        }
        let now = crate::time::now();
        let mut source = json!({"component": &*self.component});
        if !self.host.is_empty() {
            source["host"] = (&*self.host).into();
        }
        let namespace = if about.namespace().is_empty() { "default" } else { about.namespace() };
        let event = json!({
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": event_name(about.name()), "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message.chars().take(1024).collect::<String>(),
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": format!("{event_type:?}"),
            "reportingComponent": &*self.component,
            "reportingInstance": &*self.host,
        });
        if self.sender.try_send(event).is_err() {
            tracing::debug!(reason, "event dropped");
        }
    }
}

/// `<object>.<time>`, as unique as the nanoseconds of the clock; cut so that it stays a valid name.
fn event_name(object: &str) -> String {
    let nanos = jiff::Timestamp::now().as_nanosecond();
    let object: String = object.chars().take(200).collect();
    format!("{}.{nanos:x}", if object.is_empty() { "event" } else { &object })
}

async fn write_events(client: Client, mut receiver: mpsc::Receiver<Value>, shutdown: CancellationToken) {
    let mut correlator = Correlator::default();
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = receiver.recv() => match event { Some(event) => event, None => return },
        };
        let outcome = correlator.correlate(event, jiff::Timestamp::now().as_millisecond() as f64 / 1000.0);
        for attempt in 0..3_u32 {
            match write_event(&client, &mut correlator, &outcome).await {
                Ok(()) => break,
                // Only a server that did not answer is asked again; one that refused has its reasons.
                Err(ClientError::Transport(error)) => {
                    tracing::debug!(error, "event not written");
                    tokio::time::sleep(std::time::Duration::from_millis(500 << attempt)).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "event refused");
                    break;
                }
            }
        }
    }
}

async fn write_event(client: &Client, correlator: &mut Correlator, outcome: &Outcome) -> Result<(), ClientError> {
    match outcome {
        Outcome::Drop => Ok(()),
        Outcome::Create { key, event } => {
            let created = client.create(&EVENTS, event.namespace(), event).await?;
            correlator.created(key, created.name());
            Ok(())
        }
        Outcome::Count { key, name, event } => {
            let patch = json!({
                "count": event["count"],
                "lastTimestamp": event["lastTimestamp"],
                "message": event["message"],
            });
            match client.patch(&EVENTS, event.namespace(), name, "", PatchType::Strategic, &patch).await {
                // The first event has run out meanwhile: this one starts anew, with the count so far.
                Err(error) if error.is_not_found() => {
                    let created = client.create(&EVENTS, event.namespace(), event).await?;
                    correlator.created(key, created.name());
                    Ok(())
                }
                other => other.map(drop),
            }
        }
    }
}

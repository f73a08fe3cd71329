//! Event objects: what happened to an object, for people, kept from becoming a storm.

use portcullis_machinery::Value;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

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
    sender: tokio::sync::mpsc::Sender<Value>,
}

impl EventRecorder {
    /// A recorder that writes in the background until `shutdown`. `component` is the reporting controller
    /// (`deployment-controller`), `host` the node or instance it runs on (may be empty).
    pub fn new(client: Client, component: &str, host: &str, shutdown: CancellationToken) -> Self {
        let _ = (client, component, host, shutdown);
        todo!()
    }

    /// Records an event about an object. Never waits: in a storm events are counted, then dropped.
    pub fn event(&self, about: &Value, event_type: EventType, reason: &str, message: &str) {
        let _ = (&self.sender, about, event_type, reason, message);
        todo!()
    }
}

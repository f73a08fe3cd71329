//! What a stage decides on: a small object whose members are the objects of the API.
//!
//! Paths and packing are those of `portcullis_machinery::tape`; this adds what a call needs beyond a reader.

use portcullis_machinery::tape;
use serde_json::Value;
use std::sync::Arc;

pub use portcullis_machinery::tape::Node;

/// The document of a call: anything that the projection reads, shared between threads.
///
/// It is shared (`Arc<dyn Document>`) and not borrowed, so that a guest can come back to it during the call (`review`)
/// without the host having to copy anything.
pub trait Document: tape::Document + Send + Sync + 'static {}

impl<D: tape::Document + Send + Sync + 'static> Document for D {}

/// The document of mutators, validators and object validators. See `mutator` in `wit/worlds.wit`.
#[derive(Clone, Debug, Default)]
pub struct AdmissionDocument {
    /// The object as it would be stored; `None` on delete.
    pub object: Option<Arc<Value>>,
    /// The object as it is stored, on update and delete.
    pub old_object: Option<Arc<Value>>,
    /// The Namespace that the object is in.
    pub namespace_object: Option<Arc<Value>>,
    /// Who asks for what: `uid`, `operation`, `kind`, `resource`, `userInfo`, `options`, ….
    pub request: Arc<Value>,
    /// What was made of `object` for the components that have read it; begin with the default.
    pub object_parts: tape::Parts,
    /// The same of `old_object`.
    pub old_object_parts: tape::Parts,
}

impl tape::Document for AdmissionDocument {
    fn root(&self, member: &str) -> Option<Node<'_>> {
        match member {
            "object" => self.object.as_deref().map(Node::Json),
            "oldObject" => self.old_object.as_deref().map(Node::Json),
            "namespaceObject" => self.namespace_object.as_deref().map(Node::Json),
            "request" => Some(Node::Json(&self.request)),
            _ => None,
        }
    }

    fn shared(&self, member: &str) -> Option<tape::Shared<'_>> {
        let (value, parts) = match member {
            "object" => (self.object.as_deref()?, &self.object_parts),
            "oldObject" => (self.old_object.as_deref()?, &self.old_object_parts),
            _ => return None,
        };
        Some(tape::Shared { value, parts })
    }

    fn members(&self) -> Vec<&str> {
        [
            self.namespace_object.as_ref().map(|_| "namespaceObject"),
            self.object.as_ref().map(|_| "object"),
            self.old_object.as_ref().map(|_| "oldObject"),
            Some("request"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A document that is one JSON object: the documents of authenticators (`tls`, `authorization`, `request`), of
/// authorizers (`user`, `request`) and of schedulers (`pod`).
#[derive(Clone, Debug)]
pub struct JsonDocument(pub Value);

impl tape::Document for JsonDocument {
    fn root(&self, member: &str) -> Option<Node<'_>> {
        tape::Document::root(&self.0, member)
    }

    fn members(&self) -> Vec<&str> {
        tape::Document::members(&self.0)
    }
}

/// The document of a scheduler component, without a copy of the pod.
#[derive(Clone, Debug)]
pub struct PodDocument(pub Arc<Value>);

impl tape::Document for PodDocument {
    fn root(&self, member: &str) -> Option<Node<'_>> {
        (member == "pod").then_some(Node::Json(&self.0))
    }

    fn members(&self) -> Vec<&str> {
        vec!["pod"]
    }
}

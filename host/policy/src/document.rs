//! What a stage decides on: a small object whose members are the objects of the API.

use serde_json::Value;
use std::sync::Arc;

/// A value inside a document, in the form in which the host has it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Node<'a> {
    /// An object or a part of one, as the write path holds it.
    Json(&'a Value),
    /// A value inside a tape, as informers hold objects.
    Tape(portcullis_tape::ValueRef<'a>),
}

/// The document of a call. Its root is an object; this gives that object's members. Which ones there are is fixed for
/// each stage by `wit/worlds.wit`.
///
/// It is shared and not borrowed, so that a guest can come back to it during the call (`review`) without the host
/// having to copy anything.
pub trait Document: Send + Sync + 'static {
    /// The member of that name, or `None` if it is absent (which is not `null`).
    fn member(&self, name: &str) -> Option<Node<'_>>;

    /// The names of the members that are there, in the order of the document.
    fn names(&self) -> Vec<&str>;
}

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
}

impl Document for AdmissionDocument {
    fn member(&self, name: &str) -> Option<Node<'_>> {
        match name {
            "object" => self.object.as_deref().map(Node::Json),
            "oldObject" => self.old_object.as_deref().map(Node::Json),
            "namespaceObject" => self.namespace_object.as_deref().map(Node::Json),
            "request" => Some(Node::Json(&self.request)),
            _ => None,
        }
    }

    fn names(&self) -> Vec<&str> {
        [
            self.object.as_ref().map(|_| "object"),
            self.old_object.as_ref().map(|_| "oldObject"),
            self.namespace_object.as_ref().map(|_| "namespaceObject"),
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

impl Document for JsonDocument {
    fn member(&self, name: &str) -> Option<Node<'_>> {
        self.0.get(name).map(Node::Json)
    }

    fn names(&self) -> Vec<&str> {
        self.0.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
    }
}

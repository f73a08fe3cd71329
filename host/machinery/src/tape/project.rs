//! Projections: the declared paths of a policy, evaluated over a document and packed into one buffer.

use super::convert::{to_value, write_json, write_scalar, write_value};
use super::parts::Shared;
use crate::path::{Pattern, Segment, array_index, parse_pointer};
use portcullis_tape::{Builder, Kind, ValueRef};
use serde_json::Value;

/// A value of a document, in either of its forms.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    /// A JSON value.
    Json(&'a Value),
    /// A value in a tape.
    Tape(ValueRef<'a>),
}

/// What projections are taken from: an object whose members may come from different places (for admission `object`,
/// `oldObject`, `namespaceObject` and `request`; see `wit/worlds.wit`).
pub trait Document {
    /// A member of the document, if it is there.
    fn root(&self, member: &str) -> Option<Node<'_>>;
    /// The names of the members that are there, in ascending order: what the empty path and a leading `*` go through.
    fn members(&self) -> Vec<&str>;
    /// A member that several projections are taken from, with the tapes that have been made of its parts.
    fn shared(&self, _member: &str) -> Option<Shared<'_>> {
        None
    }
}

impl Document for Value {
    fn root(&self, member: &str) -> Option<Node<'_>> {
        self.get(member).map(Node::Json)
    }
    fn members(&self) -> Vec<&str> {
        self.as_object().map_or_else(Vec::new, |members| members.keys().map(String::as_str).collect())
    }
}

impl Document for portcullis_tape::Tape<'_> {
    fn root(&self, member: &str) -> Option<Node<'_>> {
        let value = portcullis_tape::Tape::root(self).get(member);
        if value.is_absent() { None } else { Some(Node::Tape(value)) }
    }
    fn members(&self) -> Vec<&str> {
        portcullis_tape::Tape::root(self).entries().map(|(key, _)| key).collect()
    }
}

/// The most bytes that a packed projection may have: three times the largest object that the API accepts.
pub const MAX_PROJECTION: usize = 12 << 20;

/// Why a projection cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// The declared paths select more than [`MAX_PROJECTION`] bytes.
    #[error("the declared paths select more than {MAX_PROJECTION} bytes")]
    TooLarge,
    /// The values cannot be written as a tape.
    #[error("{0}")]
    Tape(#[from] portcullis_tape::Error),
}

/// Packs one entry for each pattern into a tape whose root is the array of the entries: the value found or *absent*;
/// with `*`, the array of all values found, in document order (members of an object in the order of their keys).
pub fn project(document: &dyn Document, patterns: &[Pattern]) -> Result<Vec<u8>, ProjectError> {
    let mut sink = TapeSink(Builder::with_capacity(512));
    walk(document, patterns, &mut sink)?;
    Ok(sink.0.finish()?)
}

/// The same as JSON text, with `null` where a path is absent.
pub fn project_json(document: &dyn Document, patterns: &[Pattern]) -> Result<Vec<u8>, ProjectError> {
    let mut sink = JsonSink(Vec::with_capacity(512));
    walk(document, patterns, &mut sink)?;
    Ok(sink.0)
}

/// The value at a JSON pointer as a tape of its own, or `None` if it is absent (or the pointer is malformed).
pub fn lookup(document: &dyn Document, pointer: &str) -> Option<Vec<u8>> {
    let segments = parse_pointer(pointer).ok()?.into_iter().map(Segment::Key).collect::<Vec<_>>();
    let mut builder = Builder::new();
    match segments.split_first() {
        None => TapeSink::whole(&mut builder, document),
        Some((Segment::Key(first), rest)) => match descend(document.root(first)?, rest)? {
            Node::Json(value) => write_value(&mut builder, value),
            Node::Tape(value) => builder.value(value),
        },
        Some((Segment::Any, _)) => return None,
    }
    builder.finish().ok()
}

/// Where entries go: a tape or JSON text.
trait Sink {
    fn begin(&mut self);
    fn separate(&mut self);
    fn end(&mut self);
    fn absent(&mut self);
    fn node(&mut self, node: Node<'_>);
    fn maybe(&mut self, node: Option<Node<'_>>) {
        match node {
            Some(node) => self.node(node),
            None => self.absent(),
        }
    }
    /// A member of the document or, if there is a key, what the member has under it.
    fn part(&mut self, document: &dyn Document, member: &str, key: Option<&str>) {
        self.maybe(part_of(document, member, key));
    }
    fn document(&mut self, document: &dyn Document);
    fn len(&self) -> usize;
}

struct TapeSink(Builder);

impl TapeSink {
    fn whole(builder: &mut Builder, document: &dyn Document) {
        builder.begin_object();
        for member in document.members() {
            let Some(node) = document.root(member) else { continue };
            builder.key(member);
            match node {
                Node::Json(value) => write_value(builder, value),
                Node::Tape(value) => builder.value(value),
            }
        }
        builder.end_object();
    }
}

impl Sink for TapeSink {
    fn begin(&mut self) {
        self.0.begin_array();
    }
    fn separate(&mut self) {}
    fn end(&mut self) {
        self.0.end_array();
    }
    fn absent(&mut self) {
        self.0.absent();
    }
    fn node(&mut self, node: Node<'_>) {
        match node {
            Node::Json(value) => write_value(&mut self.0, value),
            Node::Tape(value) => self.0.value(value),
        }
    }
    fn part(&mut self, document: &dyn Document, member: &str, key: Option<&str>) {
        match (document.shared(member), key) {
            (Some(shared), None) => shared.write(&mut self.0),
            (Some(shared), Some(key)) => shared.write_part(&mut self.0, key),
            (None, key) => self.maybe(part_of(document, member, key)),
        }
    }
    fn document(&mut self, document: &dyn Document) {
        Self::whole(&mut self.0, document);
    }
    fn len(&self) -> usize {
        self.0.len()
    }
}

struct JsonSink(Vec<u8>);

impl Sink for JsonSink {
    fn begin(&mut self) {
        self.0.push(b'[');
    }
    fn separate(&mut self) {
        self.0.push(b',');
    }
    fn end(&mut self) {
        self.0.push(b']');
    }
    fn absent(&mut self) {
        self.0.extend_from_slice(b"null");
    }
    fn node(&mut self, node: Node<'_>) {
        match node {
            Node::Json(value) => write_scalar(&mut self.0, value),
            Node::Tape(value) => write_json(&mut self.0, value),
        }
    }
    fn document(&mut self, document: &dyn Document) {
        self.0.push(b'{');
        let mut first = true;
        for member in document.members() {
            let Some(node) = document.root(member) else { continue };
            if !std::mem::take(&mut first) {
                self.0.push(b',');
            }
            write_scalar(&mut self.0, &member);
            self.0.push(b':');
            self.node(node);
        }
        self.0.push(b'}');
    }
    fn len(&self) -> usize {
        self.0.len()
    }
}

fn part_of<'a>(document: &'a dyn Document, member: &str, key: Option<&str>) -> Option<Node<'a>> {
    let node = document.root(member)?;
    key.map_or(Some(node), |key| node.child(key))
}

fn walk(document: &dyn Document, patterns: &[Pattern], sink: &mut impl Sink) -> Result<(), ProjectError> {
    sink.begin();
    for (index, pattern) in patterns.iter().enumerate() {
        if index > 0 {
            sink.separate();
        }
        match (pattern.segments().split_first(), pattern.is_multiple()) {
            (None, _) => sink.document(document),
            (Some((Segment::Key(member), [])), false) => sink.part(document, member, None),
            (Some((Segment::Key(member), [Segment::Key(key)])), false) => sink.part(document, member, Some(key)),
            (Some((Segment::Key(first), rest)), false) => {
                sink.maybe(document.root(first).and_then(|node| descend(node, rest)));
            }
            (Some((Segment::Key(first), rest)), true) => {
                sink.begin();
                if let Some(node) = document.root(first) {
                    every(node, rest, sink, &mut true)?;
                }
                sink.end();
            }
            (Some((Segment::Any, rest)), _) => {
                sink.begin();
                let mut first = true;
                for node in document.members().into_iter().filter_map(|member| document.root(member)) {
                    every(node, rest, sink, &mut first)?;
                }
                sink.end();
            }
        }
        if sink.len() > MAX_PROJECTION {
            return Err(ProjectError::TooLarge);
        }
    }
    sink.end();
    Ok(())
}

impl<'a> Node<'a> {
    fn child(self, segment: &str) -> Option<Node<'a>> {
        match self {
            Self::Json(Value::Object(members)) => members.get(segment).map(Node::Json),
            Self::Json(Value::Array(items)) => items.get(array_index(segment)?).map(Node::Json),
            Self::Json(_) => None,
            Self::Tape(value) => {
                let child = match value.kind() {
                    Kind::Object => value.get(segment),
                    Kind::Array => value.index(array_index(segment)?),
                    _ => return None,
                };
                if child.is_absent() { None } else { Some(Node::Tape(child)) }
            }
        }
    }

    /// The node as a JSON value of its own.
    pub fn to_value(self) -> Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Tape(value) => to_value(value),
        }
    }
}

fn descend<'a>(node: Node<'a>, segments: &[Segment]) -> Option<Node<'a>> {
    segments.iter().try_fold(node, |node, segment| match segment {
        Segment::Key(key) => node.child(key),
        Segment::Any => None,
    })
}

/// Writes every match of `segments` below a node. `first` says whether no match was written yet.
fn every(node: Node<'_>, segments: &[Segment], sink: &mut impl Sink, first: &mut bool) -> Result<(), ProjectError> {
    let Some((segment, rest)) = segments.split_first() else {
        if !std::mem::take(first) {
            sink.separate();
        }
        sink.node(node);
        return if sink.len() > MAX_PROJECTION { Err(ProjectError::TooLarge) } else { Ok(()) };
    };
    match (segment, node) {
        (Segment::Key(key), node) => node.child(key).map_or(Ok(()), |child| every(child, rest, sink, first)),
        (Segment::Any, Node::Json(Value::Array(items))) => {
            items.iter().try_for_each(|item| every(Node::Json(item), rest, sink, first))
        }
        (Segment::Any, Node::Json(Value::Object(members))) => {
            members.values().try_for_each(|value| every(Node::Json(value), rest, sink, first))
        }
        (Segment::Any, Node::Json(_)) => Ok(()),
        (Segment::Any, Node::Tape(value)) => {
            value.iter().try_for_each(|item| every(Node::Tape(item), rest, sink, first))?;
            value.entries().try_for_each(|(_, member)| every(Node::Tape(member), rest, sink, first))
        }
    }
}

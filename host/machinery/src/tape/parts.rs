//! The tapes of an object's parts, made once for all who read it.
//!
//! A request's object goes to several components, and most of them read all of it or all of its spec. Each of its members
//! is made a tape when it is first asked for; after that it is copied as bytes, without a walk over its values.

use super::convert::write_value;
use portcullis_tape::{Builder, MAX_DEPTH, Tape};
use serde_json::Value;
use std::sync::OnceLock;

/// How many containers a part is in at most: the list of entries and the object.
const AROUND: usize = 2;

/// The tapes of an object's members, in the order of the members; empty until they are asked for. It belongs to one
/// object, which does not change.
#[derive(Debug, Default)]
pub struct Parts(OnceLock<Box<[OnceLock<Option<Vec<u8>>>]>>);

impl Clone for Parts {
    /// What was made for another object, or another state of it, is of no use.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A member of a document with the tapes of its parts.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// The member.
    pub value: &'a Value,
    /// Its parts.
    pub parts: &'a Parts,
}

impl Shared<'_> {
    /// Writes all of it.
    pub(super) fn write(&self, builder: &mut Builder) {
        let Some(members) = self.value.as_object() else { return write_value(builder, self.value) };
        builder.begin_object();
        for (index, (key, value)) in members.iter().enumerate() {
            builder.key(key);
            self.write_member(builder, index, value);
        }
        builder.end_object();
    }

    /// Writes what it has under a key, or that there is nothing.
    pub(super) fn write_part(&self, builder: &mut Builder, key: &str) {
        let members = self.value.as_object().into_iter().flatten().enumerate();
        match members.into_iter().find(|(_, (name, _))| *name == key) {
            Some((index, (_, value))) => self.write_member(builder, index, value),
            None => builder.absent(),
        }
    }

    fn write_member(&self, builder: &mut Builder, index: usize, value: &Value) {
        if !(value.is_object() || value.is_array()) {
            return write_value(builder, value);
        }
        let count = self.value.as_object().map_or(0, serde_json::Map::len);
        let parts = self.parts.0.get_or_init(|| (0..count).map(|_| OnceLock::new()).collect());
        let made = parts.get(index).and_then(|part| {
            part.get_or_init(|| {
                let mut builder = Builder::with_capacity(1024);
                write_value(&mut builder, value);
                if builder.deepest() + AROUND > MAX_DEPTH { None } else { builder.finish().ok() }
            })
            .as_deref()
        });
        match made.map(Tape::trusted) {
            Some(tape) => builder.tape(tape),
            // It is too deep or too long, which the builder finds out again, and reports.
            None => write_value(builder, value),
        }
    }
}

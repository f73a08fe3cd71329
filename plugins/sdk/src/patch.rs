//! Builds JSON patches (RFC 6902) for mutators.

use serde::Serialize;

use crate::{Operation, PatchOperation};

/// Operations on the object under review, in the order they are to be applied.
#[derive(Default)]
pub struct Patch {
    operations: Vec<PatchOperation>,
}

impl Patch {
    /// An empty patch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the member or inserts the element at `path` (`/-` at the end appends).
    pub fn add(&mut self, path: impl Into<String>, value: &impl Serialize) -> &mut Self {
        self.push(Operation::Add, path.into(), Some(value))
    }

    /// Replaces what is at `path`, which must exist.
    pub fn replace(&mut self, path: impl Into<String>, value: &impl Serialize) -> &mut Self {
        self.push(Operation::Replace, path.into(), Some(value))
    }

    /// Removes what is at `path`, which must exist.
    pub fn remove(&mut self, path: impl Into<String>) -> &mut Self {
        self.push(Operation::Remove, path.into(), None::<&()>)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations.
    pub fn into_operations(self) -> Vec<PatchOperation> {
        self.operations
    }

    fn push(&mut self, op: Operation, path: String, value: Option<&impl Serialize>) -> &mut Self {
        // Serializing fails for maps whose keys are not strings only, which JSON could not hold anyway.
        let value = value.map(|value| serde_json::to_string(value).expect("a value that JSON can hold"));
        self.operations.push(PatchOperation { op, path, value: value.unwrap_or_default() });
        self
    }
}

impl Patch {
    /// Escapes a key for use as a segment of a JSON pointer (RFC 6901): `a/b~c` becomes `a~1b~0c`.
    pub fn segment(key: &str) -> String {
        key.replace('~', "~0").replace('/', "~1")
    }
}

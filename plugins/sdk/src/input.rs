//! The declared values of a call.

use portcullis_tape::{Items, Tape, ValueRef};

/// The values that a policy declared, by the index of their path.
pub struct Input<'a> {
    root: ValueRef<'a>,
}

impl<'a> Input<'a> {
    /// Reads a packed input. The host packed it, so it is not verified again; should it be broken, values read as
    /// absent, and a policy must fail closed on those anyway.
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { root: Tape::trusted(bytes).root() }
    }

    /// The value of path `index`, or absent (`null` is a value).
    pub fn get(&self, index: usize) -> ValueRef<'a> {
        self.root.index(index)
    }

    /// All values of path `index`, if it has a `*` or is an array.
    pub fn all(&self, index: usize) -> Items<'a> {
        self.get(index).iter()
    }

    /// The text of path `index`, or the empty string if it is absent or no string.
    pub fn str(&self, index: usize) -> &'a str {
        self.get(index).str_or_empty()
    }
}

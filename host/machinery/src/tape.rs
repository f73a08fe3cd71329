//! Between JSON text, JSON values and the tape, and the packed projections that policies get.
//!
//! The tape's own reader and writer are the crate `portcullis-tape`; its format is `wit/tape.md`.

mod convert;
mod parts;
mod project;

pub use convert::{TapeError, from_json_slice, from_value, to_json, to_value, write_value};
pub use parts::{Parts, Shared};
pub use portcullis_tape::{Builder, Kind, Tape, ValueRef, join};
pub use project::{Document, MAX_PROJECTION, Node, ProjectError, lookup, project, project_json};

#[cfg(test)]
mod tests;

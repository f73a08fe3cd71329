//! The tape: one position-independent buffer for a JSON document, read in place by host and guests alike.
//!
//! The format is specified in `wit/tape.md`. [`Tape::new`] verifies a buffer in one linear pass before anything reads
//! it; [`Tape::trusted`] skips that, for a guest that reads what its host packed. Neither ever panics: reads are bounds
//! checked, and what cannot be read is *absent*. [`Builder`] writes a tape in one pass over a document.

#![forbid(unsafe_code)]

mod builder;
mod format;
mod reader;
mod verify;

pub use builder::{Builder, join};
pub use format::{Error, Kind, MAX_DEPTH, MAX_LENGTH};
pub use reader::{Entries, Items, Tape, ValueRef};

#[cfg(test)]
mod tests;

//! What one attempt to write a version that was built from another one comes to.
//!
//! An attempt that rests on a cached version is made again with what the store holds when anything refuses it. Never once
//! the store itself has failed: the write may have taken place, and made again it would find its own result, and be refused
//! for that, or take place twice. That there is nothing to change is believed only of what the store holds.

use portcullis_machinery::{Status, Value};
use portcullis_storage::StoreError;

use super::scope::store_error;
use super::stored::Stored;

/// See the module.
pub enum Attempt {
    /// The object as it is now, and whether it was made (by a write) or is gone (by a deletion).
    Done(Stored, bool),
    /// There is nothing to change: the object as it was read.
    Unchanged(Value),
    /// Another write came in between.
    Overtaken,
    /// The store failed. Whether the write took place may not be known.
    Failed(Status),
}

impl Attempt {
    /// What an error of the store comes to.
    pub fn refused(error: &StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Overtaken,
            other => Self::Failed(store_error(other)),
        }
    }
}

//! The place where a plugin serves.

use crate::{CallError, Policy};
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// The version of a plugin that serves now, if any. A swap is one atomic store: a call that took the old version
/// finishes on it, and the old one is dropped with the last such call. There is no moment without a version.
#[derive(Default)]
pub struct Slot(ArcSwapOption<Policy>);

impl Slot {
    /// A slot in which `policy` serves.
    pub fn new(policy: Option<Arc<Policy>>) -> Slot {
        Slot(ArcSwapOption::new(policy))
    }

    /// The version that serves now.
    pub fn current(&self) -> Result<Arc<Policy>, CallError> {
        self.0.load_full().ok_or(CallError::NotLoaded)
    }

    /// Puts `policy` into service and returns the version that served until now.
    pub fn swap(&self, policy: Option<Arc<Policy>>) -> Option<Arc<Policy>> {
        self.0.swap(policy)
    }
}

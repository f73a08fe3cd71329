//! What a module is.

use crate::{Digest, Grant, Stage};

/// What a component exports, imports and weighs.
#[derive(Clone, Debug)]
pub struct ModuleInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: usize,
    /// The stage whose interface it exports, if it is a policy of this version.
    pub stage: Option<Stage>,
    /// The interfaces that it imports, in full.
    pub imports: Vec<String>,
    /// The interfaces that it exports, in full.
    pub exports: Vec<String>,
    /// The grants that its imports need.
    pub grants: Vec<Grant>,
}

//! The root of a custom resource's type: its structural schema, and the JSON that clients are shown.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::structural::Structural;

/// See the module.
pub struct CustomType {
    structural: Arc<Structural>,
    json: Value,
    hash: String,
    derived: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl CustomType {
    /// A type of its schema in both forms.
    pub fn new(structural: Arc<Structural>, json: Value) -> Self {
        let hash = Sha256::digest(json.to_string()).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { structural, json, hash, derived: OnceLock::new() }
    }

    /// The schema to work with.
    pub fn structural(&self) -> &Arc<Structural> {
        &self.structural
    }

    /// The schema as the definition has it.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// What somebody makes of the schema once and needs for every instance (compiled rules). There is one such thing for
    /// a type; asking for it as something else gives `None`.
    pub fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Structural) -> T) -> Option<Arc<T>> {
        let made = self.derived.get_or_init(|| Arc::new(make(&self.structural)));
        Arc::clone(made).downcast().ok()
    }

    /// A hash of the schema: equal for equal schemas.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The hash stands for the type: it may be large, and is printed to tell types apart.
impl std::fmt::Debug for CustomType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomType").field("hash", &self.hash).finish_non_exhaustive()
    }
}

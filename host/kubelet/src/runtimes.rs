//! The runtimes of a node, by the handler that RuntimeClasses name.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_client::{Informer, ObjectExt};
use portcullis_machinery::Value;

use crate::runtime::ContainerRuntime;

/// Why no runtime was found for a pod.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRuntime {
    /// The pod names a RuntimeClass that there is none of.
    #[error("failed to get sandbox runtime: RuntimeClass {0:?} not found")]
    NoClass(String),
    /// The pod names no RuntimeClass, so its images are for the runtime of this node, which it has none of.
    #[error(
        "no container runtime for handler \"\" on this node: ordinary container images wait for a CRI runtime; Wasm \
         workloads say runtimeClassName: wasm"
    )]
    NoDefault,
    /// The RuntimeClass's handler is none of this node's.
    #[error("failed to get sandbox runtime: no runtime for {0:?} is configured")]
    NoHandler(String),
}

/// The runtimes of a node. The one with the empty handler runs the pods that name no RuntimeClass.
#[derive(Clone, Default)]
pub struct Runtimes {
    by_handler: HashMap<String, Arc<dyn ContainerRuntime>>,
}

impl Runtimes {
    /// Adds a runtime under the handler that it says it has.
    #[must_use]
    pub fn with(mut self, runtime: Arc<dyn ContainerRuntime>) -> Self {
        self.by_handler.insert(runtime.handler().to_owned(), runtime);
        self
    }

    /// The handlers, sorted.
    pub fn handlers(&self) -> Vec<&str> {
        let mut handlers: Vec<&str> = self.by_handler.keys().map(String::as_str).collect();
        handlers.sort_unstable();
        handlers
    }

    /// All runtimes.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn ContainerRuntime>> {
        self.by_handler.values()
    }

    /// The runtime for a pod, by the handler of its RuntimeClass.
    ///
    /// # Errors
    /// Why there is none.
    pub fn for_pod(&self, pod: &Value, classes: &Informer) -> Result<Arc<dyn ContainerRuntime>, NoRuntime> {
        let class = pod.str_at(&["spec", "runtimeClassName"]);
        if class.is_empty() {
            return self.by_handler.get("").cloned().ok_or(NoRuntime::NoDefault);
        }
        let found = classes.get("", class).ok_or_else(|| NoRuntime::NoClass(class.to_owned()))?;
        let handler = found.str_at(&["handler"]);
        self.by_handler.get(handler).cloned().ok_or_else(|| NoRuntime::NoHandler(handler.to_owned()))
    }
}

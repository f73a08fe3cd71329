//! Where the objects come from that a pod refers to.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_machinery::Value;

mod api;
#[cfg(test)]
pub(crate) mod fixed;

pub use self::api::ApiSource;

/// The objects that pods of this node refer to. `Ok(None)` means that there is no such object; an error, that this is
/// not known now.
#[async_trait]
pub trait ObjectSource: Send + Sync + 'static {
    /// A ConfigMap.
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String>;

    /// A Secret.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String>;

    /// The Services of a namespace.
    async fn services(&self, namespace: &str) -> Result<Vec<Arc<Value>>, String>;

    /// Asks for a token of a ServiceAccount with a `TokenRequest`, and answers with the request's status filled in.
    async fn token(&self, namespace: &str, service_account: &str, request: &Value) -> Result<Value, String>;
}

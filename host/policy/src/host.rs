//! What a component may ask of the server.

use crate::{KeySets, LogLevel, LogLine, ReadError, VerifyError};
use serde_json::Value;
use std::sync::Arc;

/// The server, as policies see it. Its methods are called from inside a guest's call: they must be quick and must not
/// wait for another policy. A panic in one of them ends that call and nothing else.
pub trait PolicyHost: Send + Sync + 'static {
    /// One object of the cluster, from the watch cache, if RBAC lets `identity` get it; `None` if there is no such
    /// object. `resource` is `pods` or `deployments.apps`; `namespace` is empty for cluster-scoped resources.
    fn cluster_get(
        &self,
        identity: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, ReadError>;

    /// Whether `signature` over `message` is good under a key of `key_set` (see [`KeySets::verify`]).
    fn verify(
        &self,
        key_set: &str,
        key_id: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError>;

    /// One line of a plugin's log, already cut to its bounds. The default writes it to the process's log, those that
    /// the plugin's own level lets through to the target [`CHOSEN`](crate::log::CHOSEN), which is to be enabled in whole.
    fn log(&self, line: &LogLine<'_>) {
        let LogLine { identity: plugin, request, message, .. } = *line;
        macro_rules! write {
            ($target:expr) => {
                match line.level {
                    LogLevel::Debug => tracing::debug!(target: $target, plugin, request, "{message}"),
                    LogLevel::Info => tracing::info!(target: $target, plugin, request, "{message}"),
                    LogLevel::Warn => tracing::warn!(target: $target, plugin, request, "{message}"),
                    LogLevel::Error => tracing::error!(target: $target, plugin, request, "{message}"),
                }
            };
        }
        match line.chosen {
            true => write!(crate::log::CHOSEN),
            false => write!("portcullis::plugin"),
        }
    }
}

/// What a scheduler component may ask about the nodes of the batch that it was given.
pub trait Scheduling: Send + Sync {
    /// For each node of the batch, in order, how many pods on it are in `namespace` and match `selector`, a
    /// LabelSelector as JSON text.
    fn count_pods(&self, namespace: &str, selector: &str) -> Vec<u32>;
}

/// A host without a cluster: for tools and tests, and for roles that have nothing to read. It checks signatures with
/// the key sets it is given.
#[derive(Default)]
pub struct DetachedHost {
    /// The key sets for `signatures.verify`.
    pub keys: KeySets,
}

impl PolicyHost for DetachedHost {
    fn cluster_get(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Option<Arc<Value>>, ReadError> {
        Err(ReadError::Unavailable("there is no cluster to read".to_owned()))
    }

    fn verify(
        &self,
        key_set: &str,
        key_id: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        self.keys.verify(key_set, key_id, algorithm, message, signature)
    }
}

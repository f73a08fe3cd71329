//! The audit log: who asked for what, when, and what came of it (API reference, "Auditing").
//!
//! [`Audit`] is a policy and a log. Each request has a [`Record`] that goes with its context; the policy is asked once
//! the caller is known, and events are made at the stages of the request. Facts from authorization and from policies are
//! annotations of the record: `authorization.k8s.io/decision`, `<plugin>/<key>`.

mod log;
mod policy;
mod record;

use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use serde::Deserialize;

pub use policy::{Level, Policy};
pub use record::Record;

use crate::authn::ConnectionInfo;
use crate::context::RequestInfo;

/// A moment of a request at which an event is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Stage {
    /// The caller is known.
    RequestReceived,
    /// A watch or a connection begins to answer.
    ResponseStarted,
    /// The answer is complete.
    ResponseComplete,
    /// The request panicked.
    Panic,
}

impl Stage {
    /// The word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The policy file holds no policy.
    #[error("{path} is no audit policy: {why}")]
    Policy {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A server's audit log.
pub struct Audit {
    policy: Policy,
    log: log::Log,
}

impl Audit {
    /// Opens the log at `path` (`-` is the standard output), with the policy of a file or else everything at level
    /// Metadata. Blocking.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(path: &Path, policy_file: Option<&Path>) -> Result<Arc<Self>, AuditError> {
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| AuditError::Io { path, source }
        };
        let policy = match policy_file {
            None => Policy::metadata(),
            Some(file) => {
                let text = std::fs::read(file).map_err(io(file))?;
                Policy::parse(&text).map_err(|why| AuditError::Policy { path: file.display().to_string(), why })?
            }
        };
        Ok(Arc::new(Self { policy, log: log::Log::open(path).map_err(io(path))? }))
    }

    /// Begins the record of a request.
    pub fn begin(
        self: &Arc<Self>,
        id: &str,
        uri: String,
        info: &RequestInfo,
        connection: &ConnectionInfo,
        headers: &HeaderMap,
    ) -> Arc<Record> {
        Arc::new(Record::new(Arc::clone(self), id, uri, info, connection.remote.ip(), headers))
    }

    /// Waits for what is queued to be written. Blocking.
    pub fn flush(&self) {
        self.log.flush();
    }

    /// Counts of events as Prometheus text.
    pub fn metrics(&self) -> String {
        self.log.metrics()
    }
}

#[cfg(test)]
mod tests;

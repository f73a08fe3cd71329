//! What can go wrong between a component and the API server.

use portcullis_machinery::Status;

/// Why a call to the API gave no object.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered, and said no.
    #[error("{0}")]
    Api(Box<Status>),
    /// No answer came: the connection could not be made, or broke.
    #[error("connection to the API server: {0}")]
    Transport(String),
    /// An answer came that is not what the API says it should be.
    #[error("unexpected answer from the API server: {0}")]
    Decode(String),
    /// The kubeconfig, a certificate or a token cannot be used.
    #[error("client configuration: {0}")]
    Config(String),
}

impl ClientError {
    /// The HTTP code of the server's answer; 0 if there was none.
    pub fn code(&self) -> u16 {
        match self {
            Self::Api(status) => status.code,
            _ => 0,
        }
    }

    /// The Status reason of the server's answer; empty if there was none.
    pub fn reason(&self) -> &str {
        match self {
            Self::Api(status) => &status.reason,
            _ => "",
        }
    }

    /// 404.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// 409 because the write lost against another one, or a precondition failed.
    pub fn is_conflict(&self) -> bool {
        self.code() == 409 && self.reason() != "AlreadyExists"
    }

    /// 409 because the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// 410: the revision or the continue token is too old.
    pub fn is_gone(&self) -> bool {
        self.code() == 410 || matches!(self.reason(), "Expired" | "Gone")
    }

    /// 403 because the namespace is being deleted: creating there again is pointless.
    pub fn is_namespace_terminating(&self) -> bool {
        match self {
            Self::Api(status) => status
                .details
                .as_ref()
                .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")),
            _ => false,
        }
    }

    /// How many seconds the server asks to wait, if it does.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Api(status) => {
                status.details.as_ref().map(|d| u64::from(d.retry_after_seconds)).filter(|seconds| *seconds > 0)
            }
            _ => None,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Api(Box::new(status))
    }
}

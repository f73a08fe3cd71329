//! What etcd's errors mean.

use etcd_client::Error;
use portcullis_storage::StoreError;
use tonic::{Code, Status};

/// The largest request that etcd takes by default, in bytes.
pub(crate) const MAX_REQUEST: usize = 1_572_864;

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The revision's history is gone.
    #[error("the revision has been compacted")]
    Compacted,
    /// The revision has not happened yet.
    #[error("the revision is in the future")]
    Future,
    /// The request is larger than etcd accepts.
    #[error("the request is too large")]
    TooLarge,
    /// The lease has ended.
    #[error("the lease has ended")]
    LeaseGone,
    /// The request has certainly not been looked at; another member, or the same one later, may take it.
    #[error("{0}")]
    NotTaken(String),
    /// The request may have taken effect or not.
    #[error("{0}")]
    Unknown(String),
    /// etcd has refused, and will again.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// The error for a caller who did not ask for a revision, and wrote `size` bytes.
    pub(crate) fn into_error(self, size: usize) -> StoreError {
        match self {
            Self::TooLarge => StoreError::TooLarge { size, limit: MAX_REQUEST },
            Self::Compacted => StoreError::Compacted { compact_revision: 0 },
            Self::Future => StoreError::FutureRevision { current: 0 },
            other => StoreError::Unavailable(other.to_string()),
        }
    }
}

/// Whether the connection could not even be made.
fn never_connected(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn of_status(status: &Status) -> Failure {
    let message = status.message();
    let text = || format!("etcd: {}", message.trim_start_matches("etcdserver: "));
    match status.code() {
        Code::OutOfRange if message.contains("compacted") => Failure::Compacted,
        Code::OutOfRange if message.contains("future revision") => Failure::Future,
        Code::InvalidArgument if message.contains("request is too large") => Failure::TooLarge,
        Code::ResourceExhausted if message.contains("larger than max") => Failure::TooLarge,
        Code::NotFound if message.contains("lease not found") => Failure::LeaseGone,
        Code::Unavailable if never_connected(status) || message.contains("no leader") => Failure::NotTaken(text()),
        // Of a server that is stopping the request may have gone further than the answer.
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal => {
            Failure::Unknown(text())
        }
        _ => Failure::Refused(text()),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::GRpcStatus(status) => of_status(&status),
            Error::TransportError(error) => Self::Unknown(format!("etcd: {error}")),
            other => Self::Refused(format!("etcd: {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let check = |code, message: &str, expected: Failure| {
            assert_eq!(Failure::from(Error::GRpcStatus(Status::new(code, message))), expected, "{message}");
        };
        check(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", Failure::Compacted);
        check(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision", Failure::Future);
        check(Code::InvalidArgument, "etcdserver: request is too large", Failure::TooLarge);
        check(Code::ResourceExhausted, "grpc: received message larger than max (3 vs. 2)", Failure::TooLarge);
        check(Code::NotFound, "etcdserver: requested lease not found", Failure::LeaseGone);
        check(Code::Unavailable, "etcdserver: no leader", Failure::NotTaken("etcd: no leader".into()));
        check(Code::Unavailable, "etcdserver: request timed out", Failure::Unknown("etcd: request timed out".into()));
        let full = "etcdserver: mvcc: database space exceeded";
        check(Code::ResourceExhausted, full, Failure::Refused("etcd: mvcc: database space exceeded".into()));
    }
}

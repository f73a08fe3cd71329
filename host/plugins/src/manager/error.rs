//! Why a Plugin did not take effect.

use portcullis_policy::{Digest, LoadError, Stage};

use crate::rollout::plan::UnknownRevision;
use crate::spec::SpecError;

/// Why a Plugin did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The object says something that it cannot.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The module cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The version that is to serve beside the one described is not there.
    #[error(transparent)]
    Revision(#[from] UnknownRevision),
    /// The version that serves is of another stage.
    #[error("the version that serves is of the stage {0}: a version of another stage can only take over at once")]
    OtherStage(Stage),
    /// The source names something that is not here.
    #[error("{0}")]
    Source(String),
}

impl ApplyError {
    /// Whether the same Plugin may load later, with nothing changed about it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Load(error) => error.is_transient(),
            Self::Revision(_) => true,
            _ => false,
        }
    }

    /// The module that was not found, if that is what is wrong.
    pub fn missing(&self) -> Option<Digest> {
        match self {
            Self::Load(LoadError::UnknownDigest(digest)) => Some(*digest),
            _ => None,
        }
    }

    /// A word for a condition's `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::Load(error) => error.reason(),
            Self::Revision(_) => "RevisionNotFound",
            Self::OtherStage(_) => "OtherStage",
            Self::Source(_) => "SourceNotFound",
        }
    }
}

/// Why the last try of a plugin failed.
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) transient: bool,
    pub(crate) missing: Option<Digest>,
}

impl Failure {
    /// The described version was tried and taken back.
    pub(crate) fn rolled_back(message: &str) -> Self {
        Self { reason: "RolledBack", message: message.to_owned(), transient: false, missing: None }
    }
}

impl From<&ApplyError> for Failure {
    fn from(error: &ApplyError) -> Self {
        Self {
            reason: error.reason(),
            message: error.to_string(),
            transient: error.is_transient(),
            missing: error.missing(),
        }
    }
}

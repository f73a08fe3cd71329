//! What can go wrong for a policy's author, in words that say what to do.

use std::path::{Path, PathBuf};

use portcullis_policy::{CallError, LoadError, RuntimeError};

/// Why a command of the kit failed.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// A file or folder cannot be used.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The folder is no project, or its files say something that they cannot.
    #[error("{0}")]
    Project(String),
    /// A language's toolchain is not on this machine and cannot be had.
    #[error("{language} cannot be built here: {missing}; {remedy}")]
    Toolchain {
        /// The language.
        language: &'static str,
        /// What is missing.
        missing: String,
        /// How to get it.
        remedy: String,
    },
    /// A compiler or another tool failed; it has said why itself.
    #[error("{tool} failed{detail}")]
    Tool {
        /// The command.
        tool: String,
        /// What is known beyond that, with a colon before it; may be empty.
        detail: String,
    },
    /// What a compiler made does not become a component.
    #[error("no component can be made of it: {0}")]
    Component(String),
    /// The runtime does not load the component.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The runtime does not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A call that must succeed did not.
    #[error("{what}: {error}")]
    Call {
        /// Which call.
        what: String,
        /// Why.
        error: CallError,
    },
    /// A case cannot be understood.
    #[error("{case}: {detail}")]
    Case {
        /// The file, and which case in it.
        case: String,
        /// What to change.
        detail: String,
    },
    /// The cluster did not do what was asked of it.
    #[error("{what}: {error}")]
    Cluster {
        /// What was asked.
        what: String,
        /// The answer.
        error: portcullis_client::ClientError,
    },
    /// Cases failed, or calls took longer than their budget.
    #[error("{0}")]
    Unmet(String),
    /// The Plugin was applied and its new version does not serve.
    #[error("{0}")]
    NotServing(String),
}

impl KitError {
    /// An error of the operating system about a path.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> KitError + '_ {
        |error| KitError::File { path: path.to_owned(), error }
    }
}

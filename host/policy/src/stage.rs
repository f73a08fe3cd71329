//! The stages of a request, and what a component of each stage must export and may import.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The package that every interface of a policy is in, with its version.
pub(crate) const PACKAGE: &str = "portcullis:policy";
/// The version of the package that this host speaks.
pub(crate) const VERSION: &str = "0.1.0";

/// A stage of a request at which components decide. Its text form is that of a Plugin's `spec.stage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Who is calling?
    Authenticator,
    /// May they?
    Authorizer,
    /// What should be different about this object?
    Mutator,
    /// Is this request in line with policy?
    Validator,
    /// Is this object well formed?
    ObjectValidator,
    /// Where should this pod run?
    Scheduler,
    /// How does this object look in another version?
    Converter,
}

/// There is no stage of that name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown stage {0:?}: use authenticator, authorizer, mutator, validator, objectValidator, scheduler or converter"
)]
pub struct UnknownStage(pub String);

impl Stage {
    /// All stages: those of a request in the order in which it meets them, then the others.
    pub const ALL: [Stage; 7] = [
        Stage::Authenticator,
        Stage::Authorizer,
        Stage::Mutator,
        Stage::Validator,
        Stage::ObjectValidator,
        Stage::Scheduler,
        Stage::Converter,
    ];

    /// The name in a Plugin: `objectValidator`.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Authenticator => "authenticator",
            Stage::Authorizer => "authorizer",
            Stage::Mutator => "mutator",
            Stage::Validator => "validator",
            Stage::ObjectValidator => "objectValidator",
            Stage::Scheduler => "scheduler",
            Stage::Converter => "converter",
        }
    }

    /// The name of the stage's interface in `wit/`: `object-validator`. The world is this with `-policy` after it.
    pub fn interface(self) -> &'static str {
        match self {
            Stage::ObjectValidator => "object-validator",
            other => other.as_str(),
        }
    }

    /// The world that a component of this stage is built for, as a person would write it in a `.wit` file.
    pub fn world(self) -> String {
        format!("{PACKAGE}/{}-policy@{VERSION}", self.interface())
    }

    /// The interfaces that the stage's world lets a component import, without package and version.
    pub(crate) fn imports(self) -> &'static [&'static str] {
        match self {
            Stage::Authenticator | Stage::Validator => {
                &["log", "clock", "random", "review", "cluster", "signatures", "types"]
            }
            Stage::Authorizer | Stage::Mutator => &["log", "clock", "random", "review", "cluster", "types"],
            Stage::ObjectValidator | Stage::Converter => &["log", "clock", "random", "review", "types"],
            Stage::Scheduler => &["log", "clock", "random", "review", "cluster", "scheduling", "types"],
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(s: &str) -> Result<Stage, UnknownStage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == s).ok_or_else(|| UnknownStage(s.to_owned()))
    }
}

/// Something that a component may do only if its Plugin grants it. Its text form is the key in `spec.grants`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Grant {
    /// Read objects of the cluster as its own user.
    ClusterRead,
    /// Have signatures checked against key sets that the host holds.
    Verify,
}

impl Grant {
    /// The key in a Plugin's `spec.grants`.
    pub fn as_str(self) -> &'static str {
        match self {
            Grant::ClusterRead => "clusterRead",
            Grant::Verify => "verify",
        }
    }

    /// The grant that an import needs; most need none.
    pub(crate) fn of_import(interface: &str) -> Option<Grant> {
        match interface {
            "cluster" => Some(Grant::ClusterRead),
            "signatures" => Some(Grant::Verify),
            _ => None,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

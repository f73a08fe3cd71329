//! Checks every object that is created or updated: its metadata, and the rules of its kind where it is a built-in one.
//! The rules themselves are in the crate `portcullis-validation`; this only connects them to the host.

use portcullis_sdk::{Findings, Input};
use portcullis_validation::{Review, validate};
use serde::Deserialize;

/// What can be configured.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Whether containers may be privileged, as `--allow-privileged` of the API server says.
    #[serde(default)]
    pub allow_privileged: bool,
}

/// What is read of the document.
pub const PATHS: [&str; 6] = [
    "/object",
    "/oldObject",
    "/request/operation",
    "/request/resource/group",
    "/request/kind/kind",
    "/request/subResource",
];

/// All that is wrong with the object.
pub fn check(config: &Config, input: &Input) -> Findings {
    let review = Review {
        object: input.get(0),
        old: input.get(1),
        update: input.str(2) == "UPDATE",
        group: input.str(3),
        kind: input.str(4),
        subresource: input.str(5),
        allow_privileged: config.allow_privileged,
    };
    if !matches!(input.str(2), "CREATE" | "UPDATE") || review.object.is_none() {
        return Findings::none();
    }
    Findings { errors: validate(&review), warnings: Vec::new() }
}

portcullis_sdk::object_validator!(Config, PATHS, check);

//! Every pod says whose it is: it carries a label.

use portcullis_sdk::{Input, Verdict, deny};

/// What `spec.config` of the Plugin holds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The label's key.
    pub label: String,
}

/// What is read of the request; entry `i` of the input belongs to path `i`.
pub const PATHS: [&str; 1] = ["/object/metadata/labels"];

/// Refuses pods without the label.
pub fn check(config: &Config, input: &Input) -> Verdict {
    match input.get(0).get(&config.label).str_or_empty() {
        "" => deny(format!("every pod carries the label {:?}: whose is this one?", config.label)),
        owner => Verdict::allow().audit("owner", owner),
    }
}

portcullis_sdk::validator!(Config, PATHS, check);

//! Nothing changes in a frozen namespace, whatever RBAC allows.

use portcullis_sdk::{Decision, Input};

/// What `spec.config` of the Plugin holds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The frozen namespaces.
    pub frozen: Vec<String>,
}

/// What is read of the request; entry `i` of the input belongs to path `i`.
pub const PATHS: [&str; 2] = ["/request/verb", "/request/namespace"];

/// Denies changes in frozen namespaces, and leaves the rest to others.
pub fn authorize(config: &Config, input: &Input) -> Decision {
    let (verb, namespace) = (input.str(0), input.str(1));
    let reads = matches!(verb, "get" | "list" | "watch");
    if !reads && config.frozen.iter().any(|frozen| frozen == namespace) {
        return Decision::Deny(format!("the namespace {namespace} is frozen"));
    }
    Decision::NoOpinion(String::new())
}

portcullis_sdk::authorizer!(Config, PATHS, authorize);

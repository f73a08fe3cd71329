//! Pods take a label of their namespace, unless they have one of their own.

use std::collections::BTreeMap;

use portcullis_sdk::{Input, Mutation, Patch};

/// What `spec.config` of the Plugin holds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The label's key.
    pub label: String,
}

/// What is read of the request; entry `i` of the input belongs to path `i`.
pub const PATHS: [&str; 2] = ["/object/metadata/labels", "/namespaceObject/metadata/labels"];

/// Adds the label.
pub fn mutate(config: &Config, input: &Input) -> Mutation {
    let (own, inherited) = (input.get(0), input.get(1).get(&config.label).str_or_empty());
    if inherited.is_empty() || !own.get(&config.label).is_none() {
        return Mutation::none();
    }
    let mut patch = Patch::new();
    if own.is_none() {
        patch.add("/metadata/labels", &BTreeMap::from([(&config.label, inherited)]));
    } else {
        patch.add(format!("/metadata/labels/{}", Patch::segment(&config.label)), &inherited);
    }
    Mutation::patch(patch.into_operations())
}

portcullis_sdk::mutator!(Config, PATHS, mutate);

//! RuntimeClasses (KEP-585, KEP-688).

use portcullis_sdk::{Patch, ValueRef, tape::Tape, to_json};
use serde_json::Value;

use crate::Get;

const PATHS: [&str; 3] = ["/overhead/podFixed", "/scheduling/nodeSelector", "/scheduling/tolerations"];

/// Writes overhead and node selector of the pod's RuntimeClass; returns the tolerations that it adds.
pub(crate) fn apply(spec: ValueRef, get: Get, patch: &mut Patch) -> Result<Vec<Value>, String> {
    let own = spec.get("overhead");
    let name = spec.get("runtimeClassName").str_or_empty();
    let unfounded = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
    if name.is_empty() {
        return if own.is_empty() { Ok(Vec::new()) } else { Err(unfounded.into()) };
    }
    let found = get("runtimeclasses.node.k8s.io", name, &PATHS)?;
    let bytes = found.ok_or_else(|| format!("pod rejected: RuntimeClass \"{name}\" not found"))?;
    let class = Tape::trusted(&bytes).root();
    let overhead = class.index(0);
    match (overhead.is_none(), own.is_empty()) {
        (true, false) => return Err(unfounded.into()),
        // Quantities are in their canonical form on both sides, so that text compares as value does.
        (false, false) if to_json(own) != to_json(overhead) => {
            return Err("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".into());
        }
        (false, true) => {
            patch.add("/spec/overhead", &to_json(overhead));
        }
        _ => {}
    }
    let mut selector = to_json(spec.get("nodeSelector")).as_object().cloned().unwrap_or_default();
    let before = selector.len();
    for (key, value) in class.index(1).entries() {
        let value = value.str_or_empty();
        match selector.get(key).and_then(Value::as_str) {
            Some(given) if given != value => {
                return Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {given}"
                ));
            }
            _ => selector.insert(key.to_owned(), value.into()),
        };
    }
    if selector.len() > before {
        patch.add("/spec/nodeSelector", &selector);
    }
    Ok(class.index(2).iter().map(to_json).collect())
}

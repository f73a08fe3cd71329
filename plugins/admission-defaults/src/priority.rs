//! Pod priority.

use portcullis_sdk::{Patch, ValueRef, tape::Tape};

use crate::{Config, Get};

/// The two classes that every cluster has, with their values; they hold even before their objects were created.
const SYSTEM: [(&str, i64); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// Writes priority and preemption policy of the pod's class, and refuses pods that claim others.
pub(crate) fn resolve(config: &Config, spec: ValueRef, get: Get, patch: &mut Patch) -> Result<(), String> {
    let named = spec.get("priorityClassName").str_or_empty();
    let name = if named.is_empty() { config.default_priority_class.as_str() } else { named };
    let (value, policy) = if name.is_empty() {
        (0, "PreemptLowerPriority".to_owned())
    } else {
        let found = get("priorityclasses.scheduling.k8s.io", name, &["/value", "/preemptionPolicy"])
            .map_err(|why| format!("failed to resolve PriorityClass with name {name}: {why}"))?;
        match (found, SYSTEM.iter().find(|(system, _)| *system == name)) {
            (Some(bytes), _) => {
                let class = Tape::trusted(&bytes).root();
                let policy = class.index(1).as_str().unwrap_or("PreemptLowerPriority").to_owned();
                (class.index(0).as_i64().unwrap_or(0), policy)
            }
            (None, Some((_, value))) => (*value, "PreemptLowerPriority".to_owned()),
            (None, None) if named.is_empty() => (0, "PreemptLowerPriority".to_owned()),
            (None, None) => return Err(format!("no PriorityClass with name {name} was found")),
        }
    };
    match spec.get("priority").as_i64() {
        Some(given) if given != value => {
            return Err(format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission \
                 controller computed {value} from the given PriorityClass name"
            ));
        }
        Some(_) => {}
        None => {
            patch.add("/spec/priority", &value);
        }
    }
    if named.is_empty() && !name.is_empty() {
        patch.add("/spec/priorityClassName", &name);
    }
    match spec.get("preemptionPolicy").as_str() {
        Some(given) if given != policy => Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        )),
        Some(_) => Ok(()),
        None => {
            patch.add("/spec/preemptionPolicy", &policy);
            Ok(())
        }
    }
}

//! Writes what this server knows of a Plugin into its status, and leaves alone what others write there.

use portcullis_client::PatchType;
use portcullis_client::resource::PLUGINS;
use portcullis_machinery::{Value, object};
use portcullis_plugins::rollout::state::{Phase, RolloutStatus};
use serde_json::json;

use super::PluginSync;

/// What is written elsewhere, over the version of the Plugin that it follows from.
const OTHERS: [&str; 2] = ["rollout", "activeRevision"];

impl PluginSync {
    /// Writes a plugin's status if it differs from the one there.
    pub(super) async fn report(&self, plugin: &Value) {
        let name = object::name(plugin);
        // A change that is yet to be tried is not one that was seen.
        if self.tried.get(name).is_none_or(|tried| Some(&tried.spec) != plugin.get("spec")) {
            return;
        }
        let Some(mut status) = self.manager.status(name) else { return };
        status["observedGeneration"] = json!(object::generation(plugin));
        if let (Some(state), Some(conditions)) = (RolloutStatus::of(plugin), status["conditions"].as_array_mut()) {
            conditions.push(rolled_out(&state));
        }
        let before = plugin.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = json!(object::generation(plugin));
            let same =
                before.iter().find(|old| old["type"] == condition["type"] && old["status"] == condition["status"]);
            condition["lastTransitionTime"] = match same {
                Some(old) => old["lastTransitionTime"].clone(),
                None => json!(object::now_rfc3339()),
            };
        }
        let Some(patch) = difference(plugin.get("status").unwrap_or(&Value::Null), &status) else { return };
        let patch = json!({"status": patch});
        let written = self.client.patch(&PLUGINS, "", name, "status", PatchType::Merge, &patch).await;
        if let Err(error) = written
            && !error.is_not_found()
        {
            tracing::warn!(plugin = name, %error, "a Plugin's status could not be written");
        }
    }
}

fn rolled_out(state: &RolloutStatus) -> Value {
    let status = match state.phase {
        Phase::Progressing => "Unknown",
        Phase::Promoted => "True",
        Phase::RolledBack => "False",
    };
    json!({"type": "RolledOut", "status": status, "reason": state.reason, "message": state.message})
}

/// The merge patch that makes `wanted` of `present`, without what others write; `None` if there is nothing to do.
fn difference(present: &Value, wanted: &Value) -> Option<Value> {
    let mut patch = serde_json::Map::new();
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (old, new) = (members(present), members(wanted));
    for (key, value) in &new {
        match old.get(key) {
            Some(same) if same == value => {}
            // Lists are replaced whole by a merge, and objects member by member.
            Some(other) if other.is_object() && value.is_object() => {
                patch.extend(difference(other, value).map(|inner| (key.clone(), inner)));
            }
            _ => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key) && !OTHERS.contains(&key.as_str())) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written_and_nothing_of_others() {
        let check = |present: Value, wanted: Value, expected: Value| {
            let found = difference(&present, &wanted).unwrap_or(Value::Null);
            assert_eq!(found, expected, "{present} -> {wanted}");
        };
        check(json!(null), json!({"calls": 1}), json!({"calls": 1}));
        check(json!({"calls": 1}), json!({"calls": 1}), json!(null));
        check(
            json!({"calls": 1, "rollout": {"phase": "Progressing"}, "activeRevision": "a"}),
            json!({"calls": 2}),
            json!({"calls": 2}),
        );
        check(
            json!({"errorsByReason": {"Trap": 1, "BadOutput": 2}}),
            json!({"errorsByReason": {"Trap": 2}}),
            json!({"errorsByReason": {"Trap": 2, "BadOutput": null}}),
        );
        check(json!({"errorsByReason": {"Trap": 1}}), json!({}), json!({"errorsByReason": null}));
        check(json!({"conditions": [{"type": "A"}]}), json!({"conditions": []}), json!({"conditions": []}));
    }
}

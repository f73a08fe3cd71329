//! Moves canaries on: from the counts of all servers to promotion or the way back, and the Events that say so.
//!
//! All writes name the version of the Plugin that they follow from. One that comes too late fails, and what to do then
//! follows from the Plugin as it is by then.

use portcullis_client::events::EventType;
use portcullis_client::resource::PLUGINS;
use portcullis_client::{ClientError, PatchType};
use portcullis_machinery::{Value, object};
use portcullis_plugins::first_party;
use portcullis_plugins::rollout::plan::{Plan, Planned};
use portcullis_plugins::rollout::revision;
use portcullis_plugins::rollout::state::{Phase, RolloutStatus};
use portcullis_plugins::spec::PluginSpec;
use serde_json::{Value as Json, json};

use super::PluginSync;

impl PluginSync {
    /// Stores the versions that a plan is about, so that any server can load them. Says which are stored.
    pub(super) async fn keep_versions(&self, plugin: &Value, plan: &Plan) -> Vec<String> {
        let name = object::name(plugin);
        let own = &plugin["spec"];
        let mut versions = Vec::new();
        if let Plan::Canary(before) | Plan::Shadow(before) | Plan::Held(before, _) = plan {
            versions.push(&before.spec);
        }
        let serving = self.manager.serving(name);
        // What a new cluster has is known to the binary; it is stored once there is something else.
        let known = |spec: &Value| is_delivered(name, spec);
        if versions.is_empty() && known(own) && serving.as_ref().is_none_or(|serving| known(&serving.spec)) {
            return Vec::new();
        }
        if versions.is_empty()
            && let Some(serving) = &serving
            && serving.revision != revision::name(name, own)
        {
            versions.push(&serving.spec);
        }
        versions.push(own);
        let names: Vec<String> = versions.iter().map(|spec| revision::name(name, spec)).collect();
        let in_use: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut stored = Vec::new();
        for (at, spec) in versions.iter().enumerate() {
            // The version before is there already, unless it was never told of.
            if at + 1 < versions.len() && self.revisions.find(in_use[at]).is_some() {
                stored.push(names[at].clone());
                continue;
            }
            match self.revisions.keep(plugin, spec, &in_use).await {
                Ok(()) => stored.push(names[at].clone()),
                Err(error) => tracing::warn!(plugin = name, %error, "a version of a Plugin could not be stored"),
            }
        }
        stored
    }

    /// Writes which version serves, and where the roll-out stands, as far as a plan changes that. Says whether all is
    /// written that should be.
    pub(super) async fn write_rollout(
        &self,
        plugin: &Value,
        planned: &Planned,
        loaded: bool,
        stored: &[String],
    ) -> bool {
        let name = object::name(plugin);
        let mut status = serde_json::Map::new();
        let active = match &planned.plan {
            Plan::Direct => Some(revision::name(name, &plugin["spec"])).filter(|_| loaded),
            Plan::Canary(before) | Plan::Shadow(before) | Plan::Held(before, _) => Some(before.revision.clone()),
        };
        // A version that is not stored is of no use to other servers.
        let active = active.filter(|active| stored.contains(active));
        if let Some(active) = active
            && plugin.pointer("/status/activeRevision").and_then(Value::as_str) != Some(&active)
        {
            status.insert("activeRevision".into(), active.into());
        }
        let begins = planned.begins.as_ref().filter(|_| loaded);
        if let Some(begins) = begins {
            status.insert("rollout".into(), replaced(plugin, begins));
        } else if planned.forget && loaded {
            status.insert("rollout".into(), Json::Null);
        }
        if status.is_empty() {
            return true;
        }
        let written = self.write_over(plugin, Json::Object(status)).await;
        if let (Ok(_), Some(begins)) = (&written, begins) {
            self.events.event(plugin, EventType::Normal, "RolloutStarted", &begins.message);
        }
        written.is_ok()
    }

    /// Looks at all canaries of this server, and again at what could not be written.
    pub(super) async fn move_on(&mut self) {
        for name in std::mem::take(&mut self.unwritten) {
            if let Some(plugin) = self.find(&name) {
                self.load(&plugin).await;
            }
        }
        for name in self.manager.canaries() {
            if let Some(plugin) = self.find(&name) {
                self.move_one_on(&plugin).await;
            }
        }
    }

    async fn move_one_on(&self, plugin: &Value) {
        let Some((revision, digest, counts)) = self.manager.canary(object::name(plugin)) else { return };
        let Some(state) = RolloutStatus::of(plugin) else { return };
        if state.candidate != revision || state.phase != Phase::Progressing {
            return;
        }
        let Ok(PluginSpec { rollout, .. }) = PluginSpec::from_object(plugin) else { return };
        let Some(canary) = rollout.canary else { return };
        let mut next = state.with_counts(&self.server, counts);
        next.candidate_digest = digest.to_string();
        if let Some(due) = next.due(&canary, &object::now_rfc3339()) {
            next = RolloutStatus { generation: object::generation(plugin), ..due };
        }
        if next == state {
            return;
        }
        if self.write_over(plugin, json!({"rollout": next})).await.is_err() || next.phase == state.phase {
            return;
        }
        let (event_type, reason) = match next.phase {
            Phase::RolledBack => (EventType::Warning, "RolledBack"),
            _ => (EventType::Normal, "Promoted"),
        };
        self.events.event(plugin, event_type, reason, &next.message);
    }

    /// Changes a status, if the Plugin is still the one that was seen.
    async fn write_over(&self, plugin: &Value, status: Json) -> Result<Value, ClientError> {
        let name = object::name(plugin);
        let patch = json!({"metadata": {"resourceVersion": object::resource_version(plugin)}, "status": status});
        let written = self.client.patch(&PLUGINS, "", name, "status", PatchType::Merge, &patch).await;
        if let Err(error) = &written {
            tracing::debug!(plugin = name, %error, "a Plugin's roll-out was not written");
        }
        written
    }
}

/// Whether a spec is that of the first-party plugin of this name as the binary carries it, whatever defaults were filled in.
fn is_delivered(name: &str, spec: &Value) -> bool {
    let first = first_party::plugins().into_iter().find(|first| object::name(first) == name);
    first.is_some_and(|first| {
        let delivered = revision::content(&first["spec"]);
        let mut spec = revision::content(spec);
        for (member, default) in [("failurePolicy", json!("Fail")), ("order", json!(0))] {
            if delivered.get(member).is_none() && spec.get(member) == Some(&default) {
                spec.as_object_mut().map(|members| members.remove(member));
            }
        }
        spec == delivered
    })
}

/// A roll-out as a merge patch that leaves nothing of the one before it.
fn replaced(plugin: &Value, state: &RolloutStatus) -> Json {
    let mut patch = json!(state);
    let gone = plugin.pointer("/status/rollout").and_then(Value::as_object);
    for member in gone.into_iter().flat_map(|old| old.keys()) {
        if patch.get(member).is_none() {
            patch[member] = Json::Null;
        }
    }
    let servers = plugin.pointer("/status/rollout/servers").and_then(Value::as_object);
    for server in servers.into_iter().flat_map(|old| old.keys()) {
        patch["servers"][server] = Json::Null;
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_binary_carries_is_known_again() {
        let first = first_party::plugins();
        let Some(first) = first.iter().find(|first| object::name(first) == "pod-security") else {
            panic!("there is no pod-security");
        };
        let check = |key: &str, value: Json, expected: bool| {
            let mut spec = first["spec"].clone();
            spec[key] = value.clone();
            assert_eq!(is_delivered("pod-security", &spec), expected, "{key}: {value}");
        };
        check("failurePolicy", json!("Fail"), true);
        check("failurePolicy", json!("Ignore"), false);
        check("order", json!(0), true);
        check("source", json!({"digest": "x"}), false);
        check("match", json!({}), false);
        assert!(!is_delivered("other", &first["spec"]));
    }

    #[test]
    fn nothing_of_the_rollout_before_is_left() {
        let before = json!({"endTime": "x", "servers": {"a": {}, "b": {}}});
        let begins = RolloutStatus::begin("new", "old", 3, "now");
        let patch = replaced(&json!({"status": {"rollout": before}}), &begins);
        assert_eq!((&patch["endTime"], &patch["servers"]), (&Json::Null, &json!({"a": null, "b": null})));
        assert_eq!((&patch["phase"], &patch["candidate"]), (&json!("Progressing"), &json!("new")));
    }
}

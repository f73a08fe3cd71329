//! What a server loads for a Plugin: the version that its spec describes, or the one before it, or both.

use portcullis_machinery::{Value, object};

use super::revision;
use super::spec::RolloutKind;
use super::state::{Phase, RolloutStatus};
use crate::mode::Mode;
use crate::spec::PluginSpec;

/// A version of a Plugin that was stored under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The revision's name.
    pub revision: String,
    /// The spec as it was.
    pub spec: Value,
}

/// What to load.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Plan {
    /// The spec alone.
    #[default]
    Direct,
    /// The version before it decides, with the spec's version as a canary beside it.
    Canary(Version),
    /// The version before it decides, with the spec's version as a shadow.
    Shadow(Version),
    /// The version before it alone: that of the spec was taken back.
    Held(Version, String),
}

/// A plan, and what must be written about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// What to load.
    pub plan: Plan,
    /// A roll-out that begins with it: to be written over the Plugin as it was seen.
    pub begins: Option<RolloutStatus>,
    /// Whether the roll-out in the status is of the past and must go.
    pub forget: bool,
}

/// The version that must serve beside the spec's is not stored, or not yet to be seen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the revision {0:?}, which is to serve, is not stored")]
pub struct UnknownRevision(pub String);

/// Makes the plan for a Plugin. `serving` is what this server has in service now, for Plugins whose status names no
/// revision yet; `find` looks up what was stored under a revision's name.
///
/// # Errors
/// [`UnknownRevision`] if the plan needs one that cannot be found.
pub fn plan(
    plugin: &Value,
    spec: &PluginSpec,
    serving: Option<&Version>,
    find: impl Fn(&str) -> Option<Value>,
    now: &str,
) -> Result<Planned, UnknownRevision> {
    let described = plugin.get("spec").unwrap_or(&Value::Null);
    let own = revision::name(object::name(plugin), described);
    let version = |name: &str| match serving.filter(|serving| serving.revision == name) {
        Some(serving) => Ok(serving.clone()),
        None => {
            find(name).map(|spec| Version { revision: name.to_owned(), spec }).ok_or(UnknownRevision(name.to_owned()))
        }
    };
    let canary = spec.rollout.kind == RolloutKind::Canary;
    let state = RolloutStatus::of(plugin);
    let current = state.as_ref().filter(|state| state.candidate == own && canary && state.stable != own);
    if let Some(state) = current {
        match state.phase {
            Phase::Promoted => return Ok(Planned::default()),
            Phase::Progressing => {
                return Ok(Planned { plan: Plan::Canary(version(&state.stable)?), ..Planned::default() });
            }
            // Whoever changes the roll-out after it failed wants it tried again.
            Phase::RolledBack if state.generation == object::generation(plugin) => {
                return Ok(Planned {
                    plan: Plan::Held(version(&state.stable)?, state.message.clone()),
                    ..Planned::default()
                });
            }
            Phase::RolledBack => {}
        }
    }
    let forget = state.is_some();
    let active = plugin.pointer("/status/activeRevision").and_then(Value::as_str);
    let active = active.or(serving.map(|serving| serving.revision.as_str())).filter(|active| *active != own);
    let Some(active) = active.filter(|_| canary || spec.mode == Mode::Shadow) else {
        return Ok(Planned { plan: Plan::Direct, begins: None, forget });
    };
    let before = version(active)?;
    if canary {
        let begins = RolloutStatus::begin(&own, active, object::generation(plugin), now);
        return Ok(Planned { plan: Plan::Canary(before), begins: Some(begins), forget: false });
    }
    // The very version that serves, now as a shadow, is meant to stop deciding.
    if revision::same_but_mode(&before.spec, described) {
        return Ok(Planned { plan: Plan::Direct, begins: None, forget });
    }
    Ok(Planned { plan: Plan::Shadow(before), begins: None, forget })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(digest: &str, more: Value) -> Value {
        let digest = format!("sha256:{}", digest.repeat(64));
        let mut spec = json!({"stage": "validator", "source": {"digest": digest}});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    }

    fn canary(digest: &str) -> Value {
        spec(digest, json!({"rollout": {"type": "Canary", "canary": {"percent": 10}}}))
    }

    /// The plan as a word and the revision that serves beside it, and whether something begins or is forgotten.
    fn check(described: Value, status: Value, expected: Result<(&str, bool, bool), &str>) {
        let (old, other) = (spec("a", json!({})), spec("c", json!({})));
        let plugin = json!({"metadata": {"name": "p", "generation": 7}, "spec": described, "status": status});
        let parsed = PluginSpec::from_object(&plugin).unwrap();
        let find = |name: &str| [&old, &other].into_iter().find(|spec| revision::name("p", spec) == name).cloned();
        let found = plan(&plugin, &parsed, None, find, "now");
        let found = found.map(|planned| {
            let word = match &planned.plan {
                Plan::Direct => "direct",
                Plan::Canary(_) => "canary",
                Plan::Shadow(_) => "shadow",
                Plan::Held(..) => "held",
            };
            (word, planned.begins.is_some(), planned.forget)
        });
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{plugin}");
    }

    #[test]
    fn what_is_loaded() {
        let revision = |digest: &str| revision::name("p", &spec(digest, json!({})));
        let old = json!({"activeRevision": revision("a")});
        let rollout = |phase: &str, generation: i64| {
            json!({"activeRevision": revision("a"), "rollout": {"phase": phase, "candidate": revision("b"),
                   "stable": revision("a"), "generation": generation}})
        };
        // At once, and a first version, which has nothing to be tried against.
        check(spec("b", json!({})), old.clone(), Ok(("direct", false, false)));
        check(canary("b"), json!({}), Ok(("direct", false, false)));
        check(canary("a"), old.clone(), Ok(("direct", false, false)));
        // A canary's life.
        check(canary("b"), old.clone(), Ok(("canary", true, false)));
        check(canary("b"), rollout("Progressing", 6), Ok(("canary", false, false)));
        check(canary("b"), rollout("Promoted", 7), Ok(("direct", false, false)));
        check(canary("b"), rollout("RolledBack", 7), Ok(("held", false, false)));
        // Another candidate, the version before, the roll-out changed, and promotion by hand.
        check(canary("c"), rollout("Progressing", 6), Ok(("canary", true, false)));
        check(canary("a"), rollout("Progressing", 6), Ok(("direct", false, true)));
        check(canary("b"), rollout("RolledBack", 6), Ok(("canary", true, false)));
        check(spec("b", json!({})), rollout("Progressing", 6), Ok(("direct", false, true)));
        check(spec("b", json!({})), rollout("RolledBack", 7), Ok(("direct", false, true)));
        // Shadows.
        check(spec("b", json!({"mode": "Shadow"})), old.clone(), Ok(("shadow", false, false)));
        check(spec("b", json!({"mode": "Shadow"})), json!({}), Ok(("direct", false, false)));
        check(spec("a", json!({"mode": "Shadow"})), old, Ok(("direct", false, false)));
        // What is to serve must be there.
        let gone = json!({"activeRevision": "p-gone"});
        check(canary("b"), gone, Err("the revision \"p-gone\", which is to serve, is not stored"));
    }
}

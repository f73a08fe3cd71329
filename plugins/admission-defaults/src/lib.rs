//! What every new object of some kinds gets. Pods: tolerations that keep it for five minutes on a node that went away, the priority of its
//! PriorityClass, and overhead and node constraints of its RuntimeClass (API reference: "Taints and Tolerations",
//! "Pod Priority and Preemption", "Runtime Class"). Nodes: a taint until they are ready. Volumes, claims and classes of
//! their attributes: a finalizer that keeps them while they are used.

mod priority;
mod runtime;

#[cfg(target_family = "wasm")]
use portcullis_sdk::host;
use portcullis_sdk::{Denial, Input, Mutation, Patch, ValueRef, to_json};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is configured.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Seconds that a pod stays on a node that is not ready.
    pub not_ready_seconds: i64,
    /// Seconds that a pod stays on a node that cannot be reached.
    pub unreachable_seconds: i64,
    /// The PriorityClass of pods that name none. A component cannot list the classes, so the one that has
    /// `globalDefault` set is named here.
    pub default_priority_class: String,
}

impl Default for Config {
    fn default() -> Self {
        Config { not_ready_seconds: 300, unreachable_seconds: 300, default_priority_class: String::new() }
    }
}

/// What is read of the document.
pub const PATHS: [&str; 5] = [
    "/object/spec",
    "/request/operation",
    "/request/subResource",
    "/request/resource/resource",
    "/object/metadata/finalizers",
];

/// Resources that are kept while they are used, and the finalizer that does it.
const PROTECTED: [(&str, &str); 3] = [
    ("persistentvolumeclaims", "kubernetes.io/pvc-protection"),
    ("persistentvolumes", "kubernetes.io/pv-protection"),
    ("volumeattributesclasses", "kubernetes.io/vac-protection"),
];

/// The taint of a node that has not said that it is ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Reads paths of an object, packed as a tape; `None` if there is none. As [`portcullis_sdk::host::get`], with the error
/// as a sentence.
pub type Get<'a> = &'a dyn Fn(&str, &str, &[&str]) -> Result<Option<Vec<u8>>, String>;

/// What a new object gets, and a changed pod gets back.
pub fn mutate(config: &Config, input: &Input, get: Get) -> Mutation {
    if !input.str(2).is_empty() {
        return Mutation::none();
    }
    let spec = input.get(0);
    let mut patch = Patch::new();
    let resource = input.str(3);
    match (input.str(1), resource) {
        ("CREATE", _) => {}
        ("UPDATE", "pods") => {
            add_tolerations(config, spec, Vec::new(), &mut patch);
            return Mutation::patch(patch.into_operations());
        }
        _ => return Mutation::none(),
    }
    if let Some((_, finalizer)) = PROTECTED.iter().find(|(protected, _)| *protected == resource) {
        add_finalizer(input.get(4), finalizer, &mut patch);
        return Mutation::patch(patch.into_operations());
    }
    if resource == "nodes" {
        add_taint(spec, &mut patch);
        return Mutation::patch(patch.into_operations());
    }
    let mut run = || -> Result<(), String> {
        priority::resolve(config, spec, get, &mut patch)?;
        let from_class = runtime::apply(spec, get, &mut patch)?;
        add_tolerations(config, spec, from_class, &mut patch);
        Ok(())
    };
    match run() {
        Ok(()) => Mutation::patch(patch.into_operations()),
        Err(message) => Mutation::deny(Denial::new(message)),
    }
}

fn add_finalizer(had: ValueRef, finalizer: &str, patch: &mut Patch) {
    let mut all: Vec<Value> = had.iter().map(to_json).collect();
    if !all.iter().any(|known| known == finalizer) {
        all.push(finalizer.into());
        patch.add("/metadata/finalizers", &all);
    }
}

fn add_taint(spec: ValueRef, patch: &mut Patch) {
    let mut all: Vec<Value> = spec.get("taints").iter().map(to_json).collect();
    let same = |taint: &Value| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule";
    if !all.iter().any(same) {
        all.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
        patch.add("/spec/taints", &all);
    }
}

/// Writes the pod's tolerations, those of its RuntimeClass, and the defaults for the two taints of lost nodes.
fn add_tolerations(config: &Config, spec: ValueRef, from_class: Vec<Value>, patch: &mut Patch) {
    let own: Vec<Value> = spec.get("tolerations").iter().map(to_json).collect();
    let mut all = own.clone();
    let defaults = [
        ("node.kubernetes.io/not-ready", config.not_ready_seconds),
        ("node.kubernetes.io/unreachable", config.unreachable_seconds),
    ];
    for (key, seconds) in defaults {
        let covered = own.iter().any(|toleration| {
            let text = |field| toleration.get(field).and_then(Value::as_str).unwrap_or("");
            (text("key").is_empty() || text("key") == key) && matches!(text("effect"), "" | "NoExecute")
        });
        if !covered {
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}));
        }
    }
    for toleration in from_class {
        if !all.contains(&toleration) {
            all.push(toleration);
        }
    }
    if all.len() > own.len() {
        patch.add("/spec/tolerations", &all);
    }
}

portcullis_sdk::mutator!(Config, PATHS, |config: &Config, input: &Input| mutate(
    config,
    input,
    &|resource, name, paths| {
        host::get(resource, "", name, paths).map_err(|error| host::describe(&error).to_owned())
    }
));

#[cfg(test)]
mod tests;

//! The APIServices of what this server serves itself.
//!
//! Those of built-in versions are brought in line once, when the server starts: whoever changes or deletes one later
//! means it. Those of custom resources come and go with their definitions. Which is which is said by a label, and an
//! object without it is nobody's but its maker's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_machinery::definition::{Registry, ResourceDefinition, priority};
use portcullis_machinery::{Status, Value, object};
use serde_json::json;

use super::GROUP;
use crate::customresources::internal;
use crate::handlers::options::{DeleteOptions, WriteOptions};
use crate::handlers::{delete, update, write};
use crate::server::ApiServer;

/// The label that says who keeps an object in line.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// Once, at the start.
const ON_START: &str = "onstart";
/// Always.
const ALWAYS: &str = "true";

/// The APIServices that there should be, by name.
pub fn wanted(registry: &Registry) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for group in registry.groups().iter().filter(|group| group.name != GROUP) {
        for version in &group.versions {
            let custom = registry.in_version(&group.name, version).all(|definition| !definition.builtin);
            let (group_priority, version_priority) = priority(&group.name, version);
            let name = format!("{version}.{}", group.name);
            let mut spec = json!({
                "version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority,
            });
            if !group.name.is_empty() {
                spec["group"] = json!(group.name);
            }
            let object = json!({
                "kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
                "metadata": {"name": name, "labels": {MANAGED: if custom { ALWAYS } else { ON_START }}},
                "spec": spec,
            });
            all.insert(name, object);
        }
    }
    all
}

/// What is to be done about one.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Create,
    Update,
    Delete,
}

fn managed(object: Option<&Value>) -> Option<&str> {
    object.and_then(|object| object::label(object, MANAGED)).filter(|how| matches!(*how, ON_START | ALWAYS))
}

/// `at_start`: whether the object was there when the server started. `settled`: whether it has been brought in line since.
fn step(wanted: Option<&Value>, found: Option<&Value>, at_start: bool, settled: bool) -> Step {
    let once = |object| managed(object) == Some(ON_START);
    match (wanted, found) {
        (None, None) => Step::Nothing,
        (Some(_), _) if once(wanted) && settled => Step::Nothing,
        (Some(_), None) => Step::Create,
        (_, Some(_)) if managed(found).is_none() => Step::Nothing,
        (_, Some(_)) if once(found) && (!at_start || settled) => Step::Nothing,
        (None, Some(_)) => Step::Delete,
        (Some(wanted), Some(found)) if specs_agree(wanted, found) => Step::Nothing,
        (Some(_), Some(_)) => Step::Update,
    }
}

fn specs_agree(wanted: &Value, found: &Value) -> bool {
    let field = |object: &Value, field: &str| object::get_at(object, &["spec", field]).cloned().unwrap_or_default();
    ["group", "version", "groupPriorityMinimum", "versionPriority", "service", "caBundle"]
        .iter()
        .all(|name| field(wanted, name) == field(found, name))
}

/// Keeps the APIServices in line with what is served.
pub struct Registrar {
    server: Arc<ApiServer>,
    resource: Arc<ResourceDefinition>,
    /// What `wanted` was made of.
    registry: Option<Arc<Registry>>,
    wanted: BTreeMap<String, Value>,
    at_start: BTreeSet<String>,
    settled: BTreeSet<String>,
    /// Those that nothing served here wanted the last time.
    doubted: BTreeSet<String>,
}

impl Registrar {
    /// `found` are the names of those that are there.
    pub fn new(server: &Arc<ApiServer>, resource: &Arc<ResourceDefinition>, found: BTreeSet<String>) -> Self {
        Self {
            server: Arc::clone(server),
            resource: Arc::clone(resource),
            registry: None,
            wanted: BTreeMap::new(),
            at_start: found,
            settled: BTreeSet::new(),
            doubted: BTreeSet::new(),
        }
    }

    /// Looks at what is served now, and adds the names of what there should be or no longer be to `changed`.
    fn look(&mut self, changed: &mut BTreeSet<String>) {
        let registry = self.server.registry.load_full();
        if self.registry.as_ref().is_some_and(|known| Arc::ptr_eq(known, &registry)) {
            return;
        }
        let wanted = wanted(&registry);
        let differs = |name: &&String| wanted.get(*name) != self.wanted.get(*name);
        changed.extend(wanted.keys().chain(self.wanted.keys()).filter(differs).cloned());
        (self.registry, self.wanted) = (Some(registry), wanted);
    }

    /// Brings those that have changed in line with what is served now. Gives those that could not be.
    pub async fn settle(&mut self, mut changed: BTreeSet<String>) -> BTreeSet<String> {
        self.look(&mut changed);
        let mut failed = BTreeSet::new();
        for name in changed {
            match self.settle_one(&name).await {
                Ok(true) => {}
                Ok(false) => drop(failed.insert(name)),
                Err(status) => {
                    tracing::warn!(name, error = status.message, "an APIService cannot be brought in line");
                    failed.insert(name);
                }
            }
        }
        failed
    }

    /// Says whether it is in line now.
    async fn settle_one(&mut self, name: &str) -> Result<bool, Status> {
        let found = self.server.read(GROUP, "v1", "apiservices", "", name).await?;
        let wanted = self.wanted.get(name);
        let step = step(wanted, found.as_ref(), self.at_start.contains(name), self.settled.contains(name));
        // Where several servers share a store, another one may have made it for a definition that is not served here yet.
        if step == Step::Delete && self.doubted.insert(name.to_owned()) {
            return Ok(false);
        }
        self.doubted.remove(name);
        match self.take(&step, name, wanted, found.as_ref()).await {
            Ok(()) => {}
            // Somebody else was faster; what they did comes in as a change.
            Err(status) if matches!(status.code, 404 | 409) => return Ok(true),
            Err(status) => return Err(status),
        }
        self.settled.insert(name.to_owned());
        Ok(true)
    }

    async fn take(&self, step: &Step, name: &str, wanted: Option<&Value>, found: Option<&Value>) -> Result<(), Status> {
        let scope = |verb| internal::scope(&self.server, &self.resource, "", "", name, verb);
        let options = || WriteOptions { field_manager: "kube-apiserver".to_owned(), ..WriteOptions::default() };
        match (step, wanted, found) {
            (Step::Create, Some(wanted), _) => {
                let kind = json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"});
                write::create(&scope("create"), wanted.clone(), &options(), kind).await.map(drop)
            }
            (Step::Update, Some(wanted), _) => {
                let spec = wanted["spec"].clone();
                let change = move |object: &Value| {
                    let mut object = object.clone();
                    object["spec"] = spec.clone();
                    Ok(object)
                };
                update::apply(&scope("update"), &update::Source::Change(Box::new(change)), &options()).await.map(drop)
            }
            (Step::Delete, _, Some(_)) => delete::remove(&scope("delete"), &DeleteOptions::default()).await.map(drop),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

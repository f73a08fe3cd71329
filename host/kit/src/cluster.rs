//! The cluster that a case shows to a policy.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::definition::{Registry, RuntimeConfig, split_api_version};
use portcullis_machinery::{Value, object};
use portcullis_policy::{KeySets, LogLine, PolicyHost, ReadError, VerifyError};

/// The resource of an object's kind: `pods`, `deployments.apps`, and whether it is namespaced. What no server has built
/// in is named as nearly every author of a definition does it.
pub struct Resources(Registry);

impl Default for Resources {
    fn default() -> Self {
        Self(Registry::builtin(&RuntimeConfig::default()))
    }
}

impl Resources {
    /// The plural of an object's resource, and whether it is in a namespace.
    pub fn of(&self, value: &Value) -> (String, bool) {
        let (group, version) = split_api_version(object::api_version(value));
        match self.0.kind(group, version, object::kind(value)) {
            Some(definition) => (definition.plural.clone(), definition.namespaced),
            None => (plural(object::kind(value)), !object::namespace(value).is_empty()),
        }
    }

    /// As `cluster.get` names it.
    fn name(&self, value: &Value) -> String {
        let (group, _) = split_api_version(object::api_version(value));
        let (plural, _) = self.of(value);
        if group.is_empty() { plural } else { format!("{plural}.{group}") }
    }
}

fn plural(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with(['s', 'x']) || kind.ends_with("ch") => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

/// Resource, namespace and name.
type Key = (String, String, String);

/// The host of the policies under test: it shows the objects of a case, and keeps what policies log.
#[derive(Default)]
pub struct CaseHost {
    resources: Resources,
    objects: Mutex<HashMap<Key, Arc<Value>>>,
    log: Mutex<Vec<String>>,
    keys: KeySets,
}

impl CaseHost {
    /// Shows these objects from now on, and nothing else.
    pub fn show(&self, objects: &[Value]) {
        let key = |value: &Value| {
            (self.resources.name(value), object::namespace(value).to_owned(), object::name(value).to_owned())
        };
        *self.objects.lock() = objects.iter().map(|value| (key(value), Arc::new(value.clone()))).collect();
    }

    /// What was logged since the last time that this was asked.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }

    /// The names of resources.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }
}

impl PolicyHost for CaseHost {
    fn cluster_get(
        &self,
        _: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, ReadError> {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        Ok(self.objects.lock().get(&key).cloned())
    }

    fn verify(
        &self,
        key_set: &str,
        key_id: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        self.keys.verify(key_set, key_id, algorithm, message, signature)
    }

    fn log(&self, line: &LogLine<'_>) {
        let level = format!("{:?}", line.level).to_lowercase();
        let level = level.rsplit("::").next().unwrap_or_default();
        self.log.lock().push(format!("{level}: {}", line.message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_are_named_as_the_api_names_them() {
        let resources = Resources::default();
        let check = |api_version: &str, kind: &str, expected: &str| {
            assert_eq!(resources.name(&json!({"apiVersion": api_version, "kind": kind})), expected);
        };
        check("v1", "Pod", "pods");
        check("apps/v1", "Deployment", "deployments.apps");
        check("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies.networking.k8s.io");
        check("example.com/v1", "CronTab", "crontabs.example.com");
        check("example.com/v1", "Policy", "policies.example.com");
        check("example.com/v1", "Box", "boxes.example.com");
    }

    #[test]
    fn a_case_sees_its_own_objects() {
        let host = CaseHost::default();
        host.show(&[json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "x"}})]);
        let get = |namespace: &str| host.cluster_get("", "configmaps", namespace, "a").map(|found| found.is_some());
        assert!(get("x").is_ok_and(|found| found));
        assert!(get("y").is_ok_and(|found| !found));
        host.show(&[]);
        assert!(get("x").is_ok_and(|found| !found));
    }
}

//! What a cluster grants before anyone wrote to it: Kubernetes' bootstrap roles and bindings (API reference, "Default roles
//! and role bindings"), and the few of this project.
//!
//! The policy is data (`bootstrap/policy.txt`). At every start what is missing is added, and what an administrator took
//! away is put back, unless the object says `rbac.authorization.kubernetes.io/autoupdate: "false"`. Nothing that was added
//! is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use portcullis_machinery::definition::Registry;
use portcullis_machinery::{Value, codec, object};
use portcullis_storage::{Expect, RangeRequest, Store, StoreError};
use serde_json::{Map, json};

use crate::authz::rbac::rules_of;
use crate::authz::rules::{Rule, uncovered};

const POLICY: &str = include_str!("bootstrap/policy.txt");
const GROUP: &str = "rbac.authorization.k8s.io";
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Why the bootstrap policy could not be established.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store failed.
    #[error("cannot write the bootstrap policy: {0}")]
    Store(#[from] StoreError),
    /// A stored object is not JSON.
    #[error("{key} in the store is not JSON: {source}")]
    Malformed {
        /// Its key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|word| if word == "-" { String::new() } else { word.to_owned() }).collect()
}

/// Reads one rule line of the policy.
fn rule(words: &[&str]) -> Option<Rule> {
    match words {
        [verbs, "url", urls] => Some(Rule { verbs: list(verbs), non_resource_urls: list(urls), ..Rule::default() }),
        [verbs, "of", groups, resources, rest @ ..] => Some(Rule {
            verbs: list(verbs),
            api_groups: list(groups),
            resources: list(resources),
            resource_names: match rest {
                ["named", names] => list(names),
                _ => Vec::new(),
            },
            ..Rule::default()
        }),
        _ => None,
    }
}

fn header(words: &[&str]) -> Option<Value> {
    let (kind, name, rest) = match words {
        [kind, name, rest @ ..] => (*kind, *name, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["in", namespace, rest @ ..] => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let mut object = json!({
        "kind": kind,
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {AUTOUPDATE: "true"},
        },
    });
    if let Some(namespace) = namespace {
        object::set_at(&mut object, &["metadata", "namespace"], namespace);
    }
    match rest {
        ["to", kind, name] => {
            object::set_at(&mut object, &["roleRef"], json!({"apiGroup": GROUP, "kind": kind, "name": name}));
        }
        _ => object::set_at(&mut object, &["rules"], json!([])),
    }
    Some(object)
}

fn push(object: &mut Value, key: &str, item: Value) {
    let Some(map) = object.as_object_mut() else { return };
    if let Value::Array(items) = map.entry(key).or_insert_with(|| json!([])) {
        items.push(item);
    }
}

fn add_line(object: &mut Value, words: &[&str]) -> Option<()> {
    match words {
        ["label", label] => {
            let (key, value) = label.split_once('=')?;
            object::set_at(object, &["metadata", "labels", key], value);
        }
        ["aggregate", label] => {
            let (key, value) = label.split_once('=')?;
            let rule = object.as_object_mut()?.entry("aggregationRule").or_insert_with(|| json!({}));
            push(rule, "clusterRoleSelectors", json!({"matchLabels": {key: value}}));
        }
        ["user", name] => push(object, "subjects", json!({"kind": "User", "apiGroup": GROUP, "name": name})),
        ["group", name] => push(object, "subjects", json!({"kind": "Group", "apiGroup": GROUP, "name": name})),
        ["account", namespace, name] => {
            push(object, "subjects", json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
        }
        words => push(object, "rules", serde_json::to_value(rule(words)?).ok()?),
    }
    Some(())
}

/// The objects of a policy text; lines that cannot be read are left out.
fn parse(policy: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = Vec::new();
    for line in policy.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(' ') {
            objects.extend(header(&words));
        } else if let Some(object) = objects.last_mut() {
            add_line(object, &words);
        }
    }
    objects
}

/// All bootstrap roles and bindings.
pub fn policy() -> Vec<Value> {
    let mut objects = parse(POLICY);
    // Aggregated roles start out with what the bootstrap policy aggregates, so that no controller need run first.
    // An aggregated role may be part of another (view of edit, edit of admin): three rounds settle that.
    for _ in 0..3 {
        let roles: Vec<Value> =
            objects.iter().filter(|object| object::kind(object) == "ClusterRole").cloned().collect();
        for object in &mut objects {
            if let Some(rules) = crate::authz::aggregate::aggregated_rules(object, roles.iter()) {
                object::set_at(object, &["rules"], rules);
            }
        }
    }
    objects
}

/// The rules of a bootstrap ClusterRole; empty if there is none of that name.
pub fn cluster_role_rules(name: &str) -> Vec<Rule> {
    parse(POLICY)
        .iter()
        .find(|object| object::kind(object) == "ClusterRole" && object::name(object) == name)
        .map(rules_of)
        .unwrap_or_default()
}

fn merge_missing(stored: &mut Value, wanted: &Value, path: [&str; 2]) -> bool {
    let Some(wanted) = object::get_at(wanted, &path).and_then(Value::as_object) else { return false };
    let map = object::object_at(stored, &path);
    let before = map.len();
    for (key, value) in wanted {
        map.entry(key.clone()).or_insert_with(|| value.clone());
    }
    map.len() != before
}

fn append_missing(stored: &mut Value, wanted: &Value, path: &[&str]) -> bool {
    let have = object::list_at(stored, path).to_vec();
    let missing: Vec<Value> =
        object::list_at(wanted, path).iter().filter(|item| !have.contains(item)).cloned().collect();
    if missing.is_empty() {
        return false;
    }
    let all: Vec<Value> = have.into_iter().chain(missing).collect();
    object::set_at(stored, path, Value::Array(all));
    true
}

/// What a reconciliation has to do with an object.
#[derive(Debug, PartialEq)]
enum Change {
    Nothing,
    Write(Box<Value>),
    /// A binding's roleRef cannot be changed: it is made anew.
    Replace,
}

/// Adds to a stored object what the policy wants and it lacks.
fn reconcile(stored: &Value, wanted: &Value) -> Change {
    if object::annotation(stored, AUTOUPDATE) == Some("false") {
        return Change::Nothing;
    }
    if wanted.get("roleRef") != stored.get("roleRef") {
        return Change::Replace;
    }
    let mut new = stored.clone();
    let mut changed = merge_missing(&mut new, wanted, ["metadata", "labels"]);
    changed |= merge_missing(&mut new, wanted, ["metadata", "annotations"]);
    changed |= append_missing(&mut new, wanted, &["subjects"]);
    if wanted.get("aggregationRule").is_some() {
        changed |= append_missing(&mut new, wanted, &["aggregationRule", "clusterRoleSelectors"]);
    } else {
        let missing = uncovered(&rules_of(&new), &rules_of(wanted));
        if !missing.is_empty() {
            for rule in missing {
                push(&mut new, "rules", serde_json::to_value(rule).unwrap_or_default());
            }
            changed = true;
        }
    }
    if changed { Change::Write(Box::new(new)) } else { Change::Nothing }
}

fn new_object(wanted: &Value) -> Value {
    let mut new = wanted.clone();
    object::set_at(&mut new, &["metadata", "uid"], uuid::Uuid::new_v4().to_string());
    object::set_at(&mut new, &["metadata", "creationTimestamp"], object::now_rfc3339());
    new
}

/// Brings the store (the tenant's scope of it) in line with the policy. Writers at the same time (another server) are
/// fine: what they made first is reconciled by the next start.
///
/// # Errors
/// If the store fails.
pub async fn ensure(store: &Arc<dyn Store>, registry: &Registry) -> Result<(), BootstrapError> {
    let mut stored: BTreeMap<String, (Value, u64)> = BTreeMap::new();
    let mut work: Vec<(String, Value)> = Vec::new();
    let wanted = policy();
    for resource in ["roles", "clusterroles", "rolebindings", "clusterrolebindings"] {
        let Some(definition) = registry.resource(GROUP, "v1", resource) else { continue };
        let range = store.range(RangeRequest::prefix(&format!("{}/", definition.storage.prefix))).await?;
        // One that cannot be read now is there, and what is there is not made: the write below is refused.
        for kv in range.kvs.into_iter().filter(|kv| kv.unreadable.is_none()) {
            let key = kv.key.to_string();
            let value = serde_json::from_slice(&kv.value)
                .map_err(|source| BootstrapError::Malformed { key: key.clone(), source })?;
            stored.insert(key, (value, kv.mod_revision));
        }
        work.extend(
            wanted
                .iter()
                .filter(|object| object::kind(object) == definition.kind)
                .map(|object| (definition.key(object::namespace(object), object::name(object)), object.clone())),
        );
    }
    let changes = work.into_iter().filter_map(|(key, wanted)| match stored.get(&key) {
        None => Some((key, new_object(&wanted), Expect::Absent)),
        Some((old, revision)) => match reconcile(old, &wanted) {
            Change::Nothing => None,
            Change::Write(new) => Some((key, *new, Expect::ModRevision(*revision))),
            Change::Replace => Some((key, new_object(&wanted), Expect::ModRevision(*revision))),
        },
    });
    // Many at a time: the store commits what arrives together with one sync of the disk.
    stream::iter(changes)
        .map(|(key, object, expect)| async move {
            match store.put(&key, codec::encode(&object), expect, None).await {
                Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(256)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// The policy's objects as one map by kind and name, for explanations and tests.
pub fn by_name() -> Map<String, Value> {
    policy()
        .into_iter()
        .map(|object| {
            (format!("{}/{}/{}", object::kind(&object), object::namespace(&object), object::name(&object)), object)
        })
        .collect()
}

#[cfg(test)]
mod tests;

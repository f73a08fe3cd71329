//! ResourceQuotas: what a namespace may hold (API reference, "Resource Quotas").
//!
//! A write that takes something is charged to the quotas that it concerns, in their status, before it is stored. Charges
//! of one namespace come one after another: the present state is read under a lock and written with compare-and-swap, so
//! that no number of writes at the same time gets past a limit. What deletions give back, a controller counts anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::quota::{self, Amounts};
use portcullis_machinery::{Status, Value, codec, object};
use portcullis_storage::{Expect, StoreError};

use super::{AdmissionAttributes, Operation};
use crate::handlers::Scope;
use crate::handlers::scope::{cache_of, store_error};

const ATTEMPTS: usize = 16;

/// One lock for each namespace in which something is being charged.
#[derive(Debug, Default)]
pub struct QuotaLocks {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl QuotaLocks {
    fn of(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(namespace.to_owned()).or_default().clone()
    }
}

/// Whether such a write can take something.
fn handles(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> bool {
    match (attributes.operation, scope.group(), scope.resource(), scope.sub()) {
        (Operation::Create, .., "") => true,
        // A pod that has a deadline now, or none any more, counts for other quotas than before.
        (Operation::Update, "", "pods", "") => {
            attributes.old_object.as_deref().is_some_and(|old| quota::is_terminating(old) != quota::is_terminating(new))
        }
        (Operation::Update, "", "services" | "persistentvolumeclaims", "") => true,
        (Operation::Update, "resource.k8s.io", "resourceclaims", "") => true,
        (Operation::Update, "", "pods", "resize") => true,
        _ => false,
    }
}

/// Charges the write of `new` to the namespace's quotas.
///
/// # Errors
/// 403 if one of them does not allow it.
pub async fn charge(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> Result<(), Status> {
    if !scope.definition.namespaced || scope.namespace.is_empty() || !handles(scope, attributes, new) {
        return Ok(());
    }
    let registry = scope.server.registry.load_full();
    let Some(definition) = registry.resource("", "v1", "resourcequotas") else { return Ok(()) };
    let cache = cache_of(&scope.server, definition);
    let prefix = definition.key_prefix(Some(&scope.namespace));
    if cache.peek().under(&prefix, None).next().is_none() {
        return Ok(());
    }
    let lock = scope.server.quota_locks.of(&scope.namespace);
    let _one_at_a_time = lock.lock().await;
    let taken = Taken { more: delta(scope, attributes, new), all: quota::usage(scope.group(), scope.resource(), new) };
    let mut charged: BTreeSet<String> = BTreeSet::new();
    'again: for _ in 0..ATTEMPTS {
        let now = cache.snapshot(None).await.map_err(|error| store_error(&error))?;
        let mut changes = Vec::new();
        for found in now.under(&prefix, None).filter(|found| !charged.contains(&*found.key)) {
            let quota = found.value();
            if let Some(changed) = checked(scope, attributes, &quota, &taken, new)? {
                changes.push((found.key.to_string(), found.revision, changed));
            }
        }
        if attributes.dry_run {
            return Ok(());
        }
        for (key, revision, mut quota) in changes {
            object::meta_mut(&mut quota).remove("resourceVersion");
            match scope.server.store.put(&key, codec::encode(&quota), Expect::ModRevision(revision), None).await {
                Ok(_) => drop(charged.insert(key)),
                Err(StoreError::Conflict { .. } | StoreError::NotFound) => continue 'again,
                Err(error) => return Err(store_error(&error)),
            }
        }
        return Ok(());
    }
    Err(Status::conflict("", "resourcequotas", "", "the quotas of the namespace change too fast"))
}

/// What a write takes.
struct Taken {
    /// More than what is there already.
    more: Amounts,
    /// In all, which is what a quota is charged that did not concern the object before.
    all: Amounts,
}

/// What the write takes more than what is there already.
fn delta(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> Amounts {
    let mut delta = quota::usage(scope.group(), scope.resource(), new);
    if attributes.operation == Operation::Update
        && let Some(old) = &attributes.old_object
    {
        for (name, amount) in quota::usage(scope.group(), scope.resource(), old) {
            let more = delta.get(&name).copied().unwrap_or_default().sub(&amount);
            delta.insert(name, more);
        }
    }
    delta.retain(|_, amount| !amount.is_zero());
    delta
}

fn listed(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

/// The quota with the write charged; `None` if it is not concerned.
fn checked(
    scope: &Scope,
    attributes: &AdmissionAttributes,
    found: &Value,
    taken: &Taken,
    new: &Value,
) -> Result<Option<Value>, Status> {
    let (group, resource) = (scope.group(), scope.resource());
    let spec = found.get("spec").unwrap_or(&Value::Null);
    let hard = quota::amounts(object::get_at(found, &["status", "hard"]));
    let names: BTreeSet<String> = hard.keys().filter(|name| quota::concerns(group, resource, name)).cloned().collect();
    if names.is_empty() || !quota::in_scope(spec, group, resource, new) {
        return Ok(None);
    }
    let name = object::name(found);
    let refuse = |why: String| Status::forbidden(group, resource, &attributes.name, &why);
    let mut used = quota::amounts(object::get_at(found, &["status", "used"]));
    if names.iter().any(|name| !used.contains_key(name)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(refuse(format!("status unknown for quota: {name}, resources: {}", names.join(","))));
    }
    if attributes.operation == Operation::Create {
        quota::constraints(group, resource, &names, new)
            .map_err(|why| refuse(format!("failed quota: {name}: {why}")))?;
    }
    let old = attributes.old_object.as_deref().filter(|_| attributes.operation == Operation::Update);
    let counted = old.is_none_or(|old| quota::in_scope(spec, group, resource, old));
    let delta = if counted { &taken.more } else { &taken.all };
    let requested: Amounts =
        delta.iter().filter(|(name, _)| names.contains(*name)).map(|(name, amount)| (name.clone(), *amount)).collect();
    if requested.is_empty() {
        return Ok(None);
    }
    let (mut over, mut had, mut limits) = (Amounts::new(), Amounts::new(), Amounts::new());
    for (resource, amount) in &requested {
        let (before, limit) = (used[resource], hard[resource]);
        // What takes no more than before is never refused.
        if !amount.is_negative() && before.add(amount) > limit {
            over.insert(resource.clone(), *amount);
            had.insert(resource.clone(), before);
            limits.insert(resource.clone(), limit);
        }
        used.insert(resource.clone(), before.add(amount));
    }
    if !over.is_empty() {
        return Err(refuse(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            listed(&over),
            listed(&had),
            listed(&limits)
        )));
    }
    let mut changed = found.clone();
    object::set_at(&mut changed, &["status", "used"], quota::to_value(&used));
    Ok(Some(changed))
}

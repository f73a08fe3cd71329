//! Classes that are taken where an object names none: of storage, of ingress, and of priority; and what a class of storage
//! lets a claim do.

use std::sync::Arc;

use portcullis_machinery::quantity::Quantity;
use portcullis_machinery::{Status, Value, object};

use super::{AdmissionAttributes, Operation};
use crate::handlers::Scope;
use crate::handlers::scope::cache_of;

fn all(scope: &Scope, group: &str, plural: &str) -> Vec<Arc<Value>> {
    let registry = scope.server.registry.load();
    let Some(definition) = registry.resource(group, "v1", plural) else { return Vec::new() };
    let prefix = definition.key_prefix(None);
    cache_of(&scope.server, definition).peek().under(&prefix, None).map(|found| found.value()).collect()
}

/// The name of the newest of the classes that an annotation marks as the default; of several of one age the first by name.
fn marked(classes: Vec<Arc<Value>>, annotations: &[&str]) -> Option<String> {
    let is_default = |class: &&Arc<Value>| annotations.iter().any(|key| object::annotation(class, key) == Some("true"));
    let created = |class: &Value| object::str_at(class, &["metadata", "creationTimestamp"]).unwrap_or("").to_owned();
    let mut found: Vec<&Arc<Value>> = classes.iter().filter(is_default).collect();
    found.sort_by(|a, b| created(b).cmp(&created(a)).then_with(|| object::name(a).cmp(object::name(b))));
    found.first().map(|class| object::name(class).to_owned())
}

/// Names the default class in a new object that names none.
pub fn fill_in(scope: &Scope, attributes: &AdmissionAttributes, new: &mut Value) {
    if attributes.operation != Operation::Create || !scope.sub().is_empty() {
        return;
    }
    let unset = |object: &Value, field: &str| object::get_at(object, &["spec", field]).is_none_or(Value::is_null);
    match (scope.group(), scope.definition.kind.as_str()) {
        ("", "PersistentVolumeClaim") => {
            const BETA: &str = "volume.beta.kubernetes.io/storage-class";
            if unset(new, "storageClassName") && object::annotation(new, BETA).is_none() {
                let keys =
                    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
                if let Some(name) = marked(all(scope, "storage.k8s.io", "storageclasses"), &keys) {
                    object::set_at(new, &["spec", "storageClassName"], name);
                }
            }
        }
        ("networking.k8s.io", "Ingress") => {
            let old_way = object::annotation(new, "kubernetes.io/ingress.class").is_some();
            if unset(new, "ingressClassName") && !old_way {
                let keys = ["ingressclass.kubernetes.io/is-default-class"];
                if let Some(name) = marked(all(scope, "networking.k8s.io", "ingressclasses"), &keys) {
                    object::set_at(new, &["spec", "ingressClassName"], name);
                }
            }
        }
        ("", "Pod") if object::str_at(new, &["spec", "priorityClassName"]).unwrap_or("").is_empty() => {
            let classes = all(scope, "scheduling.k8s.io", "priorityclasses");
            let default = classes
                .iter()
                .filter(|class| class.get("globalDefault") == Some(&Value::Bool(true)))
                .min_by_key(|class| class.get("value").and_then(Value::as_i64).unwrap_or(0));
            if let Some(class) = default {
                object::set_at(new, &["spec", "priorityClassName"], object::name(class));
            }
        }
        _ => {}
    }
}

/// Refuses to make a claim larger whose class does not let it grow, and a second default class of priority.
///
/// # Errors
/// 403.
pub fn check(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> Result<(), Status> {
    if !scope.sub().is_empty() {
        return Ok(());
    }
    let refuse = |why: &str| Err(Status::forbidden(scope.group(), scope.resource(), &attributes.name, why));
    match (scope.group(), scope.definition.kind.as_str(), &attributes.old_object) {
        ("", "PersistentVolumeClaim", Some(old)) => {
            let size = |claim: &Value| {
                object::get_at(claim, &["spec", "resources", "requests", "storage"])
                    .and_then(|size| Quantity::from_json(size).ok())
                    .unwrap_or_default()
            };
            if size(new) <= size(old) {
                return Ok(());
            }
            if object::str_at(old, &["status", "phase"]) != Some("Bound") {
                return refuse("Only bound persistent volume claims can be expanded");
            }
            let named = |claim: &Value| {
                object::annotation(claim, "volume.beta.kubernetes.io/storage-class")
                    .or_else(|| object::str_at(claim, &["spec", "storageClassName"]))
                    .unwrap_or_default()
                    .to_owned()
            };
            let class = named(new);
            let grows = !class.is_empty()
                && class == named(old)
                && all(scope, "storage.k8s.io", "storageclasses").iter().any(|found| {
                    object::name(found) == class && found.get("allowVolumeExpansion") == Some(&Value::Bool(true))
                });
            if grows {
                return Ok(());
            }
            refuse(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
                 support resize",
            )
        }
        ("scheduling.k8s.io", "PriorityClass", _) if new.get("globalDefault") == Some(&Value::Bool(true)) => {
            let classes = all(scope, "scheduling.k8s.io", "priorityclasses");
            let other = classes.iter().find(|class| {
                class.get("globalDefault") == Some(&Value::Bool(true)) && object::name(class) != object::name(new)
            });
            match other {
                Some(other) => refuse(&format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    object::name(other)
                )),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

//! The values that the API gives to fields which a client left out (the reference's `SetDefaults` functions, which its
//! API reference states field by field).

mod others;
mod pod;
mod workloads;

use serde_json::{Map, Value};

use crate::definition::ResourceDefinition;
use crate::structural;

/// Fills in what the client left out, as the API defines it for the kind. Run it on a conformed object
/// ([`crate::codec::conform`]); conform again afterwards is not needed.
pub fn apply_defaults(definition: &ResourceDefinition, object: &mut Value) {
    if let Some(custom) = definition.schema.custom() {
        return structural::defaults::apply(object, custom.structural());
    }
    let Value::Object(object) = object else { return };
    match (definition.group.as_str(), definition.kind.as_str()) {
        ("", "Pod") => pod::pod(object),
        ("", "PodTemplate") => pod::template(object),
        ("", "ReplicationController") => workloads::replication_controller(object),
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "ReplicaSet") => workloads::replica_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("batch", "Job") => workloads::job(object),
        ("batch", "CronJob") => workloads::cron_job(object),
        ("autoscaling", "HorizontalPodAutoscaler") if definition.version == "v1" => others::autoscaler_v1(object),
        (group, kind) => others::defaults(group, kind, object),
    }
}

type Members = Map<String, Value>;

/// Gives a member a value if it has none. Null is none: it is how a field that is always written says so.
fn set(members: &mut Members, key: &str, value: impl Into<Value>) {
    let member = members.entry(key).or_insert(Value::Null);
    if member.is_null() {
        *member = value.into();
    }
}

/// Gives a number a value if it is zero, for fields that cannot tell zero from none.
fn set_nonzero(members: &mut Members, key: &str, value: i64) {
    let member = members.entry(key).or_insert(Value::Null);
    if member.is_null() || *member == Value::from(0) {
        *member = value.into();
    }
}

/// An object member, made if it is not there.
fn object<'a>(members: &'a mut Members, key: &str) -> &'a mut Members {
    let value = members.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object above"),
    }
}

/// An object member, if it is there.
fn existing<'a>(members: &'a mut Members, key: &str) -> Option<&'a mut Members> {
    members.get_mut(key)?.as_object_mut()
}

/// The objects of a list member.
fn each<'a>(members: &'a mut Members, key: &str) -> impl Iterator<Item = &'a mut Members> {
    members.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// A member's text; empty if it has none.
fn text<'a>(members: &'a Members, key: &str) -> &'a str {
    members.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Labels of the pod template, for selectors that are copied from it.
fn copy_template_labels(object_members: &mut Members) -> Option<Value> {
    let labels = object_members.get("spec")?.pointer("/template/metadata/labels")?.clone();
    labels.as_object().is_some_and(|labels| !labels.is_empty()).then_some(labels)
}

//! Between a request's version of an object and the one that is stored, for the two built-in kinds that are served in
//! more than one form by default: events (core and `events.k8s.io`) and horizontal pod autoscalers (v1 and v2).
//!
//! [`older`] is about what other servers have stored.

pub mod older;

use serde_json::{Map, Value, json};

use crate::definition::{ResourceDefinition, api_version};
use crate::object;

/// Core event fields, and what `events.k8s.io` calls them.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Annotations that carry what autoscaling/v1 has no fields for.
const HPA_ANNOTATIONS: [(&str, [&str; 2]); 4] = [
    ("autoscaling.alpha.kubernetes.io/metrics", ["spec", "metrics"]),
    ("autoscaling.alpha.kubernetes.io/behavior", ["spec", "behavior"]),
    ("autoscaling.alpha.kubernetes.io/current-metrics", ["status", "currentMetrics"]),
    ("autoscaling.alpha.kubernetes.io/conditions", ["status", "conditions"]),
];

/// The stored object in the definition's version.
pub fn from_storage(definition: &ResourceDefinition, mut value: Value) -> Value {
    match definition.kind.as_str() {
        "Event" => rename(&mut value, EVENT_FIELDS.iter().copied()),
        "HorizontalPodAutoscaler" => hpa_to_v1(&mut value),
        _ => {}
    }
    object::set_at(&mut value, &["apiVersion"], definition.api_version());
    value
}

/// The object in the version that is stored.
pub fn to_storage(definition: &ResourceDefinition, mut value: Value) -> Value {
    match definition.kind.as_str() {
        "Event" => rename(&mut value, EVENT_FIELDS.iter().map(|(core, new)| (*new, *core))),
        "HorizontalPodAutoscaler" => hpa_to_v2(&mut value),
        _ => {}
    }
    let stored = &definition.storage;
    object::set_at(&mut value, &["apiVersion"], api_version(&stored.group, &stored.version));
    value
}

fn rename<'a>(value: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(map) = value.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(field) = map.remove(from) {
            map.insert(to.to_owned(), field);
        }
    }
}

fn is_cpu_utilization(metric: &Value) -> bool {
    object::str_at(metric, &["resource", "name"]) == Some("cpu")
}

fn hpa_to_v1(value: &mut Value) {
    let (mut cpu, mut other) = (None, Vec::new());
    for metric in object::list_at(value, &["spec", "metrics"]) {
        let target = object::i64_at(metric, &["resource", "target", "averageUtilization"]);
        match target {
            Some(target) if is_cpu_utilization(metric) && cpu.is_none() => cpu = Some(target),
            _ => other.push(metric.clone()),
        }
    }
    let mut current = None;
    for metric in object::list_at(value, &["status", "currentMetrics"]) {
        let used = object::i64_at(metric, &["resource", "current", "averageUtilization"]);
        if is_cpu_utilization(metric) && current.is_none() {
            current = used;
        }
    }
    object::remove_at(value, &["spec", "metrics"]);
    if !other.is_empty() {
        object::set_at(value, &["spec", "metrics"], other);
    }
    for (annotation, path) in HPA_ANNOTATIONS {
        let Some(extra) = object::remove_at(value, &path) else { continue };
        if extra.as_array().is_some_and(Vec::is_empty) || extra.is_null() {
            continue;
        }
        object::set_at(value, &["metadata", "annotations", annotation], extra.to_string());
    }
    // The older version writes numbers that are zero.
    if let Some(Value::Object(status)) = value.get_mut("status") {
        for number in ["currentReplicas", "desiredReplicas"] {
            status.entry(number).or_insert_with(|| 0.into());
        }
    }
    if let Some(cpu) = cpu {
        object::set_at(value, &["spec", "targetCPUUtilizationPercentage"], cpu);
    }
    if let Some(current) = current {
        object::set_at(value, &["status", "currentCPUUtilizationPercentage"], current);
    }
}

fn hpa_to_v2(value: &mut Value) {
    for (annotation, path) in HPA_ANNOTATIONS {
        let annotations = ["metadata", "annotations"];
        let Some(Value::String(text)) = object::get_at_mut(value, &annotations)
            .and_then(|map| map.as_object_mut().and_then(|map: &mut Map<String, Value>| map.remove(annotation)))
        else {
            continue;
        };
        if let Ok(extra) = serde_json::from_str::<Value>(&text) {
            object::set_at(value, &path, extra);
        }
    }
    let emptied = object::get_at(value, &["metadata", "annotations"]);
    if emptied.and_then(Value::as_object).is_some_and(Map::is_empty) {
        object::remove_at(value, &["metadata", "annotations"]);
    }
    if let Some(target) = object::remove_at(value, &["spec", "targetCPUUtilizationPercentage"]) {
        let mut metrics = object::list_at(value, &["spec", "metrics"]).to_vec();
        let target = json!({"type": "Utilization", "averageUtilization": target});
        metrics.insert(0, json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        object::set_at(value, &["spec", "metrics"], metrics);
    }
    if let Some(used) = object::remove_at(value, &["status", "currentCPUUtilizationPercentage"]) {
        let current = json!({"averageUtilization": used, "averageValue": "0"});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "current": current}});
        object::set_at(value, &["status", "currentMetrics"], json!([metric]));
    }
}

//! What a kind's new and changed objects are made to look like before they are validated.

use portcullis_machinery::{Status, Value, object};
use serde_json::json;

use super::{disabled, pod};
use crate::handlers::Scope;

/// How often a DaemonSet's template has changed; the field of old versions lives on as an annotation.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
const TEMPLATE_PATH: [&str; 3] = ["metadata", "annotations", TEMPLATE_GENERATION];

/// Kinds whose status endpoint leaves all metadata as it is.
pub const METADATA_KEPT_BY_STATUS: [&str; 6] = [
    "ValidatingAdmissionPolicy",
    "VolumeAttachment",
    "ResourceClaim",
    "ServiceCIDR",
    "FlowSchema",
    "PriorityLevelConfiguration",
];

/// Kinds whose `status` a client may set on creation, although they have a status subresource.
const STATUS_ON_CREATE: [&str; 1] = ["Node"];

/// Prepares a new object. `labels_by_default` is whether the client gave it no labels.
///
/// # Errors
/// None at present; kinds may refuse.
pub fn prepare_for_create(scope: &Scope, object: &mut Value, labels_by_default: bool) -> Result<(), Status> {
    let definition = &scope.definition;
    let kind = definition.kind.as_str();
    if definition.has_status() && !STATUS_ON_CREATE.contains(&kind) {
        object::remove_at(object, &["status"]);
    }
    if !definition.builtin {
        return Ok(());
    }
    let now = object::now_rfc3339();
    disabled::drop_fields(kind, object, None);
    match kind {
        "Namespace" => {
            object::set_at(object, &["status"], json!({"phase": "Active"}));
            let mut finalizers = object::list_at(object, &["spec", "finalizers"]).to_vec();
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push("kubernetes".into());
            }
            object::set_at(object, &["spec", "finalizers"], finalizers);
        }
        "Pod" => {
            pod::prepare_new(object);
            let class = qos_class(object);
            object::set_at(object, &["status"], json!({"phase": "Pending", "qosClass": class}));
            if !object::list_at(object, &["spec", "schedulingGates"]).is_empty() {
                let condition = json!({
                    "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": null, "lastTransitionTime": now,
                });
                object::set_at(object, &["status", "conditions"], json!([condition]));
            }
        }
        "PersistentVolume" => {
            object::set_at(object, &["status"], json!({"phase": "Pending", "lastPhaseTransitionTime": now}));
        }
        "PersistentVolumeClaim" => {
            object::set_at(object, &["status"], json!({"phase": "Pending"}));
            match_data_sources(object);
        }
        "CertificateSigningRequest" => {
            let user = &scope.cx.user;
            let spec = object::object_at(object, &["spec"]);
            for field in ["username", "uid", "groups", "extra"] {
                spec.remove(field);
            }
            spec.insert("username".into(), user.username.as_str().into());
            if !user.uid.is_empty() {
                spec.insert("uid".into(), user.uid.as_str().into());
            }
            spec.insert("groups".into(), user.groups.clone().into());
            if !user.extra.is_empty() {
                let extra = user.extra.iter().map(|(key, values)| (key.clone(), Value::from(values.clone())));
                spec.insert("extra".into(), Value::Object(extra.collect()));
            }
        }
        "CustomResourceDefinition" => store_versions(object),
        "APIService" if object::get_at(object, &["spec", "service"]).is_none() => {
            let condition = json!({
                "type": "Available", "status": "True", "lastTransitionTime": now, "reason": "Local",
                "message": "Local APIServices are always available",
            });
            object::set_at(object, &["status", "conditions"], json!([condition]));
        }
        "DaemonSet" => {
            let given = object::annotation(object, TEMPLATE_GENERATION).and_then(|text| text.parse::<i64>().ok());
            object::set_at(object, &TEMPLATE_PATH, given.unwrap_or(0).max(1).to_string());
        }
        "Job" => job_selector(object, labels_by_default),
        "LimitRange" if object::name(object).is_empty() => {
            object::set_at(object, &["metadata", "name"], uuid::Uuid::new_v4().to_string());
        }
        "ServiceAccount" => clean_secrets(object),
        _ => {}
    }
    Ok(())
}

/// Prepares a changed object: each endpoint writes its own part only.
///
/// # Errors
/// 409 for a namespace's finalizers changed by a stale request.
pub fn prepare_for_update(scope: &Scope, new: &mut Value, old: &Value) -> Result<(), Status> {
    let definition = &scope.definition;
    let kind = definition.kind.as_str();
    match scope.sub() {
        "status" => prepare_status(scope, new, old),
        "approval" => {
            let conditions = object::get_at(new, &["status", "conditions"]).cloned();
            copy(new, old, &["spec"]);
            copy(new, old, &["status"]);
            match conditions {
                Some(conditions) => object::set_at(new, &["status", "conditions"], conditions),
                None => drop(object::remove_at(new, &["status", "conditions"])),
            }
            condition_times(new, old);
        }
        "finalize" => copy(new, old, &["status"]),
        "ephemeralcontainers" => {
            let added = object::get_at(new, &["spec", "ephemeralContainers"]).cloned();
            let version = object::resource_version(new).to_owned();
            *new = old.clone();
            object::set_at(new, &["metadata", "resourceVersion"], version);
            if let Some(added) = added {
                object::set_at(new, &["spec", "ephemeralContainers"], added);
            }
        }
        "resize" => pod::resize(new, old),
        "binding" => {}
        _ => {
            if definition.has_status() {
                copy(new, old, &["status"]);
            }
            prepare_main(kind, definition.builtin, new, old);
        }
    }
    if definition.generation && counts_as_change(scope, new, old) {
        let generation = object::generation(old) + 1;
        object::meta_mut(new).insert("generation".into(), generation.into());
    }
    Ok(())
}

fn prepare_main(kind: &str, builtin: bool, new: &mut Value, old: &Value) {
    if !builtin {
        return;
    }
    disabled::drop_fields(kind, new, Some(old));
    match kind {
        "Namespace" => copy(new, old, &["spec", "finalizers"]),
        "Secret" if object::str_at(new, &["type"]).unwrap_or("").is_empty() => copy(new, old, &["type"]),
        "CertificateSigningRequest" => copy(new, old, &["spec"]),
        "Module" => ["spec", "status"].iter().for_each(|part| copy(new, old, &[part])),
        "DaemonSet" => {
            let had = object::annotation(old, TEMPLATE_GENERATION).and_then(|text| text.parse::<i64>().ok());
            let changed = new.pointer("/spec/template") != old.pointer("/spec/template");
            object::set_at(new, &TEMPLATE_PATH, (had.unwrap_or(1) + i64::from(changed)).to_string());
        }
        "CustomResourceDefinition" => store_versions(new),
        "PersistentVolumeClaim" => match_data_sources(new),
        "ServiceAccount" => clean_secrets(new),
        _ => {}
    }
}

/// Whether the change is one of what is desired, which `metadata.generation` counts.
fn counts_as_change(scope: &Scope, new: &Value, old: &Value) -> bool {
    let differs = |field: &str| new.get(field) != old.get(field);
    if matches!(scope.sub(), "status" | "finalize" | "approval" | "binding") {
        return false;
    }
    match scope.definition.kind.as_str() {
        "Deployment" => differs("spec") || new.pointer("/metadata/annotations") != old.pointer("/metadata/annotations"),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => differs("webhooks"),
        "PodTemplate" => differs("template"),
        "PriorityClass" => false,
        "EndpointSlice" => {
            new.pointer("/metadata/labels") != old.pointer("/metadata/labels")
                || differs_beside_metadata(true, new, old)
        }
        _ if scope.definition.builtin => differs("spec"),
        _ => differs_beside_metadata(scope.definition.has_status(), new, old),
    }
}

fn differs_beside_metadata(has_status: bool, new: &Value, old: &Value) -> bool {
    let part = |object: &Value| {
        let mut object = object.clone();
        if let Some(map) = object.as_object_mut() {
            map.remove("metadata");
            if has_status {
                map.remove("status");
            }
        }
        object
    };
    part(new) != part(old)
}

/// The status endpoints change the status, and of the metadata what the kind lets them.
fn prepare_status(scope: &Scope, new: &mut Value, old: &Value) {
    let kind = scope.definition.kind.as_str();
    for field in old.as_object().into_iter().flat_map(|map| map.keys()) {
        if !matches!(field.as_str(), "kind" | "apiVersion" | "metadata" | "status") {
            copy(new, old, &[field]);
        }
    }
    if let Some(map) = new.as_object_mut() {
        map.retain(|field, _| {
            matches!(field.as_str(), "kind" | "apiVersion" | "metadata" | "status") || old.get(field).is_some()
        });
    }
    let metadata: &[&str] = match kind {
        "Deployment" => &["labels"],
        "Pod" => &["ownerReferences"],
        "APIService" => &["labels", "annotations", "finalizers", "ownerReferences"],
        kind if METADATA_KEPT_BY_STATUS.contains(&kind) => &["labels", "annotations", "finalizers", "ownerReferences"],
        _ if !scope.definition.builtin => &["labels", "annotations", "finalizers", "ownerReferences"],
        _ => &[],
    };
    for field in metadata {
        copy(new, old, &["metadata", field]);
    }
    match kind {
        "DaemonSet" => copy(new, old, &TEMPLATE_PATH),
        "Pod" if object::str_at(new, &["status", "qosClass"]).unwrap_or("").is_empty() => {
            copy(new, old, &["status", "qosClass"]);
        }
        "PersistentVolume" => phase_time(new, old),
        "CertificateSigningRequest" => {
            for kept in ["Approved", "Denied"] {
                keep_conditions(new, old, kept);
            }
            condition_times(new, old);
        }
        _ => {}
    }
}

fn phase_time(new: &mut Value, old: &Value) {
    const TIME: [&str; 2] = ["status", "lastPhaseTransitionTime"];
    let same = object::str_at(new, &["status", "phase"]) == object::str_at(old, &["status", "phase"]);
    let (given, had) = (object::get_at(new, &TIME), object::get_at(old, &TIME));
    if same && given.is_none() {
        copy(new, old, &TIME);
    } else if !same && (given.is_none() || given == had) {
        object::set_at(new, &TIME, object::now_rfc3339());
    }
}

/// Approvals and denials are changed through `approval` only: as many of them as there were are put back as they were.
/// Others are left for validation to refuse.
fn keep_conditions(new: &mut Value, old: &Value, kind: &str) {
    let is = |condition: &Value| object::str_at(condition, &["type"]) == Some(kind);
    let kept: Vec<Value> =
        object::list_at(old, &["status", "conditions"]).iter().filter(|condition| is(condition)).cloned().collect();
    let Some(Value::Array(conditions)) = object::get_at_mut(new, &["status", "conditions"]) else { return };
    if conditions.iter().filter(|condition| is(condition)).count() == kept.len() {
        for (condition, kept) in conditions.iter_mut().filter(|condition| is(condition)).zip(kept) {
            *condition = kept;
        }
    }
}

fn condition_times(new: &mut Value, old: &Value) {
    let now = object::now_rfc3339();
    let before = object::list_at(old, &["status", "conditions"]).to_vec();
    let Some(Value::Array(conditions)) = object::get_at_mut(new, &["status", "conditions"]) else { return };
    for condition in conditions {
        let unset = |field: &str| condition.get(field).is_none_or(Value::is_null);
        let (no_update, no_transition) = (unset("lastUpdateTime"), unset("lastTransitionTime"));
        let same = before.iter().find(|c| {
            ["type", "status"].iter().all(|field| c.get(field) == condition.get(field))
                && c.get("lastTransitionTime").is_some_and(|time| !time.is_null())
        });
        if no_update {
            object::set_at(condition, &["lastUpdateTime"], now.as_str());
        }
        if no_transition {
            let time = same.and_then(|c| c.get("lastTransitionTime").cloned()).unwrap_or_else(|| now.as_str().into());
            object::set_at(condition, &["lastTransitionTime"], time);
        }
    }
}

fn copy(new: &mut Value, old: &Value, path: &[&str]) {
    match object::get_at(old, path) {
        Some(value) => object::set_at(new, path, value.clone()),
        None => {
            object::remove_at(new, path);
        }
    }
}

/// The quality-of-service class: Guaranteed if every container's limits for cpu and memory equal its requests,
/// BestEffort if nothing is said of either, else Burstable (API reference, pod QoS).
fn qos_class(pod: &Value) -> &'static str {
    let containers = ["containers", "initContainers"].map(|list| object::list_at(pod, &["spec", list]));
    let mut any = false;
    let mut guaranteed = true;
    // What the pod asks for as a whole counts instead of what its containers do.
    let spec = object::get_at(pod, &["spec"]).filter(|spec| {
        ["requests", "limits"].iter().any(|list| {
            object::get_at(spec, &["resources", list]).and_then(Value::as_object).is_some_and(|list| !list.is_empty())
        })
    });
    let containers = containers.into_iter().flatten().filter(|_| spec.is_none());
    for container in spec.into_iter().chain(containers) {
        for resource in ["cpu", "memory"] {
            let amount = |what: &str| {
                let value = object::get_at(container, &["resources", what, resource]);
                value.filter(|v| **v != "0" && **v != 0)
            };
            let (request, limit) = (amount("requests"), amount("limits"));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// `spec.dataSource` and `spec.dataSourceRef` say the same, where the older one can say it.
fn match_data_sources(claim: &mut Value) {
    let source = object::get_at(claim, &["spec", "dataSource"]).cloned();
    let reference = object::get_at(claim, &["spec", "dataSourceRef"]).cloned();
    match (source, reference) {
        (Some(source), None) => object::set_at(claim, &["spec", "dataSourceRef"], source),
        (None, Some(reference)) if reference.get("namespace").is_none() => {
            object::set_at(claim, &["spec", "dataSource"], reference);
        }
        _ => {}
    }
}

/// Notes the version that objects are stored in among those that ever were.
fn store_versions(definition: &mut Value) {
    let versions = object::list_at(definition, &["spec", "versions"]);
    let stored = versions.iter().find(|v| v.get("storage") == Some(&Value::Bool(true)));
    let Some(name) = stored.and_then(|v| v.get("name")).cloned() else { return };
    let mut known = object::list_at(definition, &["status", "storedVersions"]).to_vec();
    if !known.contains(&name) {
        known.push(name);
        object::set_at(definition, &["status", "storedVersions"], known);
    }
}

/// A job without a manual selector selects its own pods by its uid, under the present and the older label.
fn job_selector(job: &mut Value, labels_by_default: bool) {
    if object::bool_at(job, &["spec", "manualSelector"]) {
        return;
    }
    // Labels that the job has from its template are the template's, also what is added to them here. If neither has any, it
    // gets the template's when it is read.
    let shared = object::labels(job).next().is_none()
        || labels_by_default && job.pointer("/metadata/labels") == job.pointer("/spec/template/metadata/labels");
    let (name, uid) = (object::name(job).to_owned(), object::uid(job).to_owned());
    let labels = [
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
    ];
    let on_pods = object::object_at(job, &["spec", "template", "metadata", "labels"]);
    for (key, value) in labels {
        on_pods.entry(key).or_insert_with(|| value.as_str().into());
    }
    if shared {
        let labels = on_pods.clone();
        object::set_at(job, &["metadata", "labels"], Value::Object(labels));
    }
    let selected = object::object_at(job, &["spec", "selector", "matchLabels"]);
    selected.entry("batch.kubernetes.io/controller-uid").or_insert_with(|| uid.into());
}

/// References to secrets carry a name only.
fn clean_secrets(account: &mut Value) {
    let Some(Value::Array(secrets)) = account.get_mut("secrets") else { return };
    for secret in secrets {
        *secret = json!({"name": secret.get("name").cloned().unwrap_or_default()});
    }
}

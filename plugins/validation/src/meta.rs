//! `metadata`, alike for all kinds (API conventions, "Metadata").

use portcullis_sdk::{ValueRef, to_json};

use crate::{Errors, Review, formats};

/// The most that an object's annotations may weigh, keys and values together, in bytes.
const ANNOTATIONS_LIMIT: usize = 256 << 10;
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// What a kind's names must look like.
fn name_rule(review: &Review) -> fn(&str) -> Vec<String> {
    match (review.group, review.kind) {
        ("", "Namespace" | "Service") => formats::dns_label,
        ("rbac.authorization.k8s.io", _)
        | ("" | "events.k8s.io", "Event")
        | ("policy", "PodDisruptionBudget")
        | ("certificates.k8s.io", "CertificateSigningRequest")
        | ("networking.k8s.io", "IPAddress") => formats::path_segment,
        _ => formats::dns_subdomain,
    }
}

/// Kinds of groups that Kubernetes itself defines; the rules for the names of finalizers are stricter there.
fn is_builtin(group: &str) -> bool {
    matches!(group, "" | "apps" | "batch" | "autoscaling" | "policy")
        || group.ends_with(".k8s.io") && !matches!(group, "apiextensions.k8s.io" | "apiregistration.k8s.io")
}

/// Checks `metadata`.
pub fn check(review: &Review, errors: &mut Errors) {
    let meta = review.object.get("metadata");
    if review.update {
        let old = review.old.get("metadata");
        if !old.get("deletionTimestamp").is_none() {
            no_new_finalizers(meta.get("finalizers"), old.get("finalizers"), errors);
        }
        labels("metadata.labels", meta.get("labels"), errors);
        annotations("metadata.annotations", meta.get("annotations"), errors);
        owner_references(meta.get("ownerReferences"), errors);
    } else {
        names(review, meta, errors);
        labels("metadata.labels", meta.get("labels"), errors);
        annotations("metadata.annotations", meta.get("annotations"), errors);
        owner_references(meta.get("ownerReferences"), errors);
        finalizers(meta.get("finalizers"), errors);
    }
    if is_builtin(review.group) {
        for (index, finalizer) in meta.get("finalizers").iter().enumerate() {
            let name = finalizer.str_or_empty();
            if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
                let field = format!("metadata.finalizers[{index}]");
                errors.invalid(field, name, "name is neither a standard finalizer name nor is it fully qualified");
            }
        }
    }
}

fn names(review: &Review, meta: ValueRef, errors: &mut Errors) {
    let rule = name_rule(review);
    let generate = meta.get("generateName").str_or_empty();
    if !generate.is_empty() {
        // What is appended makes a hyphen at the end harmless.
        let prefix = match generate.strip_suffix('-') {
            Some(rest) if !rest.is_empty() => {
                format!("{}a", &rest[..rest.len() - rest.chars().last().map_or(0, char::len_utf8)])
            }
            _ => generate.to_owned(),
        };
        errors.invalid_each("metadata.generateName", generate, rule(&prefix));
    }
    match meta.get("name").str_or_empty() {
        "" => errors.required("metadata.name", "name or generateName is required"),
        name => errors.invalid_each("metadata.name", name, rule(name)),
    }
}

/// Labels of an object or of a template.
pub fn labels(field: &str, labels: ValueRef, errors: &mut Errors) {
    for (key, value) in labels.entries() {
        errors.invalid_each(field, key, formats::qualified_name(key));
        let value = value.str_or_empty();
        errors.invalid_each(field, value, formats::label_value(value));
    }
}

/// Annotations: their keys, and what they weigh.
pub fn annotations(field: &str, annotations: ValueRef, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        errors.invalid_each(field, key, formats::qualified_name(&key.to_lowercase()));
        size += key.len() + value.str_or_empty().len();
    }
    if size > ANNOTATIONS_LIMIT {
        errors.too_long(field, ANNOTATIONS_LIMIT);
    }
}

fn owner_references(references: ValueRef, errors: &mut Errors) {
    let field = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for reference in references {
        let text = |name| reference.get(name).str_or_empty();
        if text("apiVersion").is_empty() {
            errors.invalid(format!("{field}.apiVersion"), "", "version must not be empty");
        }
        for name in ["kind", "name", "uid"] {
            if text(name).is_empty() {
                errors.invalid(format!("{field}.{name}"), "", "must not be empty");
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            errors.invalid(field, &reference, "/v1, Kind=Event is disallowed from being an owner");
        }
        if reference.get("controller").as_bool() == Some(true) {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => errors.invalid(
                    field,
                    &references,
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    ),
                ),
                None => controller = Some(this),
            }
        }
    }
}

fn finalizers(finalizers: ValueRef, errors: &mut Errors) {
    let field = "metadata.finalizers";
    for finalizer in finalizers {
        let name = finalizer.str_or_empty();
        errors.invalid_each(field, name, formats::qualified_name(name));
    }
    let has = |name| finalizers.iter().any(|finalizer| finalizer.is_str(name));
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(field, &finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

fn no_new_finalizers(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let known = |name: &str| old.iter().any(|finalizer| finalizer.is_str(name));
    let mut added: Vec<&str> = new.iter().filter_map(|one| one.as_str()).filter(|name| !known(name)).collect();
    added.sort_unstable();
    added.dedup();
    if !added.is_empty() {
        let names: Vec<String> = added.iter().map(|name| to_json_text(name)).collect();
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            names.join(", ")
        );
        errors.forbidden("metadata.finalizers", detail);
    }
}

fn to_json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether two values are the same.
pub fn same(one: ValueRef, other: ValueRef) -> bool {
    to_json(one) == to_json(other)
}

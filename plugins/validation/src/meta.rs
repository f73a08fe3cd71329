//! `metadata`, alike for all kinds (API conventions, "Metadata").

use portcullis_sdk::ValueRef;

use crate::shown::{Shown, Typed};
use crate::{Errors, Field, Review, formats};

/// The most that an object's annotations may weigh, keys and values together, in bytes.
const ANNOTATIONS_LIMIT: usize = 256 << 10;
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
/// Where metadata is.
const META: Field = Field::new("metadata");

/// A rule for names. It says what is wrong; `prefix` is set for what will become one.
pub type NameRule = fn(&str) -> Vec<String>;

/// What a kind's names must look like.
fn name_rule(review: &Review) -> NameRule {
    match (review.group, review.kind) {
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => formats::dns_label,
        ("networking.k8s.io", "IPAddress") => crate::networking::address_name,
        ("rbac.authorization.k8s.io" | "apiregistration.k8s.io", _)
        | ("" | "events.k8s.io", "Event")
        | ("policy", "PodDisruptionBudget")
        | ("certificates.k8s.io", "CertificateSigningRequest") => formats::path_segment,
        _ => formats::dns_subdomain,
    }
}

/// How often the reference looks at the metadata of a kind's changed objects. All are looked at twice; kinds add to it
/// what their own rules begin with, and clients see an error as often as it was found.
fn repeats(review: &Review) -> Repeats {
    let (update, whole) = match (review.group, review.kind) {
        ("" | "events.k8s.io", "Event") | ("policy", _) => (false, 0),
        ("", "PersistentVolume") => (false, 2),
        ("", "LimitRange")
        | ("admissionregistration.k8s.io" | "flowcontrol.apiserver.k8s.io" | "discovery.k8s.io", _)
        | ("storage.k8s.io", "CSINode" | "VolumeAttachment") => (false, 1),
        (
            "",
            "ConfigMap"
            | "Secret"
            | "Endpoints"
            | "Namespace"
            | "Node"
            | "PersistentVolumeClaim"
            | "Pod"
            | "ServiceAccount",
        )
        | ("apps", "ControllerRevision")
        | ("batch", "Job")
        | ("apiregistration.k8s.io" | "certificates.k8s.io" | "node.k8s.io" | "rbac.authorization.k8s.io", _)
        | ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate")
        | ("storage.k8s.io", "CSIStorageCapacity" | "StorageClass" | "VolumeAttributesClass") => (true, 1),
        _ => (true, 0),
    };
    Repeats { update, whole: if review.is_main() { whole } else { 0 } }
}

struct Repeats {
    /// Whether the change of it is looked at once more.
    update: bool,
    /// How often the whole of it is.
    whole: usize,
}

/// Kinds whose finalizers need a domain or be of a few known names. Those of extensions may be called anything.
fn has_strict_finalizers(review: &Review) -> bool {
    let builtin =
        matches!(review.group, "" | "apps" | "batch" | "autoscaling" | "policy") || review.group.ends_with(".k8s.io");
    builtin
        && !matches!(review.group, "apiextensions.k8s.io" | "apiregistration.k8s.io" | "policy" | "events.k8s.io")
        && !matches!(
            (review.group, review.kind),
            ("", "Event") | ("admissionregistration.k8s.io" | "coordination.k8s.io", _)
        )
}

/// Checks `metadata`.
pub fn check(review: &Review, errors: &mut Errors) {
    let meta = review.object.get("metadata");
    if !review.update {
        match (review.group, review.kind) {
            // Their rule is declared for the name alone.
            ("", "ReplicationController") | ("resource.k8s.io", "DeviceClass") => {
                name(formats::declared_name, META, meta, errors);
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                let rule = |name: &str| {
                    let mut wrong = formats::dns_subdomain(name);
                    wrong.extend(crate::apiextensions::own_name(review, name));
                    wrong
                };
                names(rule, META, meta, errors);
            }
            _ => names(name_rule(review), META, meta, errors),
        }
        whole(meta, errors);
        finalizers(meta.get("finalizers"), errors);
        if has_strict_finalizers(review) {
            strict_finalizers(meta.get("finalizers"), errors);
        }
        return;
    }
    let repeats = repeats(review);
    whole(meta, errors);
    finalizers(meta.get("finalizers"), errors);
    for _ in 0..=usize::from(repeats.update) {
        update(review, errors);
    }
    for _ in 0..repeats.whole {
        whole(meta, errors);
        finalizers(meta.get("finalizers"), errors);
        if has_strict_finalizers(review) {
            strict_finalizers(meta.get("finalizers"), errors);
        }
    }
}

fn strict_finalizers(finalizers: ValueRef, errors: &mut Errors) {
    let at = META.child("finalizers");
    for (index, finalizer) in finalizers.iter().enumerate() {
        let name = finalizer.str_or_empty();
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(at.index(index), name, detail);
        }
    }
}

/// Changes of the metadata.
fn update(review: &Review, errors: &mut Errors) {
    let (meta, old) = (review.object.get("metadata"), review.old.get("metadata"));
    if !old.get("deletionTimestamp").is_none() {
        no_new_finalizers(meta.get("finalizers"), old.get("finalizers"), errors);
    }
    let (after, before) = (meta.get("generation").as_i64(), old.get("generation").as_i64());
    if let (Some(after), Some(before)) = (after, before)
        && after < before
    {
        errors.invalid(META.child("generation"), &after, "must not be decremented");
    }
    whole(meta, errors);
}

/// Labels, annotations and owners.
fn whole(meta: ValueRef, errors: &mut Errors) {
    if let Some(generation) = meta.get("generation").as_i64().filter(|generation| *generation < 0) {
        errors.invalid(META.child("generation"), &generation, crate::errors::NON_NEGATIVE);
    }
    labels(META.child("labels"), meta.get("labels"), errors);
    annotations(META.child("annotations"), meta.get("annotations"), errors);
    owner_references(meta.get("ownerReferences"), errors);
}

/// The names of an object that is created.
pub fn names(rule: impl Fn(&str) -> Vec<String>, at: Field, meta: ValueRef, errors: &mut Errors) {
    let generate = meta.get("generateName").str_or_empty();
    if !generate.is_empty() {
        // What is appended makes a hyphen at the end harmless.
        let prefix = match generate.strip_suffix('-') {
            Some(rest) if !rest.is_empty() => {
                format!("{}a", &rest[..rest.len() - rest.chars().last().map_or(0, char::len_utf8)])
            }
            _ => generate.to_owned(),
        };
        errors.invalid_each(at.child("generateName"), generate, rule(&prefix));
    }
    name(rule, at, meta, errors);
}

fn name(rule: impl Fn(&str) -> Vec<String>, at: Field, meta: ValueRef, errors: &mut Errors) {
    match meta.get("name").str_or_empty() {
        "" => errors.required(at.child("name"), "name or generateName is required"),
        name => errors.invalid_each(at.child("name"), name, rule(name)),
    }
}

/// Labels of an object or of a template.
pub fn labels(at: Field, labels: ValueRef, errors: &mut Errors) {
    for (key, value) in labels.entries() {
        errors.invalid_each(at, key, formats::qualified_name(key));
        let value = value.str_or_empty();
        errors.invalid_each(at, value, formats::label_value(value));
    }
}

/// Annotations: their keys, and what they weigh.
pub fn annotations(at: Field, annotations: ValueRef, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        errors.invalid_each(at, key, formats::qualified_name(&key.to_lowercase()));
        size += key.len() + value.str_or_empty().len();
    }
    if size > ANNOTATIONS_LIMIT {
        errors.too_long(at, ANNOTATIONS_LIMIT);
    }
}

fn owner_references(references: ValueRef, errors: &mut Errors) {
    let at = META.child("ownerReferences");
    let mut controller: Option<String> = None;
    for reference in references {
        let text = |name| reference.get(name).str_or_empty();
        if text("apiVersion").is_empty() {
            errors.invalid(at.child("apiVersion"), "", "version must not be empty");
        }
        for name in ["kind", "name", "uid"] {
            if text(name).is_empty() {
                errors.invalid(at.child(name), "", "must not be empty");
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            let shown = Typed("OwnerReference", reference);
            errors.invalid(at, &shown, "/v1, Kind=Event is disallowed from being an owner");
        }
        if reference.get("controller").as_bool() == Some(true) {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                         and {this}"
                    );
                    errors.invalid(at, &Owners(references), detail);
                }
                None => controller = Some(this),
            }
        }
    }
}

struct Owners<'a>(ValueRef<'a>);

impl Shown for Owners<'_> {
    fn shown(&self) -> String {
        let list: Vec<String> = self.0.iter().map(|one| Typed("OwnerReference", one).shown()).collect();
        format!("[{}]", list.join(","))
    }
}

fn finalizers(finalizers: ValueRef, errors: &mut Errors) {
    let at = META.child("finalizers");
    for finalizer in finalizers {
        let name = finalizer.str_or_empty();
        errors.invalid_each(at, name, formats::qualified_name(name));
    }
    let has = |name| finalizers.iter().any(|finalizer| finalizer.is_str(name));
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(at, &finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

fn no_new_finalizers(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let known = |name: &str| old.iter().any(|finalizer| finalizer.is_str(name));
    let mut added: Vec<&str> = new.iter().filter_map(|one| one.as_str()).filter(|name| !known(name)).collect();
    added.sort_unstable();
    added.dedup();
    if !added.is_empty() {
        let names: Vec<String> = added.iter().map(|name| name.shown()).collect();
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            names.join(", ")
        );
        errors.forbidden(META.child("finalizers"), detail);
    }
}

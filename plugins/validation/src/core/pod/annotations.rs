//! Annotations that mean something for a pod.

use portcullis_sdk::ValueRef;

use super::all_containers;
use crate::{Errors, Field, Review, formats};

const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// The annotations at `at` of a pod or template.
pub(crate) fn check(at: Field, metadata: ValueRef, spec: ValueRef, errors: &mut Errors) {
    let annotations = metadata.get("annotations");
    if annotations.is_empty() {
        return;
    }
    if let Some(value) = annotations.get(MIRROR).as_str()
        && spec.get("nodeName").str_or_empty().is_empty()
    {
        errors.invalid(at.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set");
    }
    if let Some(cost) = annotations.get(DELETION_COST).as_str() {
        let plain = cost == "0" || !cost.starts_with('+') && !cost.trim_start_matches('-').starts_with('0');
        if !plain || cost.parse::<i32>().is_err() {
            errors.invalid(at.key(DELETION_COST), cost, "must be a 32bit integer");
        }
    }
    for (key, profile) in annotations.entries() {
        let profile = profile.str_or_empty();
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            seccomp(at.child(key), profile, errors);
        }
        let Some(name) = key.strip_prefix(APP_ARMOR) else { continue };
        if !all_containers(spec).any(|(_, _, container)| container.get("name").is_str(name)) {
            errors.invalid(at.key(key), name, "container not found");
        }
        if !matches!(profile, "" | "runtime/default" | "unconfined") && !profile.starts_with("localhost/") {
            errors.invalid(at.key(key), profile, format!("invalid AppArmor profile name: {profile:?}"));
        }
    }
}

fn seccomp(at: Field, profile: &str, errors: &mut Errors) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        _ => match profile.strip_prefix("localhost/") {
            Some(path) => errors.invalid_each(at, path, formats::local_path(path)),
            None => errors.invalid(at, profile, "must be a valid seccomp profile"),
        },
    }
}

/// Where a profile is given both by field and by annotation, the two must agree.
pub(super) fn agree(at: Field, metadata: ValueRef, spec: ValueRef, errors: &mut Errors) {
    let annotations = metadata.get("annotations");
    if annotations.is_empty() {
        return;
    }
    let security = spec.get("securityContext");
    if let Some(annotation) = annotations.get(SECCOMP_POD).as_str() {
        let place = at.child("securityContext.seccompProfile");
        agrees(place, "seccomp", annotation, security.get("seccompProfile"), errors);
    }
    for (list, index, container) in all_containers(spec) {
        let list = at.child(list);
        let place = list.index(index);
        let (name, own) = (container.get("name").str_or_empty(), container.get("securityContext"));
        if let Some(annotation) = annotations.get(&format!("{SECCOMP_CONTAINER}{name}")).as_str() {
            let place = place.child("securityContext.seccompProfile");
            agrees(place, "seccomp", annotation, own.get("seccompProfile"), errors);
        }
        if let Some(annotation) = annotations.get(&format!("{APP_ARMOR}{name}")).as_str() {
            let given = own.get("appArmorProfile");
            let profile = if given.is_none() { security.get("appArmorProfile") } else { given };
            agrees(place.child("securityContext.appArmorProfile"), "apparmor", annotation, profile, errors);
        }
    }
}

fn agrees(at: Field, what: &str, annotation: &str, profile: ValueRef, errors: &mut Errors) {
    let same = match profile.get("type").str_or_empty() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default" || what == "seccomp" && annotation == "docker/default",
        "Localhost" => match annotation.strip_prefix("localhost/") {
            Some(path) if profile.get("localhostProfile").is_str(path) => true,
            Some(_) => {
                let detail = format!("{what} profile in annotation and field must match");
                return errors.forbidden(at.child("localhostProfile"), detail);
            }
            None => false,
        },
        _ => true,
    };
    if !same {
        errors.forbidden(at.child("type"), format!("{what} type in annotation and field must match"));
    }
}

/// Annotations that a pod keeps all its life.
pub(super) fn update(review: &Review, errors: &mut Errors) {
    let at = Field::new("metadata.annotations");
    let fixed = |key: &str| key == MIRROR || key.starts_with(APP_ARMOR);
    let named = |key: &str| if key == MIRROR { "mirror pod annotation" } else { "AppArmor annotations" };
    let (new, old) = (review.object.get("metadata").get("annotations"), review.old.get("metadata").get("annotations"));
    for (key, value) in old.entries().filter(|(key, _)| fixed(key)) {
        if !new.get(key).is_str(value.str_or_empty()) {
            errors.forbidden(at.key(key), format!("may not remove or update {}", named(key)));
        }
    }
    for (key, _) in new.entries().filter(|(key, _)| fixed(key)) {
        if old.get(key).is_absent() {
            errors.forbidden(at.key(key), format!("may not add {}", named(key)));
        }
    }
    check(at, review.object.get("metadata"), review.spec(), errors);
}

/// Whether the pod stands for one that its node runs by itself.
pub(super) fn is_mirror(pod: ValueRef) -> bool {
    !pod.get("metadata").get("annotations").get(MIRROR).is_absent()
}

//! Where the variables of a container come from, and what the downward API tells.

use portcullis_sdk::ValueRef;

use super::volumes::Volumes;
use crate::quantity::Quantity;
use crate::{Errors, Field, formats};

/// What a variable can be set to of the pod.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What a file can hold of the pod.
pub(super) const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// Fields that have a path, though not everywhere a value.
const OTHER_FIELDS: [&str; 4] = ["spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const SIZES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// The variables of a container.
pub(super) fn variables(at: &Field, env: ValueRef, volumes: &Volumes, errors: &mut Errors) {
    for (index, variable) in env.iter().enumerate() {
        let at = at.index(index);
        let name = variable.get("name").str_or_empty();
        if errors.needs(at.child("name"), name) {
            errors.invalid_each(at.child("name"), name, formats::env_name(name));
        }
        source(&at.child("valueFrom"), variable, volumes, errors);
    }
}

fn source(at: &Field, variable: ValueRef, volumes: &Volumes, errors: &mut Errors) {
    let source = variable.get("valueFrom");
    if source.is_none() {
        return;
    }
    let set = SOURCES.iter().filter(|kind| !source.get(kind).is_none()).count();
    let given = |kind| Some(source.get(kind)).filter(|value| !value.is_none());
    if let Some(field) = given("fieldRef") {
        pod_field(&at.child("fieldRef"), field, &ENV_FIELDS, errors);
    }
    if let Some(resource) = given("resourceFieldRef") {
        container_resource(&at.child("resourceFieldRef"), resource, false, errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = given(kind) else { continue };
        let at = at.child(kind);
        let (name, key) = (reference.get("name").str_or_empty(), reference.get("key").str_or_empty());
        errors.invalid_each(at.child("name"), name, formats::dns_subdomain(name));
        if errors.needs(at.child("key"), key) {
            errors.invalid_each(at.child("key"), key, formats::config_key(key));
        }
    }
    if let Some(reference) = given("fileKeyRef") {
        file_key(&at.child("fileKeyRef"), reference, volumes, errors);
    }
    if set == 0 {
        let detail =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        errors.invalid(at, "", detail);
    } else if !variable.get("value").str_or_empty().is_empty() {
        errors.invalid(at, "", "may not be specified when `value` is not empty");
    } else if set > 1 {
        errors.invalid(at, "", "may not have more than one field specified at a time");
    }
}

/// A variable out of a file that another container wrote.
fn file_key(at: &Field, reference: ValueRef, volumes: &Volumes, errors: &mut Errors) {
    let text = |name| reference.get(name).str_or_empty();
    if errors.needs(at.child("key"), text("key")) {
        errors.invalid_each(at.child("key"), text("key"), formats::env_name(text("key")));
    }
    if errors.needs(at.child("volumeName"), text("volumeName")) {
        errors.invalid_each(at.child("volumeName"), text("volumeName"), formats::dns_label(text("volumeName")));
    }
    match volumes.get(text("volumeName")) {
        None => errors.not_found(at.child("volumeName"), text("volumeName")),
        Some(volume) if volume.get("emptyDir").is_none() => {
            let detail = "referenced volume must be of type emptyDir";
            errors.invalid(at.child("volumeName"), text("volumeName"), detail);
        }
        Some(_) => {}
    }
    if errors.needs(at.child("path"), text("path")) {
        errors.invalid_each(at.child("path"), text("path"), formats::no_backsteps(text("path")));
    }
}

/// A reference to a field of the pod.
pub(super) fn pod_field(at: &Field, reference: ValueRef, allowed: &[&str], errors: &mut Errors) {
    let (version, path) = (reference.get("apiVersion").str_or_empty(), reference.get("fieldPath").str_or_empty());
    if !errors.needs(at.child("apiVersion"), version) || !errors.needs(at.child("fieldPath"), path) {
        return;
    }
    let place = at.child("fieldPath");
    if version != "v1" {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        return errors.invalid(place, path, detail);
    }
    let subscripted = path.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    if let Some((map, key)) = subscripted {
        let wrong = match map {
            "metadata.annotations" => formats::qualified_name(&key.to_lowercase()),
            "metadata.labels" => formats::qualified_name(key),
            _ => {
                let detail = format!("error converting fieldPath: field label does not support subscript: {map}");
                return errors.invalid(place, path, detail);
            }
        };
        return errors.invalid_each(at, key, wrong);
    }
    let known = [&ENV_FIELDS[..], &FILE_FIELDS, &OTHER_FIELDS].concat();
    if !known.contains(&path) {
        let detail = format!("error converting fieldPath: field label not supported: {path}");
        return errors.invalid(place, path, detail);
    }
    errors.one_of(place, if path == "spec.host" { "spec.nodeName" } else { path }, allowed);
}

/// A reference to what a container asks for. In a file, the container must be named.
pub(super) fn container_resource(at: &Field, reference: ValueRef, in_file: bool, errors: &mut Errors) {
    let resource = reference.get("resource").str_or_empty();
    let huge = |prefix| resource.starts_with(prefix);
    if in_file && reference.get("containerName").str_or_empty().is_empty() {
        errors.required(at.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(at.child("resource"), "");
    } else if !huge("requests.hugepages-") && !huge("limits.hugepages-") {
        errors.one_of(at.child("resource"), resource, &RESOURCES);
    }
    let divisor = reference.get("divisor");
    if Quantity::read(divisor).is_none_or(|divisor| divisor == Quantity::ZERO) {
        return;
    }
    let (sizes, what): (&[&str], &str) = match resource.split_once('.').map_or("", |(_, name)| name) {
        "cpu" => (&["1m", "1"], "cpu"),
        "memory" => (&SIZES, "memory"),
        "ephemeral-storage" => (&SIZES, "local ephemeral storage"),
        name if name.starts_with("hugepages-") => (&SIZES, "hugepages"),
        _ => return,
    };
    if !sizes.iter().any(|size| Quantity::parse(size) == Quantity::read(divisor)) {
        let detail = format!("only divisor's values {} are supported with the {what} resource", sizes.join(", "));
        errors.invalid(at.child("divisor"), resource, detail);
    }
}

/// ConfigMaps and Secrets all of whose keys become variables.
pub(super) fn whole_sources(at: &Field, list: ValueRef, errors: &mut Errors) {
    for (index, source) in list.iter().enumerate() {
        let item = at.index(index);
        let prefix = source.get("prefix").str_or_empty();
        if !prefix.is_empty() {
            errors.invalid_each(item.child("prefix"), prefix, formats::env_name(prefix));
        }
        let mut set = 0;
        for kind in ["configMapRef", "secretRef"] {
            let reference = source.get(kind);
            if reference.is_none() {
                continue;
            }
            set += 1;
            let (item, name) = (item.child(kind), reference.get("name").str_or_empty());
            if errors.needs(item.child("name"), name) {
                errors.invalid_each(item.child("name"), name, formats::dns_subdomain(name));
            }
        }
        match set {
            0 => errors.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(at, "", "may not have more than one field specified at a time"),
        }
    }
}

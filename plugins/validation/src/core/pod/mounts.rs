//! Volumes inside a container: mounted, or as block devices.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::volumes::Volumes;
use crate::{Errors, Field, formats};

/// The mounts of the container at `at`.
pub(super) fn check(at: &Field, container: ValueRef, volumes: &Volumes, errors: &mut Errors) {
    let list = at.child("volumeMounts");
    let mut paths = BTreeSet::new();
    for (index, mount) in container.get("volumeMounts").iter().enumerate() {
        let at = list.index(index);
        let text = |name| mount.get(name).str_or_empty();
        let (name, path) = (text("name"), text("mountPath"));
        errors.needs(at.child("name"), name);
        if volumes.get(name).is_none() {
            errors.not_found(at.child("name"), name);
        }
        errors.needs(at.child("mountPath"), path);
        if !paths.insert(path) {
            errors.invalid(at.child("mountPath"), path, "must be unique");
        }
        if has(container, "volumeDevices", "name", name) {
            errors.invalid(at.child("name"), name, "must not already exist in volumeDevices");
        }
        if has(container, "volumeDevices", "devicePath", path) {
            errors.invalid(at.child("mountPath"), path, "must not already exist as a path in volumeDevices");
        }
        // From here on the reference's paths leave out which mount it is.
        if !text("subPath").is_empty() {
            let wrong = formats::local_path(text("subPath"));
            errors.invalid_each(list.child("subPath"), text("subPath"), wrong);
        }
        if !text("subPathExpr").is_empty() {
            if !text("subPath").is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                errors.invalid(at.child("subPathExpr"), text("subPathExpr"), detail);
            }
            let wrong = formats::local_path(text("subPathExpr"));
            errors.invalid_each(list.child("subPathExpr"), text("subPathExpr"), wrong);
        }
        propagation(&list.child("mountPropagation"), mount, container, errors);
        recursive_read_only(&list.child("recursiveReadOnly"), mount, errors);
    }
}

fn has(container: ValueRef, list: &str, field: &str, value: &str) -> bool {
    container.get(list).iter().any(|item| item.get(field).str_or_empty() == value)
}

fn propagation(at: &Field, mount: ValueRef, container: ValueRef, errors: &mut Errors) {
    let Some(mode) = mount.get("mountPropagation").as_str() else { return };
    errors.one_of(at, mode, &["Bidirectional", "HostToContainer", "None"]);
    let privileged = container.get("securityContext").get("privileged").as_bool() == Some(true);
    if mode == "Bidirectional" && !privileged {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(at, detail);
    }
}

fn recursive_read_only(at: &Field, mount: ValueRef, errors: &mut Errors) {
    let Some(mode) = mount.get("recursiveReadOnly").as_str() else { return };
    match mode {
        "Disabled" => {}
        "IfPossible" | "Enabled" => {
            if mount.get("readOnly").as_bool() != Some(true) {
                errors.forbidden(at, "may only be specified when readOnly is true");
            }
            if mount.get("mountPropagation").as_str().is_some_and(|mode| mode != "None") {
                errors.forbidden(at, "may only be specified when mountPropagation is None or not specified");
            }
        }
        _ => errors.not_supported(at, mode, &["Disabled", "Enabled", "IfPossible"]),
    }
}

/// The block devices of the container at `at`.
pub(super) fn devices(at: &Field, container: ValueRef, volumes: &Volumes, errors: &mut Errors) {
    let list = at.child("volumeDevices");
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.get("volumeDevices").iter().enumerate() {
        let at = list.index(index);
        let (name, path) = (device.get("name").str_or_empty(), device.get("devicePath").str_or_empty());
        errors.needs(at.child("name"), name);
        if !name.is_empty() && !names.insert(name) {
            errors.invalid(at.child("name"), name, "must be unique");
        }
        match volumes.get(name) {
            None => errors.not_found(at.child("name"), name),
            Some(volume) if volume.get("persistentVolumeClaim").is_none() && volume.get("ephemeral").is_none() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(at.child("name"), name, detail);
            }
            Some(_) => {}
        }
        errors.needs(at.child("devicePath"), path);
        if paths.contains(path) {
            errors.invalid(at.child("devicePath"), path, "must be unique");
        }
        if !path.is_empty() && formats::no_backsteps(path).is_some() {
            errors.invalid(at.child("devicePath"), path, "can not contain backsteps ('..')");
        } else {
            paths.insert(path);
        }
        if has(container, "volumeMounts", "name", name) {
            errors.invalid(at.child("name"), name, "must not already exist in volumeMounts");
        }
        if has(container, "volumeMounts", "mountPath", path) {
            errors.invalid(at.child("devicePath"), path, "must not already exist as a path in volumeMounts");
        }
    }
}

//! PersistentVolumes.

use portcullis_sdk::ValueRef;

use super::pod::node_selector;
use super::pod::volume_kinds::{self as kinds, needs};
use crate::errors::IMMUTABLE;
use crate::quantity::Quantity;
use crate::shown::{Typed, diff};
use crate::values::{same, same_but};
use crate::{Errors, Field, Review, SPEC, formats};

/// How a volume may be mounted.
pub(super) const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// What a volume may be used as.
pub(super) const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];

type Check = fn(&Field, ValueRef, &mut Errors);

/// The sources: the member, its name in paths, and its check.
const SOURCES: [(&str, &str, Check); 21] = [
    ("hostPath", "hostPath", kinds::host_path),
    ("gcePersistentDisk", "persistentDisk", |at, source, errors| kinds::cloud_disk(at, source, "pdName", errors)),
    ("awsElasticBlockStore", "awsElasticBlockStore", |at, source, errors| {
        kinds::cloud_disk(at, source, "volumeID", errors);
    }),
    ("glusterfs", "glusterfs", |at, source, errors| {
        kinds::glusterfs(at, source, errors);
        if source.get("endpointsNamespace").is_str("") {
            errors.invalid(
                at.child("endpointsNamespace"),
                "",
                "if the endpointnamespace is set, it must be a valid namespace name",
            );
        }
    }),
    ("flocker", "flocker", kinds::flocker),
    ("nfs", "nfs", kinds::nfs),
    ("rbd", "rbd", kinds::rbd),
    ("quobyte", "quobyte", kinds::quobyte),
    ("cephfs", "cephfs", kinds::ceph_fs),
    ("iscsi", "iscsi", |at, source, errors| kinds::iscsi(at, source, false, errors)),
    ("cinder", "cinder", |at, source, errors| kinds::cinder(at, source, true, errors)),
    ("fc", "fc", kinds::fibre_channel),
    ("flexVolume", "flexVolume", kinds::flex),
    ("azureFile", "azureFile", |at, source, errors| kinds::azure_file(at, source, true, errors)),
    ("vsphereVolume", "vsphereVolume", |at, source, errors| needs(at, source, &["volumePath"], errors)),
    ("photonPersistentDisk", "photonPersistentDisk", |at, source, errors| needs(at, source, &["pdID"], errors)),
    ("portworxVolume", "portworxVolume", |at, source, errors| needs(at, source, &["volumeID"], errors)),
    ("azureDisk", "azureDisk", kinds::azure_disk),
    ("scaleIO", "scaleIO", |at, source, errors| needs(at, source, &["gateway", "system", "volumeName"], errors)),
    ("local", "local", |at, source, errors| {
        let path = source.get("path").str_or_empty();
        if path.is_empty() {
            return errors.required(at.child("path"), "");
        }
        errors.invalid_each(at.child("path"), path, formats::no_backsteps(path));
    }),
    ("storageos", "storageos", kinds::storage_os),
];

/// A PersistentVolume. The reference looks at the whole of it twice on an update.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    if !review.is_main() {
        return;
    }
    spec(SPEC, review.spec(), false, errors);
    if review.update {
        spec(SPEC, review.spec(), false, errors);
        update(review, errors);
    }
}

/// The spec at `at`; `inline` where it stands in for a volume.
pub(crate) fn spec(at: Field, spec: ValueRef, inline: bool, errors: &mut Errors) {
    let within = "may not be specified in the context of inline volumes";
    if inline {
        for member in ["claimRef", "capacity"] {
            if !crate::values::is_blank(spec.get(member)) {
                errors.forbidden(at.child(member), within);
            }
        }
        if spec.get("csi").is_none() {
            errors.required(at.child("csi"), "has to be specified in the context of inline volumes");
        }
    }
    if spec.get("accessModes").is_empty() {
        errors.required(at.child("accessModes"), "");
    }
    access_modes(&at, spec, errors);
    let policy = spec.get("persistentVolumeReclaimPolicy").str_or_empty();
    if inline {
        if !matches!(policy, "" | "Retain") {
            let detail = "may only be Retain in the context of inline volumes";
            errors.forbidden(at.child("persistentVolumeReclaimPolicy"), detail);
        }
    } else {
        capacity(&at.child("capacity"), spec.get("capacity"), errors);
        if !policy.is_empty() {
            let policies = ["Delete", "Recycle", "Retain"];
            errors.one_of(at.child("persistentVolumeReclaimPolicy"), policy, &policies);
        }
    }
    affinity(&at.child("nodeAffinity"), spec.get("nodeAffinity"), inline, errors);
    source(&at, spec, errors);
    let root = spec
        .get("hostPath")
        .get("path")
        .as_str()
        .is_some_and(|path| !path.is_empty() && path.split('/').all(|part| matches!(part, "" | ".")));
    if root && policy == "Recycle" {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        errors.forbidden(at.child("persistentVolumeReclaimPolicy"), detail);
    }
    classes(&at, spec, inline, errors);
}

/// How a volume or a claim may be mounted.
pub(super) fn access_modes(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let at = at.child("accessModes");
    let modes = || spec.get("accessModes").iter().map(|mode| mode.str_or_empty());
    for mode in modes() {
        errors.one_of(at, mode, &ACCESS_MODES);
    }
    let alone = |mode: &str| mode == "ReadWriteOncePod";
    if modes().any(alone) && modes().any(|mode| !alone(mode) && ACCESS_MODES.contains(&mode)) {
        errors.forbidden(at, "may not use ReadWriteOncePod with other access modes");
    }
}

fn capacity(at: &Field, capacity: ValueRef, errors: &mut Errors) {
    if capacity.is_empty() {
        errors.required(at, "");
    }
    if capacity.get("storage").is_none() || capacity.len() > 1 {
        errors.not_supported(at, &capacity, &["storage"]);
    }
    for (name, value) in capacity.entries() {
        let Some(amount) = Quantity::read(value) else { continue };
        if amount.ceil() < 0 {
            let number = i64::try_from(amount.ceil()).unwrap_or(i64::MIN);
            errors.invalid(at.key(name), &number, "must be a valid resource quantity");
        }
        if amount <= Quantity::ZERO {
            errors.invalid(at.key(name), &value, "must be greater than zero");
        }
    }
}

fn affinity(at: &Field, affinity: ValueRef, inline: bool, errors: &mut Errors) {
    if affinity.is_none() {
        return;
    }
    if inline {
        return errors.forbidden(at, "may not be specified in the context of inline volumes");
    }
    let required = affinity.get("required");
    if required.is_none() {
        return errors.required(at.child("required"), "must specify required node constraints");
    }
    node_selector(&at.child("required"), required, errors);
}

fn source(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let mut found = 0;
    for (member, shown, check) in SOURCES {
        let source = spec.get(member);
        if source.is_none() {
            continue;
        }
        found += 1;
        if found > 1 && member != "flexVolume" {
            errors.forbidden(at.child(member), "may not specify more than 1 volume type");
            continue;
        }
        check(&at.child(shown), source, errors);
        if member == "local" && spec.get("nodeAffinity").is_none() {
            errors.required(at.child("nodeAffinity"), "Local volume requires node affinity");
        }
    }
    let driver = spec.get("csi");
    if !driver.is_none() {
        found += 1;
        if found > 1 {
            return errors.forbidden(at.child("csi"), "may not specify more than 1 volume type");
        }
        csi(&at.child("csi"), driver, errors);
    }
    if found == 0 {
        errors.required(at, "must specify a volume type");
    }
}

fn csi(at: &Field, source: ValueRef, errors: &mut Errors) {
    kinds::csi_driver(&at.child("driver"), source.get("driver").str_or_empty(), errors);
    errors.needs(at.child("volumeHandle"), source.get("volumeHandle").str_or_empty());
    for member in
        ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"]
    {
        let (secret, at) = (source.get(member), at.child(member));
        if secret.is_none() {
            continue;
        }
        let text = |name| secret.get(name).str_or_empty();
        if errors.needs(at.child("name"), text("name")) {
            errors.invalid_each(at.child("name"), text("name"), formats::dns_subdomain(text("name")));
        }
        if errors.needs(at.child("namespace"), text("namespace")) {
            errors.invalid_each(at.child("namespace"), text("namespace"), formats::dns_label(text("namespace")));
        }
    }
}

fn classes(at: &Field, spec: ValueRef, inline: bool, errors: &mut Errors) {
    let class = spec.get("storageClassName").str_or_empty();
    if !class.is_empty() {
        if inline {
            let detail = "may not be specified in the context of inline volumes";
            errors.forbidden(at.child("storageClassName"), detail);
        } else {
            errors.invalid_each(at.child("storageClassName"), class, formats::dns_subdomain(class));
        }
    }
    if let Some(mode) = spec.get("volumeMode").as_str() {
        if !inline {
            errors.one_of(at.child("volumeMode"), mode, &VOLUME_MODES);
        } else if mode != "Filesystem" {
            let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
            errors.forbidden(at.child("volumeMode"), detail);
        }
    }
    if let Some(class) = spec.get("volumeAttributesClassName").as_str() {
        let place = at.child("volumeAttributesClassName");
        if class.is_empty() {
            errors.required(place, "an empty string is disallowed");
        } else {
            errors.invalid_each(place, class, formats::dns_subdomain(class));
        }
        if spec.get("csi").is_none() {
            errors.required(at.child("csi"), "has to be specified when using volumeAttributesClassName");
        }
    }
}

fn update(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.spec(), review.old_spec());
    let secret = "controllerExpandSecretRef";
    let may_add = old.get("csi").get(secret).is_none();
    let free: &[&str] = if may_add { &[secret] } else { &[] };
    let unchanged = SOURCES.iter().all(|(member, ..)| same(new.get(member), old.get(member)))
        && new.get("csi").is_none() == old.get("csi").is_none()
        && same_but(new.get("csi"), old.get("csi"), free);
    if !unchanged {
        let text = |spec| Typed("PersistentVolumeSource", spec).pretty();
        let difference = diff::lines(&text(old), &text(new));
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{difference}");
        errors.forbidden(SPEC.child("persistentvolumesource"), detail);
    }
    errors.immutable("volumeMode", new.get("volumeMode"), old.get("volumeMode"));
    let (affinity, before) = (new.get("nodeAffinity"), old.get("nodeAffinity"));
    if !before.is_none() && !same(affinity, before) {
        let detail = format!("{IMMUTABLE}, except for updating from beta label to GA");
        errors.invalid("nodeAffinity", &Typed("VolumeNodeAffinity", affinity), detail);
    }
    let class = "volumeAttributesClassName";
    if !old.get(class).is_none() && new.get(class).is_none() {
        errors.forbidden(SPEC.child(class), "update from non-nil value to nil is forbidden");
    }
}

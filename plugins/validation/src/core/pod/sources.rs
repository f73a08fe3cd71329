//! What a volume is made of: exactly one source. Sources that make files out of other objects are checked here.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::{Context, env, volume_kinds};
use crate::quantity::Quantity;
use crate::{Errors, Field, formats};

/// Checks one kind of volume.
pub(super) type Check = fn(&Field, ValueRef, &Context, &mut Errors);

const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// The kinds in the order in which they are looked at: the member, its name in paths, and its check.
const KINDS: [(&str, &str, Check); 30] = [
    ("emptyDir", "emptyDir", empty_dir),
    ("hostPath", "hostPath", |at, source, _, errors| volume_kinds::host_path(at, source, errors)),
    ("gitRepo", "gitRepo", git_repo),
    ("gcePersistentDisk", "persistentDisk", |at, source, _, errors| {
        volume_kinds::cloud_disk(at, source, "pdName", errors);
    }),
    ("awsElasticBlockStore", "awsElasticBlockStore", |at, source, _, errors| {
        volume_kinds::cloud_disk(at, source, "volumeID", errors);
    }),
    ("secret", "secret", secret),
    ("nfs", "nfs", |at, source, _, errors| volume_kinds::nfs(at, source, errors)),
    ("iscsi", "iscsi", |at, source, _, errors| volume_kinds::iscsi(at, source, true, errors)),
    ("glusterfs", "glusterfs", |at, source, _, errors| volume_kinds::glusterfs(at, source, errors)),
    ("flocker", "flocker", |at, source, _, errors| volume_kinds::flocker(at, source, errors)),
    ("persistentVolumeClaim", "persistentVolumeClaim", claim),
    ("rbd", "rbd", |at, source, _, errors| volume_kinds::rbd(at, source, errors)),
    ("cinder", "cinder", |at, source, _, errors| volume_kinds::cinder(at, source, false, errors)),
    ("cephfs", "cephfs", |at, source, _, errors| volume_kinds::ceph_fs(at, source, errors)),
    ("quobyte", "quobyte", |at, source, _, errors| volume_kinds::quobyte(at, source, errors)),
    ("downwardAPI", "downwardAPI", downward_api),
    ("fc", "fc", |at, source, _, errors| volume_kinds::fibre_channel(at, source, errors)),
    ("flexVolume", "flexVolume", |at, source, _, errors| volume_kinds::flex(at, source, errors)),
    ("configMap", "configMap", config_map),
    ("azureFile", "azureFile", |at, source, _, errors| volume_kinds::azure_file(at, source, false, errors)),
    ("vsphereVolume", "vsphereVolume", |at, source, _, errors| {
        volume_kinds::needs(at, source, &["volumePath"], errors);
    }),
    ("photonPersistentDisk", "photonPersistentDisk", |at, source, _, errors| {
        volume_kinds::needs(at, source, &["pdID"], errors);
    }),
    ("portworxVolume", "portworxVolume", |at, source, _, errors| {
        volume_kinds::needs(at, source, &["volumeID"], errors);
    }),
    ("azureDisk", "azureDisk", |at, source, _, errors| volume_kinds::azure_disk(at, source, errors)),
    ("storageos", "storageos", |at, source, _, errors| volume_kinds::storage_os(at, source, errors)),
    ("projected", "projected", projected),
    ("scaleIO", "scaleIO", |at, source, _, errors| {
        volume_kinds::needs(at, source, &["gateway", "system", "volumeName"], errors);
    }),
    ("csi", "csi", csi),
    ("ephemeral", "ephemeral", ephemeral),
    ("image", "image", image),
];

/// The source of a pod's volume.
pub(super) fn of_pod(at: &Field, volume: ValueRef, context: &Context, errors: &mut Errors) {
    let mut found = 0;
    for (member, shown, check) in KINDS {
        let source = volume.get(member);
        if source.is_none() {
            continue;
        }
        found += 1;
        let place = at.child(shown);
        if found > 1 {
            errors.forbidden(place, "may not specify more than 1 volume type");
            continue;
        }
        check(&place, source, context, errors);
        let name = volume.get("name").str_or_empty();
        if member == "ephemeral" && !context.pod_name.is_empty() && !name.is_empty() {
            let claim = format!("{}-{name}", context.pod_name);
            for wrong in formats::dns_subdomain(&claim) {
                errors.invalid(at.child("name"), name, format!("PVC name {claim:?}: {wrong}"));
            }
        }
    }
    if found == 0 {
        errors.required(at, "must specify a volume type");
    }
}

fn empty_dir(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    if Quantity::read(source.get("sizeLimit")).is_some_and(|size| size < Quantity::ZERO) {
        errors.forbidden(at.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
    }
}

fn git_repo(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    volume_kinds::needs(at, source, &["repository"], errors);
    let directory = source.get("directory").str_or_empty();
    errors.invalid_each(at.child("directory"), directory, formats::local_path(directory));
}

/// The permissions of a file.
fn mode(at: Field, mode: ValueRef, errors: &mut Errors) {
    if let Some(mode) = mode.as_i64().filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(at, &mode, FILE_MODE);
    }
}

/// Which keys become which files.
fn items(at: &Field, items: ValueRef, errors: &mut Errors) {
    let list = at.child("items");
    for (index, item) in items.iter().enumerate() {
        let at = list.index(index);
        let path = item.get("path").str_or_empty();
        errors.needs(at.child("key"), item.get("key").str_or_empty());
        errors.needs(at.child("path"), path);
        errors.invalid_each(at.child("path"), path, formats::local_file(path));
        mode(at.child("mode"), item.get("mode"), errors);
    }
}

fn secret(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    volume_kinds::needs(at, source, &["secretName"], errors);
    mode(at.child("defaultMode"), source.get("defaultMode"), errors);
    items(at, source.get("items"), errors);
}

fn config_map(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    volume_kinds::needs(at, source, &["name"], errors);
    mode(at.child("defaultMode"), source.get("defaultMode"), errors);
    items(at, source.get("items"), errors);
}

fn claim(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    volume_kinds::needs(at, source, &["claimName"], errors);
}

fn downward_api(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    mode(at.child("defaultMode"), source.get("defaultMode"), errors);
    for file in source.get("items") {
        downward_file(at, file, errors);
    }
}

/// A file with something of the pod. The reference's paths leave out which.
fn downward_file(at: &Field, file: ValueRef, errors: &mut Errors) {
    let path = file.get("path").str_or_empty();
    errors.needs(at.child("path"), path);
    errors.invalid_each(at.child("path"), path, formats::local_file(path));
    let (field, resource) = (file.get("fieldRef"), file.get("resourceFieldRef"));
    if !field.is_none() {
        env::pod_field(&at.child("fieldRef"), field, &env::FILE_FIELDS, errors);
        if !resource.is_none() {
            errors.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
        }
    } else if !resource.is_none() {
        env::container_resource(&at.child("resourceFieldRef"), resource, true, errors);
    } else {
        errors.required(at, "one of fieldRef and resourceFieldRef is required");
    }
    mode(at.child("mode"), file.get("mode"), errors);
}

fn projected(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    mode(at.child("defaultMode"), source.get("defaultMode"), errors);
    let list = at.child("sources");
    let mut paths = BTreeSet::new();
    for (index, source) in source.get("sources").iter().enumerate() {
        projection(at, &list.index(index), source, &mut paths, errors);
    }
}

fn projection<'a>(
    volume: &Field,
    at: &Field,
    source: ValueRef<'a>,
    paths: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let mut found = 0;
    for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"] {
        let (projection, place) = (source.get(kind), at.child(kind));
        if projection.is_none() {
            continue;
        }
        found += 1;
        match kind {
            "secret" | "configMap" => {
                let name = projection.get("name").str_or_empty();
                errors.needs(place.child("name"), name);
                items(&place, projection.get("items"), errors);
                distinct(volume, name, projection.get("items"), paths, errors);
            }
            "downwardAPI" => {
                for file in projection.get("items") {
                    downward_file(&place, file, errors);
                }
                distinct(volume, "", projection.get("items"), paths, errors);
            }
            "serviceAccountToken" => token(volume, &place, projection, errors),
            _ => {}
        }
    }
    if found > 1 {
        errors.forbidden(at, "may not specify more than 1 volume type per source");
    }
}

/// Two files cannot have the same path.
fn distinct<'a>(at: &Field, of: &str, files: ValueRef<'a>, paths: &mut BTreeSet<&'a str>, errors: &mut Errors) {
    for file in files {
        let path = file.get("path").str_or_empty();
        if !path.is_empty() && !paths.insert(path) {
            errors.invalid(at, if of.is_empty() { path } else { of }, "conflicting duplicate paths");
        }
    }
}

fn token(volume: &Field, at: &Field, source: ValueRef, errors: &mut Errors) {
    if let Some(seconds) = source.get("expirationSeconds").as_i64() {
        let place = at.child("expirationSeconds");
        if seconds < 600 {
            errors.invalid(place, &seconds, "may not specify a duration less than 10 minutes");
        } else if seconds > 1 << 32 {
            errors.invalid(place, &seconds, "may not specify a duration larger than 2^32 seconds");
        }
    }
    let path = source.get("path").str_or_empty();
    if errors.needs(volume.child("path"), path) {
        errors.invalid_each(volume.child("path"), path, formats::local_file(path));
    }
}

fn csi(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    let driver = source.get("driver").str_or_empty();
    volume_kinds::csi_driver(&at.child("driver"), driver, errors);
    let secret = source.get("nodePublishSecretRef");
    if !secret.is_none() {
        errors.needs(at.child("nodePublishSecretRef.name"), secret.get("name").str_or_empty());
    }
}

fn ephemeral(at: &Field, source: ValueRef, _: &Context, errors: &mut Errors) {
    let (template, at) = (source.get("volumeClaimTemplate"), at.child("volumeClaimTemplate"));
    if template.is_none() {
        return errors.required(at, "");
    }
    crate::core::volume_claim::template(&at, template, errors);
}

fn image(at: &Field, source: ValueRef, context: &Context, errors: &mut Errors) {
    if context.is_pod {
        errors.needs(at.child("reference"), source.get("reference").str_or_empty());
    }
    let policy = source.get("pullPolicy").str_or_empty();
    errors.needs_one_of(at.child("pullPolicy"), policy, &["Always", "IfNotPresent", "Never"]);
}

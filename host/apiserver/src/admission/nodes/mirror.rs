//! What of the API a pod refers to: a mirror pod must refer to nothing, since its kubelet could then read it.

use portcullis_machinery::{Value, object};

/// Volumes that come from the host alone.
const LOCAL: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "cephfs",
    "cinder",
    "downwardAPI",
    "emptyDir",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];
/// Others, and what they refer to.
const VOLUMES: [(&str, &str); 7] = [
    ("configMap", "configmaps (via configmap volumes)"),
    ("secret", "secrets (via secret volumes)"),
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
    ("azureFile", "secrets (via azureFile volumes)"),
];
/// Parts of projected volumes, and what they refer to.
const SOURCES: [(&str, &str); 5] = [
    ("configMap", "configmaps (via projected volumes)"),
    ("secret", "secrets (via projected volumes)"),
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

/// The first thing that the pod refers to, in words.
pub(super) fn reference(pod: &Value) -> Option<&'static str> {
    if object::str_at(pod, &["spec", "serviceAccountName"]).is_some_and(|name| !name.is_empty()) {
        return Some("serviceaccounts");
    }
    if names(pod, "secret") {
        return Some("secrets");
    }
    if names(pod, "configMap") {
        return Some("configmaps");
    }
    if !object::list_at(pod, &["spec", "resourceClaims"]).is_empty() {
        return Some("resourceclaims");
    }
    let among = |value: &Value, kinds: &[(&str, &'static str)]| {
        kinds.iter().find(|(kind, _)| value.get(*kind).is_some()).map(|(_, what)| *what)
    };
    object::list_at(pod, &["spec", "volumes"]).iter().find_map(|volume| {
        if LOCAL.iter().any(|kind| volume.get(*kind).is_some()) {
            return None;
        }
        let source = |source: &Value| match source.get("downwardAPI") {
            Some(_) => None,
            None => Some(among(source, &SOURCES).unwrap_or("what is not known, in a projected volume")),
        };
        match volume.get("projected") {
            Some(projected) => object::list_at(projected, &["sources"]).iter().find_map(source),
            None => Some(among(volume, &VOLUMES).unwrap_or("what is not known, in a volume")),
        }
    })
}

/// Whether the pod or its containers name a Secret or a ConfigMap, in volumes or in their environment.
fn names(pod: &Value, kind: &str) -> bool {
    let (key, all) = (format!("{kind}KeyRef"), format!("{kind}Ref"));
    let containers = ["initContainers", "containers", "ephemeralContainers"];
    let in_environment = containers.iter().flat_map(|list| object::list_at(pod, &["spec", list])).any(|container| {
        object::list_at(container, &["env"]).iter().any(|entry| object::get_at(entry, &["valueFrom", &key]).is_some())
            || object::list_at(container, &["envFrom"]).iter().any(|entry| entry.get(&all).is_some())
    });
    let in_volumes = object::list_at(pod, &["spec", "volumes"]).iter().any(|volume| {
        let projected = object::list_at(volume, &["projected", "sources"]).iter();
        let secret = |volume: &Value| {
            let below = |field: &str, name: &str| object::get_at(volume, &[field, name]).is_some();
            ["cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"]
                .iter()
                .any(|field| below(field, "secretRef"))
                || below("azureFile", "secretName")
                || below("csi", "nodePublishSecretRef")
        };
        volume.get(kind).is_some()
            || projected.into_iter().any(|source| source.get(kind).is_some())
            || (kind == "secret" && secret(volume))
    });
    let pulls = kind == "secret" && !object::list_at(pod, &["spec", "imagePullSecrets"]).is_empty();
    pulls || in_environment || in_volumes
}

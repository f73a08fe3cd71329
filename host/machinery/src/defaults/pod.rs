//! Pods and pod templates.

use serde_json::{Value, json};

use super::{Members, each, existing, object, set, text};

/// A Pod.
pub(super) fn pod(pod: &mut Members) {
    let spec = object(pod, "spec");
    for container in each(spec, "containers") {
        limits_are_requests(container);
    }
    for container in each(spec, "initContainers") {
        limits_are_requests(container);
    }
    set(spec, "enableServiceLinks", true);
    self::spec(spec);
}

/// What a container may use at most is what it asks for, where it does not say.
fn limits_are_requests(container: &mut Members) {
    let Some(resources) = existing(container, "resources") else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    let requests = object(resources, "requests");
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
    if requests.is_empty() {
        resources.remove("requests");
    }
}

/// A PodTemplate.
pub(super) fn template(template: &mut Members) {
    spec(object(object(template, "template"), "spec"));
}

/// The pod template in a workload's spec.
pub(super) fn template_of(workload_spec: &mut Members) {
    spec(object(object(workload_spec, "template"), "spec"));
}

/// A PodSpec, of a pod or of a template.
pub(super) fn spec(spec: &mut Members) {
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "restartPolicy", "Always");
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "schedulerName", "default-scheduler");
    // The old name of the field follows the new one.
    match (spec.get("serviceAccountName").cloned(), spec.get("serviceAccount").cloned()) {
        (Some(name), _) => drop(spec.insert("serviceAccount".into(), name)),
        (None, Some(name)) => drop(spec.insert("serviceAccountName".into(), name)),
        (None, None) => {}
    }
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in each(spec, list) {
            self::container(container, host_network && list != "ephemeralContainers");
        }
    }
    for volume in each(spec, "volumes") {
        self::volume(volume);
    }
}

fn container(container: &mut Members, host_network: bool) {
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    let policy = if is_latest(text(container, "image")) { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", policy);
    for port in each(container, "ports") {
        set(port, "protocol", "TCP");
        if host_network && let Some(number) = port.get("containerPort").cloned() {
            set(port, "hostPort", number);
        }
    }
    for variable in each(container, "env") {
        let Some(from) = existing(variable, "valueFrom") else { continue };
        if let Some(reference) = existing(from, "fieldRef") {
            set(reference, "apiVersion", "v1");
        }
        if let Some(reference) = existing(from, "fileKeyRef") {
            set(reference, "optional", false);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = existing(container, name) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = existing(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(get) = existing(lifecycle, hook).and_then(|hook| existing(hook, "httpGet")) {
                http_get(get);
            }
        }
    }
}

/// Whether an image's tag is `latest`, said or not; a digest is never the latest.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn probe(probe: &mut Members) {
    set(probe, "timeoutSeconds", 1);
    set(probe, "periodSeconds", 10);
    set(probe, "successThreshold", 1);
    set(probe, "failureThreshold", 3);
    if let Some(get) = existing(probe, "httpGet") {
        http_get(get);
    }
    if let Some(grpc) = existing(probe, "grpc") {
        set(grpc, "service", "");
    }
}

fn http_get(get: &mut Members) {
    set(get, "path", "/");
    set(get, "scheme", "HTTP");
}

/// What a volume is if it does not say: an empty directory.
fn volume(volume: &mut Members) {
    if volume.keys().all(|key| key == "name") {
        set(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = existing(volume, source) {
            set(source, "defaultMode", 420);
        }
    }
    if let Some(projected) = existing(volume, "projected") {
        for source in each(projected, "sources") {
            if let Some(token) = existing(source, "serviceAccountToken") {
                set(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = existing(source, "downwardAPI") {
                field_references(downward);
            }
        }
    }
    if let Some(downward) = existing(volume, "downwardAPI") {
        field_references(downward);
    }
    volume_source(volume);
    if let Some(claim) = existing(volume, "ephemeral").and_then(|e| existing(e, "volumeClaimTemplate")) {
        set(object(claim, "spec"), "volumeMode", "Filesystem");
    }
    if let Some(image) = volume.get("image").and_then(|image| image.get("reference")).and_then(Value::as_str) {
        let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
        set(object(volume, "image"), "pullPolicy", policy);
    }
}

/// What pods' volumes and persistent volumes have in common.
pub(super) fn volume_source(volume: &mut Members) {
    if let Some(path) = existing(volume, "hostPath") {
        set(path, "type", "");
    }
    if let Some(disk) = existing(volume, "iscsi") {
        set(disk, "iscsiInterface", "default");
    }
    if let Some(disk) = existing(volume, "rbd") {
        set(disk, "pool", "rbd");
        set(disk, "user", "admin");
        set(disk, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = existing(volume, "azureDisk") {
        set(disk, "cachingMode", "ReadWrite");
        set(disk, "kind", "Shared");
        set(disk, "fsType", "ext4");
        set(disk, "readOnly", false);
    }
    if let Some(disk) = existing(volume, "scaleIO") {
        set(disk, "storageMode", "ThinProvisioned");
        set(disk, "fsType", "xfs");
    }
}

fn field_references(downward: &mut Members) {
    for item in each(downward, "items") {
        if let Some(reference) = existing(item, "fieldRef") {
            set(reference, "apiVersion", "v1");
        }
    }
}

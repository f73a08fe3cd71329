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
    // A pod's own grace period is never negative. A template's may be, and becomes 1 in the pods.
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".into(), 1.into());
    }
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

/// Whether an image's tag is `latest`, said or, without a digest, not said. What is no image's name has no tag.
fn is_latest(image: &str) -> bool {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let slash = named.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match named[slash..].split_once(':') {
        Some((last, tag)) => (&named[..slash + last.len()], Some(tag)),
        None => (named, None),
    };
    tag.map_or(digest.is_none(), |tag| tag == "latest") && is_repository(name) && digest.is_none_or(is_digest)
}

/// Whether this names a repository: a registry's host, if the first part can be one, and a path in lower case.
fn is_repository(name: &str) -> bool {
    let host = name.split_once('/').filter(|(first, _)| {
        first.contains(['.', ':']) || *first == "localhost" || first.chars().any(char::is_uppercase)
    });
    let (path, fits) = match host {
        Some((host, path)) => (path, is_host(host)),
        None => (name, !(name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))),
    };
    let separated = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separators = part.split(plain).filter(|between| !between.is_empty());
        part.starts_with(plain)
            && part.ends_with(plain)
            && separators.into_iter().all(|text| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-'))
    };
    fits && path.len() <= 255 && path.split('/').all(separated)
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let edge = |c: char| c.is_ascii_alphanumeric();
        label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-')
    };
    let v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named =
        v6.map_or_else(|| name.split('.').all(label), |v6| v6.chars().all(|c| c.is_ascii_hexdigit() || c == ':'));
    named && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hash)| {
        algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
            && algorithm.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.'))
            && hash.len() >= 32
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
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

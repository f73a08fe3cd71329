//! Pods and pod templates.

use std::collections::BTreeMap;

use portcullis_sdk::ValueRef;

use crate::Object;
use crate::objects::{claim_spec, dns_label, is_fractional};

/// Labels that were renamed: the old name, since when, and the new name.
const LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];

/// Kinds of volumes that are gone or going.
const VOLUMES: [(&str, &str); 9] = [
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

fn renamed(label: &str) -> Option<String> {
    let (_, since, new) = LABELS.iter().find(|(old, ..)| *old == label)?;
    Some(format!("deprecated since {since}; use \"{new}\" instead"))
}

/// A pod.
pub(crate) fn of_pod(pod: &Object, warnings: &mut Vec<String>) {
    if pod.created
        && let Some(wrong) = dns_label(pod.name)
    {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
             recommended: {wrong}"
        ));
    }
    for (key, _) in pod.annotations.entries() {
        let what = if key == SECCOMP || key.starts_with(SECCOMP_CONTAINER) {
            "non-functional in v1.27+; use the \"seccompProfile\" field instead"
        } else if key.starts_with(APPARMOR) {
            "deprecated since v1.30; use the \"appArmorProfile\" field instead"
        } else {
            continue;
        };
        warnings.push(format!("metadata.annotations[{key}]: {what}"));
    }
    of_spec("spec", pod.spec, warnings);
}

/// A pod's spec, at `path` of its object.
pub(crate) fn of_spec(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    if spec.is_none() {
        return;
    }
    labels(path, spec, warnings);
    for (at, volume) in spec.get("volumes").iter().enumerate() {
        of_volume(&format!("{path}.volumes[{at}]"), volume, warnings);
    }
    lists(path, spec, warnings);
    if spec.get("terminationGracePeriodSeconds").as_i64().is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    fractions(&format!("{path}.overhead"), spec.get("overhead"), warnings);
    for list in ["initContainers", "containers"] {
        for (at, container) in spec.get(list).iter().enumerate() {
            of_container(&format!("{path}.{list}[{at}]"), container, warnings);
        }
    }
    port_names(path, spec, warnings);
}

fn labels(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    for (key, _) in spec.get("nodeSelector").entries() {
        if let Some(what) = renamed(key) {
            warnings.push(format!("{path}.nodeSelector[{key}]: {what}"));
        }
    }
    let affinity = spec.pointer("/affinity/nodeAffinity");
    let at = format!("{path}.affinity.nodeAffinity");
    let mut terms = |place: String, term: ValueRef| {
        for (index, expression) in term.get("matchExpressions").iter().enumerate() {
            let key = expression.get("key").str_or_empty();
            if let Some(what) = renamed(key) {
                warnings.push(format!("{place}.matchExpressions[{index}].key: {key} is {what}"));
            }
        }
    };
    let required = affinity.pointer("/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    for (index, term) in required.iter().enumerate() {
        terms(format!("{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]"), term);
    }
    for (index, term) in affinity.get("preferredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
        let place = format!("{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference");
        terms(place, term.get("preference"));
    }
    for (index, spread) in spec.get("topologySpreadConstraints").iter().enumerate() {
        let key = spread.get("topologyKey").str_or_empty();
        if let Some(what) = renamed(key) {
            warnings.push(format!("{path}.topologySpreadConstraints[{index}].topologyKey: {key} is {what}"));
        }
    }
}

fn of_volume(path: &str, volume: ValueRef, warnings: &mut Vec<String>) {
    for (kind, what) in VOLUMES {
        if !volume.get(kind).is_none() {
            warnings.push(format!("{path}.{kind}: {what}"));
        }
    }
    let template = volume.pointer("/ephemeral/volumeClaimTemplate/spec");
    if !template.is_none() {
        claim_spec(&format!("{path}.ephemeral.volumeClaimTemplate.spec"), template, warnings);
    }
    let projected = volume.get("projected");
    if !projected.is_none() {
        overlaps(volume.get("name").str_or_empty(), projected.get("sources"), warnings);
    }
}

/// Paths that two sources of a projected volume both write, or one below the other.
fn overlaps(name: &str, sources: ValueRef, warnings: &mut Vec<String>) {
    let mut known: Vec<(&str, &str)> = Vec::new();
    let mut any = false;
    for source in sources.iter() {
        let mut own: Vec<(&str, &str)> = Vec::new();
        for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")] {
            let part = source.get(field);
            any |= !part.is_none();
            own.extend(part.get("items").iter().map(|item| (item.get("path").str_or_empty(), kind)));
        }
        for (field, kind, paths) in [
            ("serviceAccountToken", "ServiceAccountToken", &["path"][..]),
            ("clusterTrustBundle", "ClusterTrustBundle", &["path"]),
            ("podCertificate", "PodCertificate", &["credentialBundlePath", "keyPath", "certificateChainPath"]),
        ] {
            let part = source.get(field);
            any |= !part.is_none();
            own.extend(paths.iter().map(|path| (part.get(path).str_or_empty(), kind)));
        }
        own.retain(|(path, _)| !path.is_empty());
        for (path, kind) in own {
            for (other, of) in &known {
                let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
                if path == *other || below(path, other) || below(other, path) {
                    warnings.push(format!(
                        "volume \"{name}\" (Projected): overlapping paths: \"{path}\" ({kind}) with \"{other}\" ({of})"
                    ));
                }
            }
            known.push((path, kind));
        }
    }
    // An empty list is a volume without files, which may be meant; an empty source is not.
    if !any && !sources.is_empty() {
        warnings.push(format!("volume \"{name}\" (Projected) has no sources provided"));
    }
}

fn lists(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, alias) in spec.get("hostAliases").iter().enumerate() {
        let ip = alias.get("ip").str_or_empty();
        if seen.contains(&ip) {
            warnings.push(format!("{path}.hostAliases[{at}].ip: duplicate ip \"{ip}\""));
        }
        seen.push(ip);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, secret) in spec.get("imagePullSecrets").iter().enumerate() {
        let name = secret.get("name").str_or_empty();
        if name.is_empty() {
            warnings.push(format!("{path}.imagePullSecrets[{at}].name: invalid empty name \"\""));
        } else if seen.contains(&name) {
            warnings.push(format!("{path}.imagePullSecrets[{at}].name: duplicate name \"{name}\""));
        }
        seen.push(name);
    }
}

fn fractions(path: &str, amounts: ValueRef, warnings: &mut Vec<String>) {
    for resource in ["memory", "ephemeral-storage"] {
        let amount = amounts.get(resource);
        if is_fractional(amount) {
            warnings.push(format!(
                "{path}[{resource}]: fractional byte value \"{}\" is invalid, must be an integer",
                amount.str_or_empty()
            ));
        }
    }
}

fn of_container(path: &str, container: ValueRef, warnings: &mut Vec<String>) {
    for part in ["limits", "requests"] {
        fractions(&format!("{path}.resources.{part}"), container.get("resources").get(part), warnings);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, variable) in container.get("env").iter().enumerate() {
        let name = variable.get("name").str_or_empty();
        // A value that is built from the one before it means to take its place.
        let extends = variable.get("value").str_or_empty().contains(&format!("$({name})"));
        if seen.contains(&name) && !extends {
            warnings.push(format!(
                "{path}.env[{at}]: hides previous definition of \"{name}\", which may be dropped when using apply"
            ));
        }
        seen.push(name);
    }
}

/// Ports that are there twice, by number or by name, among the containers that run together.
fn port_names(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    let mut by_name: BTreeMap<&str, String> = BTreeMap::new();
    let mut by_number: BTreeMap<(i64, &str, i64, &str), String> = BTreeMap::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in spec.get(list).iter().enumerate() {
            if list == "initContainers" && !container.get("restartPolicy").is_str("Always") {
                continue;
            }
            let mut own: Vec<&str> = Vec::new();
            for (at, port) in container.get("ports").iter().enumerate() {
                let place = format!("{path}.{list}[{index}].ports[{at}]");
                let text = |key: &str| port.get(key).str_or_empty();
                let number = |key: &str| port.get(key).as_i64().unwrap_or(0);
                let key = (number("containerPort"), text("protocol"), number("hostPort"), text("hostIP"));
                match by_number.get(&key) {
                    Some(other) => warnings.push(format!("{place}: duplicate port definition with {other}")),
                    None => drop(by_number.insert(key, place.clone())),
                }
                let name = text("name");
                if name.is_empty() || own.contains(&name) {
                    continue;
                }
                own.push(name);
                match by_name.get(name) {
                    Some(other) => warnings.push(format!(
                        "{place}: duplicate port name \"{name}\" with {other}, services and probes that select ports by \
                         name will use {other}"
                    )),
                    None => drop(by_name.insert(name, place)),
                }
            }
        }
    }
}

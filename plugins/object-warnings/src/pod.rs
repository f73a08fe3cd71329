//! Pods and pod templates.

use portcullis_sdk::{ValueRef, to_json};
use serde_json::{Value, json};

use crate::objects::is_fractional;
use crate::{addresses, labels, ports, volumes};

/// Annotations that were fields before, or are now.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];
const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const NULL_SELECTOR: &str = "a null labelSelector results in matching no pod";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A pod, or a template at `path` of its object (with a point at its end).
pub(crate) fn of_template(path: &str, template: ValueRef, is_template: bool, warnings: &mut Vec<String>) {
    let spec = template.get("spec");
    if spec.is_none() {
        return;
    }
    let (annotations, at) = (template.get("metadata").get("annotations"), format!("{path}spec"));
    annotated(&format!("{path}metadata.annotations"), annotations, spec, is_template, warnings);
    placement(&at, spec, warnings);
    for (index, volume) in spec.get("volumes").iter().enumerate() {
        volumes::of(&format!("{at}.volumes[{index}]"), volume, warnings);
    }
    lists(&at, spec, warnings);
    if spec.get("terminationGracePeriodSeconds").as_i64().is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    fractions(&format!("{at}.overhead"), spec.get("overhead"), warnings);
    for (list, index, container) in containers(spec) {
        of_container(&format!("{at}.{list}[{index}]"), container, warnings);
    }
    ports::of(&at, spec, warnings);
}

fn containers(spec: ValueRef<'_>) -> impl Iterator<Item = (&'static str, usize, ValueRef<'_>)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(move |list| spec.get(list).iter().enumerate().map(move |(index, container)| (list, index, container)))
}

fn annotated(place: &str, annotations: ValueRef, spec: ValueRef, is_template: bool, warnings: &mut Vec<String>) {
    let mut warn = |key: &str, what: &str| warnings.push(format!("{place}[{key}]: {what}"));
    for (key, what) in ANNOTATIONS.iter().filter(|(key, _)| !annotations.get(key).is_none()) {
        warn(key, what);
    }
    let seccomp = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
    let security = spec.get("securityContext");
    if security.get("seccompProfile").is_none() && !annotations.get(SECCOMP).is_none() {
        warn(SECCOMP, seccomp);
    }
    for (_, _, container) in containers(spec) {
        let (name, own) = (container.get("name").str_or_empty(), container.get("securityContext"));
        let key = format!("{SECCOMP_CONTAINER}{name}");
        if own.get("seccompProfile").is_none() && !annotations.get(&key).is_none() {
            warn(&key, seccomp);
        }
        let key = format!("{APPARMOR}{name}");
        let Some(given) = annotations.get(&key).as_str() else { continue };
        // Pods that give a profile this way have got it as a field by now.
        let replaced = is_template && !own.get("appArmorProfile").is_none();
        let whole = security.get("appArmorProfile");
        if !replaced && (whole.is_none() || profile(given) != Some(to_json(whole))) {
            warn(&key, "deprecated since v1.30; use the \"appArmorProfile\" field instead");
        }
    }
}

/// The field that says what an annotation says.
fn profile(annotation: &str) -> Option<Value> {
    match annotation {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        other => {
            let local = other.strip_prefix("localhost/").filter(|local| !local.is_empty())?;
            Some(json!({"type": "Localhost", "localhostProfile": local}))
        }
    }
}

fn placement(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    for (key, _) in spec.get("nodeSelector").entries() {
        if let Some(what) = labels::renamed(key) {
            warnings.push(format!("{path}.nodeSelector[{key}]: {what}"));
        }
    }
    let (affinity, at) = (spec.pointer("/affinity/nodeAffinity"), format!("{path}.affinity.nodeAffinity"));
    let terms = affinity.get(REQUIRED).get("nodeSelectorTerms");
    labels::of_terms(&format!("{at}.{REQUIRED}"), terms, warnings);
    for (index, term) in affinity.get(PREFERRED).iter().enumerate() {
        let expressions = term.get("preference").get("matchExpressions");
        labels::of_expressions(&format!("{at}.{PREFERRED}[{index}].preference"), expressions, true, warnings);
    }
    for (index, spread) in spec.get("topologySpreadConstraints").iter().enumerate() {
        let at = format!("{path}.topologySpreadConstraints[{index}]");
        let key = spread.get("topologyKey").str_or_empty();
        if let Some(what) = labels::renamed(key) {
            warnings.push(format!("{at}.topologyKey: {key} is {what}"));
        }
        if spread.get("labelSelector").is_none() {
            warnings.push(format!("{at}.labelSelector: {NULL_SELECTOR}"));
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (affinity, at) = (spec.get("affinity").get(kind), format!("{path}.affinity.{kind}"));
        for (index, term) in affinity.get(REQUIRED).iter().enumerate() {
            if term.get("labelSelector").is_none() {
                warnings.push(format!("{at}.{REQUIRED}[{index}].labelSelector: {NULL_SELECTOR}"));
            }
        }
        for (index, term) in affinity.get(PREFERRED).iter().enumerate() {
            if term.get("podAffinityTerm").get("labelSelector").is_none() {
                warnings.push(format!("{at}.{PREFERRED}[{index}].podAffinityTerm.labelSelector: {NULL_SELECTOR}"));
            }
        }
    }
}

fn lists(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, alias) in spec.get("hostAliases").iter().enumerate() {
        let (ip, place) = (alias.get("ip").str_or_empty(), format!("{path}.hostAliases[{at}].ip"));
        if seen.contains(&ip) {
            warnings.push(format!("{place}: duplicate ip \"{ip}\""));
        }
        addresses::of_address(&place, ip, warnings);
        seen.push(ip);
    }
    for (at, server) in spec.get("dnsConfig").get("nameservers").iter().enumerate() {
        addresses::of_address(&format!("{path}.dnsConfig.nameservers[{at}]"), server.str_or_empty(), warnings);
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, secret) in spec.get("imagePullSecrets").iter().enumerate() {
        let (name, place) = (secret.get("name").str_or_empty(), format!("{path}.imagePullSecrets[{at}].name"));
        if seen.contains(&name) {
            warnings.push(format!("{place}: duplicate name \"{name}\""));
        }
        if name.is_empty() {
            warnings.push(format!("{place}: invalid empty name \"\""));
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
        if !seen.contains(&name) {
            seen.push(name);
            continue;
        }
        // A value that is built from the one before it means to take its place.
        let (value, reference) = (variable.get("value").str_or_empty(), format!("$({name})"));
        let extends = variable.get("valueFrom").is_none() && value != reference && value.contains(&reference);
        if !extends {
            warnings.push(format!(
                "{path}.env[{at}]: hides previous definition of \"{name}\", which may be dropped when using apply"
            ));
        }
    }
}

//! Pods.

use std::collections::BTreeSet;

use portcullis_sdk::{ValueRef, to_json};
use serde_json::Value;

use super::{resources, scheduling};
use crate::{Errors, Review, formats, meta};

/// A Pod.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    if review.update {
        update(review, errors);
    } else {
        spec("spec", review.object.get("spec"), errors);
        if !review.object.get("spec").get("ephemeralContainers").is_empty() {
            errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
        }
    }
}

/// Nearly all of a pod is fixed from its creation on.
fn update(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.object.get("spec"), review.old.get("spec"));
    for field in ["containers", "initContainers"] {
        if new.get(field).len() != old.get(field).len() {
            let what = if field == "containers" { "containers" } else { "initContainers" };
            errors.forbidden(format!("spec.{field}"), format!("pod updates may not add or remove {what}"));
            return;
        }
        for (index, container) in new.get(field).iter().enumerate() {
            image(&format!("spec.{field}[{index}].image"), container.get("image"), errors);
        }
    }
    let (new_deadline, old_deadline) = (new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"));
    if let Some(after) = new_deadline.as_i64() {
        if after < 0 || old_deadline.as_i64().is_some_and(|before| after > before) {
            let detail = "must be less than or equal to previous value";
            errors.invalid("spec.activeDeadlineSeconds", &after, detail);
        }
    } else if !old_deadline.is_none() {
        errors.invalid(
            "spec.activeDeadlineSeconds",
            &new_deadline,
            "must not update from a positive integer to nil value",
        );
    }
    let gated = !old.get("schedulingGates").is_empty();
    let remains = |spec: ValueRef| {
        let mut spec = to_json(spec);
        for field in ["containers", "initContainers"] {
            for container in spec[field].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        let free = [
            "activeDeadlineSeconds",
            "tolerations",
            "terminationGracePeriodSeconds",
            "ephemeralContainers",
            "schedulingGates",
        ];
        let more: &[&str] = if gated { &["nodeSelector", "affinity"] } else { &[] };
        for field in free.iter().chain(more) {
            spec[*field] = Value::Null;
        }
        spec
    };
    let kept = |field: &str| {
        old.get(field).iter().all(|one| {
            new.get(field).iter().any(|other| {
                // The seconds of a toleration may change.
                let text = |value: ValueRef, name: &str| value.get(name).str_or_empty().to_owned();
                ["key", "operator", "value", "effect"].iter().all(|name| text(one, name) == text(other, name))
            })
        })
    };
    if remains(new) != remains(old) || !kept("tolerations") {
        errors.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
    let new_gates = new
        .get("schedulingGates")
        .iter()
        .filter(|gate| !old.get("schedulingGates").iter().any(|one| meta::same(one, *gate)));
    if new_gates.count() > 0 {
        errors.forbidden("spec.schedulingGates", "only deletion is allowed");
    }
}

/// The spec of a pod or of a template.
pub(crate) fn spec(at: &str, spec: ValueRef, errors: &mut Errors) {
    let mut volumes = BTreeSet::new();
    for (index, volume) in spec.get("volumes").iter().enumerate() {
        let (field, name) = (format!("{at}.volumes[{index}].name"), volume.get("name").str_or_empty());
        if name.is_empty() {
            errors.required(field, "");
        } else {
            errors.invalid_each(&field, name, formats::dns_label(name));
            if !volumes.insert(name) {
                errors.duplicate(field, name);
            }
        }
    }
    let mut names = BTreeSet::new();
    if spec.get("containers").is_empty() {
        errors.required(format!("{at}.containers"), "");
    }
    for list in ["containers", "initContainers"] {
        for (index, one) in spec.get(list).iter().enumerate() {
            container(&format!("{at}.{list}[{index}]"), one, &volumes, &mut names, errors);
        }
    }
    let one_of = |field: &str, allowed: &[&str], errors: &mut Errors| match spec.get(field).str_or_empty() {
        "" => errors.required(format!("{at}.{field}"), ""),
        value if allowed.contains(&value) => {}
        value => errors.not_supported(format!("{at}.{field}"), value, allowed),
    };
    one_of("restartPolicy", &["Always", "OnFailure", "Never"], errors);
    one_of("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], errors);
    errors.non_negative(format!("{at}.terminationGracePeriodSeconds"), spec.get("terminationGracePeriodSeconds"));
    if let Some(seconds) =
        spec.get("activeDeadlineSeconds").as_i64().filter(|seconds| !(1..=2_147_483_647).contains(seconds))
    {
        errors.invalid(format!("{at}.activeDeadlineSeconds"), &seconds, "must be between 1 and 2147483647, inclusive");
    }
    meta::labels(&format!("{at}.nodeSelector"), spec.get("nodeSelector"), errors);
    scheduling::check(at, spec, errors);
    resources::identity(&format!("{at}.securityContext"), spec.get("securityContext"), errors);
    for (field, rule) in [
        ("serviceAccountName", formats::dns_subdomain as fn(&str) -> Vec<String>),
        ("nodeName", formats::dns_subdomain),
        ("hostname", formats::dns_label),
        ("subdomain", formats::dns_label),
        ("priorityClassName", formats::dns_subdomain),
        ("runtimeClassName", formats::dns_subdomain),
    ] {
        let text = spec.get(field).str_or_empty();
        if !text.is_empty() {
            errors.invalid_each(&format!("{at}.{field}"), text, rule(text));
        }
    }
}

fn image(field: &str, image: ValueRef, errors: &mut Errors) {
    let text = image.str_or_empty();
    if text.is_empty() {
        errors.required(field, "");
    } else if text.trim() != text {
        errors.invalid(field, text, "must not have leading or trailing whitespace");
    }
}

fn container<'a>(
    at: &str,
    container: ValueRef<'a>,
    volumes: &BTreeSet<&str>,
    names: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let name = container.get("name").str_or_empty();
    if name.is_empty() {
        errors.required(format!("{at}.name"), "");
    } else {
        errors.invalid_each(&format!("{at}.name"), name, formats::dns_label(name));
        if !names.insert(name) {
            errors.duplicate(format!("{at}.name"), name);
        }
    }
    // Templates of some kinds get their images later, but never an empty one in a pod.
    image(&format!("{at}.image"), container.get("image"), errors);
    match container.get("imagePullPolicy").str_or_empty() {
        "" => errors.required(format!("{at}.imagePullPolicy"), ""),
        "Always" | "IfNotPresent" | "Never" => {}
        other => errors.not_supported(format!("{at}.imagePullPolicy"), other, &["Always", "IfNotPresent", "Never"]),
    }
    match container.get("terminationMessagePolicy").str_or_empty() {
        "" => errors.required(format!("{at}.terminationMessagePolicy"), ""),
        "File" | "FallbackToLogsOnError" => {}
        other => {
            errors.not_supported(format!("{at}.terminationMessagePolicy"), other, &["FallbackToLogsOnError", "File"])
        }
    }
    resources::check(&format!("{at}.resources"), container.get("resources"), errors);
    resources::probes(at, container, errors);
    resources::identity(&format!("{at}.securityContext"), container.get("securityContext"), errors);
    resources::env_sources(at, container, errors);
    let mut port_names = BTreeSet::new();
    for (index, port) in container.get("ports").iter().enumerate() {
        let at = format!("{at}.ports[{index}]");
        let name = port.get("name").str_or_empty();
        if !name.is_empty() {
            let wrong = formats::port_name(name);
            if wrong.is_empty() && !port_names.insert(name) {
                errors.duplicate(format!("{at}.name"), name);
            }
            errors.invalid_each(&format!("{at}.name"), name, wrong);
        }
        match port.get("containerPort").as_i64().unwrap_or(0) {
            0 => errors.required(format!("{at}.containerPort"), ""),
            number => formats::port_number(number)
                .into_iter()
                .for_each(|wrong| errors.invalid(format!("{at}.containerPort"), &number, wrong)),
        }
        let host = port.get("hostPort").as_i64().unwrap_or(0);
        if let Some(wrong) = formats::port_number(host).filter(|_| host != 0) {
            errors.invalid(format!("{at}.hostPort"), &host, wrong);
        }
        match port.get("protocol").str_or_empty() {
            "" => errors.required(format!("{at}.protocol"), ""),
            "TCP" | "UDP" | "SCTP" => {}
            other => errors.not_supported(format!("{at}.protocol"), other, &["SCTP", "TCP", "UDP"]),
        }
    }
    for (index, variable) in container.get("env").iter().enumerate() {
        let name = variable.get("name").str_or_empty();
        if name.is_empty() {
            errors.required(format!("{at}.env[{index}].name"), "");
        } else if !name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
            let detail =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            errors.invalid(format!("{at}.env[{index}].name"), name, detail);
        }
    }
    let mut paths = BTreeSet::new();
    for (index, mount) in container.get("volumeMounts").iter().enumerate() {
        let at = format!("{at}.volumeMounts[{index}]");
        let (name, path) = (mount.get("name").str_or_empty(), mount.get("mountPath").str_or_empty());
        if name.is_empty() {
            errors.required(format!("{at}.name"), "");
        } else if !volumes.contains(name) {
            errors.not_found(format!("{at}.name"), name);
        }
        if path.is_empty() {
            errors.required(format!("{at}.mountPath"), "");
        }
        if !paths.insert(path) {
            errors.invalid(format!("{at}.mountPath"), path, "must be unique");
        }
    }
}

//! Everything that is not made of pods.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Members, each, existing, object, pod, set, set_nonzero, text};

pub(super) fn defaults(group: &str, kind: &str, members: &mut Members) {
    match (group, kind) {
        ("", "Service") => service(members),
        ("", "Secret") => secret(members),
        ("", "Node") => node(members),
        ("", "Namespace") => namespace(members),
        ("", "Endpoints") => {
            for subset in each(members, "subsets") {
                each(subset, "ports").for_each(|port| set(port, "protocol", "TCP"));
            }
        }
        ("", "PersistentVolumeClaim") => {
            set(object(members, "spec"), "volumeMode", "Filesystem");
            set(object(members, "status"), "phase", "Pending");
        }
        ("", "PersistentVolume") => {
            let spec = object(members, "spec");
            set(spec, "persistentVolumeReclaimPolicy", "Retain");
            set(spec, "volumeMode", "Filesystem");
            pod::volume_source(spec);
            set(object(members, "status"), "phase", "Pending");
        }
        ("", "LimitRange") => limit_range(members),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(members),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(members),
        ("networking.k8s.io", "IngressClass") => {
            if let Some(parameters) = existing(object(members, "spec"), "parameters") {
                set(parameters, "scope", "Cluster");
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(members),
        ("storage.k8s.io", "StorageClass") => {
            set(members, "reclaimPolicy", "Delete");
            set(members, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "CSIDriver") => csi_driver(members),
        ("discovery.k8s.io", "EndpointSlice") => {
            for port in each(members, "ports") {
                set(port, "name", "");
                set(port, "protocol", "TCP");
            }
        }
        ("scheduling.k8s.io", "PriorityClass") => set(members, "preemptionPolicy", "PreemptLowerPriority"),
        ("admissionregistration.k8s.io", kind) => admission(kind, members),
        ("apiregistration.k8s.io", "APIService") => {
            if let Some(service) = existing(object(members, "spec"), "service") {
                set(service, "port", 443);
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(members),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => {
            set_nonzero(object(members, "spec"), "matchingPrecedence", 1000)
        }
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => priority_level(members),
        ("resource.k8s.io", "ResourceClaim") => device_requests(object(object(members, "spec"), "devices")),
        ("resource.k8s.io", "ResourceClaimTemplate") => {
            device_requests(object(object(object(members, "spec"), "spec"), "devices"));
        }
        ("plugins.portcullis.dev", "Plugin") => {
            let spec = object(members, "spec");
            set(spec, "failurePolicy", "Fail");
            set(spec, "order", 0);
        }
        _ => {}
    }
}

/// `stringData` is a way of writing `data`.
fn secret(secret: &mut Members) {
    set(secret, "type", "Opaque");
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    let data = object(secret, "data");
    for (key, text) in texts {
        let text = text.as_str().unwrap_or_default();
        data.insert(key, base64::engine::general_purpose::STANDARD.encode(text).into());
    }
}

fn node(node: &mut Members) {
    if let Some(spec) = existing(node, "spec") {
        first_of(spec, "podCIDR", "podCIDRs");
    }
    let status = object(node, "status");
    if !status.contains_key("allocatable")
        && let Some(capacity) = status.get("capacity").cloned()
    {
        status.insert("allocatable".into(), capacity);
    }
}

/// Keeps the older field `one` the first of the list `many`.
fn first_of(members: &mut Members, one: &str, many: &str) {
    let listed = members.get(many).and_then(|list| list.get(0)).cloned();
    match members.get(one).filter(|value| !value.is_null()).cloned() {
        Some(given) if listed.as_ref() != Some(&given) => drop(members.insert(many.into(), json!([given]))),
        None if listed.is_some() => drop(members.insert(one.into(), listed.into())),
        _ => {}
    }
}

/// The first version knows no metrics but the processor's.
pub(super) fn autoscaler_v1(autoscaler: &mut Members) {
    let others = existing(autoscaler, "metadata")
        .and_then(|metadata| metadata.get("annotations"))
        .is_some_and(|annotations| annotations.get("autoscaling.alpha.kubernetes.io/metrics").is_some());
    let spec = object(autoscaler, "spec");
    set(spec, "minReplicas", 1);
    if !others {
        set(spec, "targetCPUUtilizationPercentage", 80);
    }
}

fn service(service: &mut Members) {
    let spec = object(service, "spec");
    set(spec, "sessionAffinity", "None");
    set(spec, "type", "ClusterIP");
    if text(spec, "sessionAffinity") == "ClientIP" {
        set(object(object(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", 10_800);
    } else {
        spec.remove("sessionAffinityConfig");
    }
    let kind = text(spec, "type").to_owned();
    let external = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    for port in each(spec, "ports") {
        set(port, "protocol", "TCP");
        let zero = port.get("targetPort").is_none_or(|target| *target == json!(0) || *target == json!(""));
        if zero && let Some(number) = port.get("port").cloned() {
            port.insert("targetPort".into(), number);
        }
    }
    if external || spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty()) {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
        let balancer = existing(service, "status").and_then(|status| existing(status, "loadBalancer"));
        for ingress in balancer.into_iter().flat_map(|balancer| each(balancer, "ingress")) {
            if !text(ingress, "ip").is_empty() {
                set(ingress, "ipMode", "VIP");
            }
        }
    }
}

fn namespace(namespace: &mut Members) {
    set(object(namespace, "status"), "phase", "Active");
    // Selectors can then name a namespace (KEP-2161).
    let metadata = object(namespace, "metadata");
    if let Some(name) = metadata.get("name").cloned().filter(|name| name.as_str().is_some_and(|name| !name.is_empty()))
    {
        object(metadata, "labels").insert("kubernetes.io/metadata.name".into(), name);
    }
}

/// A container's default limit is its maximum, and its default request the default limit or the minimum.
fn limit_range(range: &mut Members) {
    for limit in each(object(range, "spec"), "limits") {
        if text(limit, "type") != "Container" {
            continue;
        }
        let copy = |limit: &mut Members, from: &str, to: &str| {
            let Some(Value::Object(from)) = limit.get(from).cloned() else { return };
            let target = object(limit, to);
            for (name, value) in from {
                target.entry(name).or_insert(value);
            }
        };
        copy(limit, "max", "default");
        copy(limit, "default", "defaultRequest");
        copy(limit, "min", "defaultRequest");
    }
}

fn autoscaler(autoscaler: &mut Members) {
    let spec = object(autoscaler, "spec");
    set(spec, "minReplicas", 1);
    let none = spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if none {
        let cpu = json!([{"type": "Resource",
                          "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        spec.insert("metrics".into(), cpu);
    }
    let Some(behavior) = existing(spec, "behavior") else { return };
    let up = json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]);
    let down = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
    let rules = object(behavior, "scaleUp");
    set(rules, "stabilizationWindowSeconds", 0);
    set(rules, "selectPolicy", "Max");
    set(rules, "policies", up);
    let rules = object(behavior, "scaleDown");
    set(rules, "selectPolicy", "Max");
    set(rules, "policies", down);
}

fn network_policy(policy: &mut Members) {
    let spec = object(policy, "spec");
    for direction in ["ingress", "egress"] {
        for rule in each(spec, direction) {
            each(rule, "ports").for_each(|port| set(port, "protocol", "TCP"));
        }
    }
    if spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
        let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".into(), types);
    }
}

fn binding(binding: &mut Members) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let role = object(binding, "roleRef");
    if text(role, "apiGroup").is_empty() {
        role.insert("apiGroup".into(), GROUP.into());
    }
    for subject in each(binding, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") && text(subject, "apiGroup").is_empty() {
            subject.insert("apiGroup".into(), GROUP.into());
        }
    }
}

fn csi_driver(driver: &mut Members) {
    let spec = object(driver, "spec");
    set(spec, "attachRequired", true);
    set(spec, "podInfoOnMount", false);
    set(spec, "storageCapacity", false);
    set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    set(spec, "volumeLifecycleModes", json!(["Persistent"]));
    set(spec, "requiresRepublish", false);
    set(spec, "seLinuxMount", false);
}

fn admission(kind: &str, members: &mut Members) {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            for webhook in each(members, "webhooks") {
                set(webhook, "failurePolicy", "Fail");
                set(webhook, "matchPolicy", "Equivalent");
                set(webhook, "namespaceSelector", json!({}));
                set(webhook, "objectSelector", json!({}));
                set(webhook, "timeoutSeconds", 10);
                if kind == "MutatingWebhookConfiguration" {
                    set(webhook, "reinvocationPolicy", "Never");
                }
                if let Some(service) = existing(webhook, "clientConfig").and_then(|config| existing(config, "service"))
                {
                    set(service, "port", 443);
                }
                each(webhook, "rules").for_each(|rule| set(rule, "scope", "*"));
            }
        }
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            let spec = object(members, "spec");
            set(spec, "failurePolicy", "Fail");
            if let Some(constraints) = existing(spec, "matchConstraints") {
                match_resources(constraints);
            }
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            if let Some(resources) = existing(object(members, "spec"), "matchResources") {
                match_resources(resources);
            }
        }
        _ => {}
    }
}

fn match_resources(resources: &mut Members) {
    set(resources, "matchPolicy", "Equivalent");
    set(resources, "namespaceSelector", json!({}));
    set(resources, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        each(resources, list).for_each(|rule| set(rule, "scope", "*"));
    }
}

fn definition(definition: &mut Members) {
    let spec = object(definition, "spec");
    set(object(spec, "conversion"), "strategy", "None");
    let names = object(spec, "names");
    let kind = text(names, "kind").to_owned();
    if text(names, "singular").is_empty() {
        names.insert("singular".into(), kind.to_lowercase().into());
    }
    if text(names, "listKind").is_empty() && !kind.is_empty() {
        names.insert("listKind".into(), format!("{kind}List").into());
    }
    let versions = spec.get("versions").and_then(Value::as_array).into_iter().flatten();
    let stored = versions.filter(|version| version.get("storage").and_then(Value::as_bool) == Some(true));
    let stored = stored.filter_map(|version| version.get("name")).next().cloned();
    let status = object(definition, "status");
    if let Some(stored) = stored
        && status.get("storedVersions").and_then(Value::as_array).is_none_or(Vec::is_empty)
    {
        status.insert("storedVersions".into(), vec![stored].into());
    }
}

fn priority_level(level: &mut Members) {
    let spec = object(level, "spec");
    if let Some(limited) = existing(spec, "limited") {
        set(limited, "nominalConcurrencyShares", 30);
        set(limited, "lendablePercent", 0);
        if let Some(queuing) = existing(limited, "limitResponse").and_then(|response| existing(response, "queuing")) {
            set_nonzero(queuing, "queues", 64);
            set_nonzero(queuing, "handSize", 8);
            set_nonzero(queuing, "queueLengthLimit", 50);
        }
    }
    if let Some(exempt) = existing(spec, "exempt") {
        set(exempt, "nominalConcurrencyShares", 0);
        set(exempt, "lendablePercent", 0);
    }
}

fn device_requests(devices: &mut Members) {
    let count = |request: &mut Members| {
        set(request, "allocationMode", "ExactCount");
        if text(request, "allocationMode") == "ExactCount" {
            set(request, "count", 1);
        }
    };
    for request in each(devices, "requests") {
        if let Some(exactly) = existing(request, "exactly") {
            count(exactly);
        }
        each(request, "firstAvailable").for_each(count);
    }
}

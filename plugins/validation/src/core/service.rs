//! Services.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::{Errors, Review, formats, meta};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// A Service.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.object.get("spec");
    let kind = spec.get("type").str_or_empty();
    let headless = spec.get("clusterIP").is_str("None");
    let ports = spec.get("ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    match kind {
        "" => errors.required("spec.type", ""),
        "ExternalName" => {
            let name = spec.get("externalName").str_or_empty().trim_end_matches('.');
            if name.is_empty() {
                errors.required("spec.externalName", "");
            } else {
                errors.invalid_each("spec.externalName", name, formats::dns_subdomain(name));
            }
        }
        "LoadBalancer" if headless => {
            errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services");
        }
        "NodePort" if headless => {
            errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services");
        }
        kind if !TYPES.contains(&kind) => errors.not_supported("spec.type", kind, &TYPES),
        _ => {}
    }
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        check_port(&format!("spec.ports[{index}]"), port, ports.len() > 1, kind, &mut names, errors);
        let key = (port.get("protocol").str_or_empty(), port.get("port").as_i64());
        if !seen.insert(key) {
            errors.duplicate(format!("spec.ports[{index}]"), &port);
        }
    }
    meta::labels("spec.selector", spec.get("selector"), errors);
    match spec.get("sessionAffinity").str_or_empty() {
        "" => errors.required("spec.sessionAffinity", ""),
        "None" | "ClientIP" => {}
        other => errors.not_supported("spec.sessionAffinity", other, &["ClientIP", "None"]),
    }
    let timeout = spec.get("sessionAffinityConfig").get("clientIP").get("timeoutSeconds");
    if let Some(seconds) = timeout.as_i64().filter(|seconds| !(1..=86400).contains(seconds)) {
        let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        errors.invalid(field, &seconds, "must be greater than 0 and less than 86400");
    }
    for field in ["externalTrafficPolicy", "internalTrafficPolicy"] {
        let policy = spec.get(field).str_or_empty();
        if !matches!(policy, "" | "Cluster" | "Local") {
            errors.not_supported(format!("spec.{field}"), policy, &["Cluster", "Local"]);
        }
    }
    if kind != "LoadBalancer" {
        for field in ["loadBalancerClass", "allocateLoadBalancerNodePorts"] {
            if !spec.get(field).is_none() {
                errors.forbidden(format!("spec.{field}"), "may only be used when `type` is 'LoadBalancer'");
            }
        }
    }
    let old = review.old.get("spec");
    let keeps_address = |spec: ValueRef| !spec.get("type").is_str("ExternalName");
    if review.update && keeps_address(spec) && keeps_address(old) && !old.get("clusterIP").str_or_empty().is_empty() {
        let address = spec.get("clusterIP").str_or_empty();
        if !old.get("clusterIP").is_str(address) {
            errors.invalid("spec.clusterIPs[0]", &spec.get("clusterIPs"), "may not change once set");
        }
    }
}

fn check_port<'a>(
    at: &str,
    port: ValueRef<'a>,
    needs_name: bool,
    kind: &str,
    names: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let name = port.get("name").str_or_empty();
    if name.is_empty() {
        if needs_name {
            errors.required(format!("{at}.name"), "");
        }
    } else {
        errors.invalid_each(&format!("{at}.name"), name, formats::dns_label(name));
        if !names.insert(name) {
            errors.duplicate(format!("{at}.name"), name);
        }
    }
    let number = port.get("port").as_i64().unwrap_or(0);
    if let Some(wrong) = formats::port_number(number) {
        errors.invalid(format!("{at}.port"), &number, wrong);
    }
    match port.get("protocol").str_or_empty() {
        "" => errors.required(format!("{at}.protocol"), ""),
        "TCP" | "UDP" | "SCTP" => {}
        other => errors.not_supported(format!("{at}.protocol"), other, &["SCTP", "TCP", "UDP"]),
    }
    let target = port.get("targetPort");
    if let Some(number) = target.as_i64() {
        if let Some(wrong) = formats::port_number(number) {
            errors.invalid(format!("{at}.targetPort"), &number, wrong);
        }
    } else if let Some(name) = target.as_str() {
        errors.invalid_each(&format!("{at}.targetPort"), name, formats::port_name(name));
    }
    if let Some(protocol) = port.get("appProtocol").as_str() {
        errors.invalid_each(&format!("{at}.appProtocol"), protocol, formats::qualified_name(protocol));
    }
    if kind == "ClusterIP" && port.get("nodePort").as_i64().unwrap_or(0) != 0 {
        errors.forbidden(format!("{at}.nodePort"), "may not be used when `type` is 'ClusterIP'");
    }
}

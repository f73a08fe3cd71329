//! Services.

mod addresses;
mod update;

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::pod::handler_port;
use crate::shown::Shown;
use crate::{Errors, Field, Review, SPEC, STATUS, formats, meta};

const META: Field = Field::new("metadata");
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";
const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// Whether a service has no address of its own.
fn is_headless(spec: ValueRef) -> bool {
    let addresses = spec.get("clusterIPs");
    addresses.len() == 1 && addresses.index(0).is_str("None")
}

fn kind(spec: ValueRef<'_>) -> &str {
    spec.get("type").str_or_empty()
}

/// A Service.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    if !review.is_main() {
        let (status, spec) = (review.object.get("status"), review.spec());
        let balanced = kind(spec) == "LoadBalancer";
        return load_balancer_status(&STATUS.child("loadBalancer"), status.get("loadBalancer"), balanced, errors);
    }
    if review.update {
        update::check(review.spec(), review.old_spec(), errors);
    }
    topology(review, errors);
    let spec = review.spec();
    by_type(spec, errors);
    ports(spec, errors);
    meta::labels(SPEC.child("selector"), spec.get("selector"), errors);
    affinity(spec, errors);
    addresses::check(spec, errors);
    let at = SPEC.child("externalIPs");
    for (index, ip) in spec.get("externalIPs").iter().enumerate() {
        let (at, ip) = (at.index(index), ip.str_or_empty());
        let wrong = formats::ip(ip);
        let special = if wrong.is_empty() { formats::endpoint_ip(ip) } else { Vec::new() };
        errors.invalid_each(at, ip, wrong.into_iter().chain(special));
    }
    errors.needs_one_of(SPEC.child("type"), kind(spec), &TYPES);
    port_numbers(spec, errors);
    source_ranges(review, errors);
    let balanced = kind(spec) == "LoadBalancer";
    let allocate = !spec.get("allocateLoadBalancerNodePorts").is_none();
    if allocate && !balanced {
        errors.forbidden(SPEC.child("allocateLoadBalancerNodePorts"), ONLY_BALANCED);
    }
    if !allocate && balanced {
        errors.required("allocateLoadBalancerNodePorts", "");
    }
    class(spec, errors);
    traffic(spec, errors);
}

fn topology(review: &Review, errors: &mut Errors) {
    const MODE: &str = "service.kubernetes.io/topology-mode";
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    let annotations = review.object.get("metadata").get("annotations");
    if let (Some(mode), Some(hints)) = (annotations.get(MODE).as_str(), annotations.get(HINTS).as_str())
        && mode != hints
    {
        let detail = format!("must match annotations[{HINTS}] when both are specified");
        errors.invalid(META.child("annotations").key(MODE), mode, detail);
    }
}

fn by_type(spec: ValueRef, errors: &mut Errors) {
    let headless = is_headless(spec);
    if spec.get("ports").is_empty() && !headless && kind(spec) != "ExternalName" {
        errors.required(SPEC.child("ports"), "");
    }
    let at = SPEC.child("clusterIPs");
    match kind(spec) {
        kind @ ("LoadBalancer" | "NodePort") if headless => {
            errors.invalid(at.index(0), "None", format!("may not be set to 'None' for {kind} services"));
        }
        "ExternalName" => {
            for member in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                let value = spec.get(member);
                if !value.is_none() && (value.as_str().is_some() || !value.is_empty()) {
                    errors.forbidden(SPEC.child(member), "may not be set for ExternalName services");
                }
            }
            let name = spec.get("externalName").str_or_empty();
            let name = name.strip_suffix('.').unwrap_or(name);
            if errors.needs(SPEC.child("externalName"), name) {
                errors.invalid_each(SPEC.child("externalName"), name, formats::dns_subdomain(name));
            }
        }
        _ => {}
    }
}

fn ports(spec: ValueRef, errors: &mut Errors) {
    let (list, ports) = (SPEC.child("ports"), spec.get("ports"));
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = list.index(index);
        let name = port.get("name").str_or_empty();
        if !name.is_empty() {
            errors.invalid_each(at.child("name"), name, formats::dns_label(name));
            errors.unique(&mut names, at.child("name"), name);
        } else if ports.len() > 1 {
            errors.required(at.child("name"), "");
        }
        let number = port.get("port").as_i64().unwrap_or(0);
        errors.invalid_each(at.child("port"), &number, formats::port_number(number));
        errors.needs_one_of(at.child("protocol"), port.get("protocol").str_or_empty(), &["SCTP", "TCP", "UDP"]);
        handler_port(&at.child("targetPort"), port.get("targetPort"), errors);
        if let Some(protocol) = port.get("appProtocol").as_str() {
            errors.invalid_each(at.child("appProtocol"), protocol, formats::qualified_name(protocol));
        }
    }
}

/// A port as it is shown when it is there twice: what it is found by, and nothing else.
struct PortKey<'a>(&'a str, i64);

impl Shown for PortKey<'_> {
    fn shown(&self) -> String {
        format!(
            "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
            self.0.shown(),
            self.1
        )
    }
}

/// Ports of nodes are for services that are reached there; no port is there twice.
fn port_numbers(spec: ValueRef, errors: &mut Errors) {
    let list = SPEC.child("ports");
    let ports = || {
        spec.get("ports").iter().enumerate().map(|(index, port)| {
            let number = |name| port.get(name).as_i64().unwrap_or(0);
            (index, port.get("protocol").str_or_empty(), number("port"), number("nodePort"))
        })
    };
    let on_nodes = || ports().filter(|(.., node_port)| *node_port != 0);
    if kind(spec) == "ClusterIP" {
        for (index, ..) in on_nodes() {
            errors.forbidden(list.index(index).child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
    let mut seen = BTreeSet::new();
    for (index, protocol, _, node_port) in on_nodes() {
        if !seen.insert((protocol, node_port)) {
            errors.duplicate(list.index(index).child("nodePort"), &node_port);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, protocol, number, _) in ports() {
        if !seen.insert((protocol, number)) {
            errors.duplicate(list.index(index), &PortKey(protocol, number));
        }
    }
}

fn affinity(spec: ValueRef, errors: &mut Errors) {
    let (affinity, config) = (spec.get("sessionAffinity").str_or_empty(), spec.get("sessionAffinityConfig"));
    errors.needs_one_of(SPEC.child("sessionAffinity"), affinity, &["ClientIP", "None"]);
    let at = SPEC.child("sessionAffinityConfig");
    if affinity == "ClientIP" {
        let timeout = config.get("clientIP").get("timeoutSeconds");
        let detail = "when session affinity type is ClientIP";
        if config.is_none() {
            errors.required(at, detail);
        } else if config.get("clientIP").is_none() {
            errors.required(at.child("clientIP"), detail);
        } else if let Some(seconds) = timeout.as_i64() {
            if !(1..=86400).contains(&seconds) {
                let detail = "must be greater than 0 and less than 86400";
                errors.invalid(at.child("clientIP.timeoutSeconds"), &seconds, detail);
            }
        } else {
            errors.required(at.child("clientIP.timeoutSeconds"), detail);
        }
    } else if affinity == "None" && !config.is_none() {
        errors.forbidden(at, "must not be set when session affinity is None");
    }
}

fn source_ranges(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let balanced = kind(spec) == "LoadBalancer";
    let ranges = spec.get("loadBalancerSourceRanges");
    let annotation = review.object.get("metadata").get("annotations").get(RANGES);
    if !ranges.is_empty() {
        let at = SPEC.child("LoadBalancerSourceRanges");
        if !balanced {
            errors.forbidden(at, ONLY_BALANCED);
        }
        for (index, range) in ranges.iter().enumerate() {
            let range = range.str_or_empty().trim();
            errors.invalid_each(at.index(index), range, formats::cidr(range));
        }
    } else if let Some(text) = annotation.as_str() {
        let at = META.child("annotations");
        let at = at.key(RANGES);
        if !balanced {
            errors.forbidden(at, ONLY_BALANCED);
        }
        for range in text.trim().split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            errors.invalid_each(at, range, formats::cidr(range));
        }
    }
}

/// Who balances the load.
fn class(spec: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("loadBalancerClass");
    if let Some(class) = spec.get("loadBalancerClass").as_str() {
        if kind(spec) == "LoadBalancer" {
            errors.invalid_each(at, class, formats::qualified_name(class));
        } else {
            errors.forbidden(at, ONLY_BALANCED);
        }
    }
}

/// Whether the service can be reached from outside of the cluster.
fn is_external(spec: ValueRef) -> bool {
    matches!(kind(spec), "LoadBalancer" | "NodePort")
        || kind(spec) == "ClusterIP" && !spec.get("externalIPs").is_empty()
}

/// Whether a balancer has to know which nodes have an endpoint.
fn needs_health_check(spec: ValueRef) -> bool {
    kind(spec) == "LoadBalancer" && spec.get("externalTrafficPolicy").is_str("Local")
}

fn traffic(spec: ValueRef, errors: &mut Errors) {
    let policies = ["Cluster", "Local"];
    let (policy, at) = (spec.get("externalTrafficPolicy").str_or_empty(), SPEC.child("externalTrafficPolicy"));
    if is_external(spec) {
        errors.needs_one_of(at, policy, &policies);
    } else if !policy.is_empty() {
        errors.invalid(at, policy, "may only be set for externally-accessible services");
    }
    let (port, at) = (spec.get("healthCheckNodePort").as_i64().unwrap_or(0), SPEC.child("healthCheckNodePort"));
    if !needs_health_check(spec) {
        if port != 0 {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid(at, &port, detail);
        }
    } else if port == 0 {
        errors.required(at, "");
    } else {
        errors.invalid_each(at, &port, formats::port_number(port));
    }
    let (policy, at) = (spec.get("internalTrafficPolicy"), SPEC.child("internalTrafficPolicy"));
    if policy.is_none() && matches!(kind(spec), "ClusterIP" | "NodePort" | "LoadBalancer") {
        errors.required(at, "");
    }
    errors.may_be_one_of(at, policy, &policies);
    let ways = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    errors.may_be_one_of(SPEC.child("trafficDistribution"), spec.get("trafficDistribution"), &ways);
}

/// Where a balancer can be reached.
fn load_balancer_status(at: &Field, status: ValueRef, balanced: bool, errors: &mut Errors) {
    let (list, all) = (at.child("ingress"), status.get("ingress"));
    if !balanced && !all.is_empty() {
        return errors.forbidden(list, "may only be used when `spec.type` is 'LoadBalancer'");
    }
    for (index, ingress) in all.iter().enumerate() {
        let at = list.index(index);
        let (ip, mode) = (ingress.get("ip").str_or_empty(), ingress.get("ipMode"));
        if !ip.is_empty() {
            errors.invalid_each(at.child("ip"), ip, formats::ip(ip));
        }
        match mode.as_str() {
            None if !ip.is_empty() => errors.required(at.child("ipMode"), "must be specified when `ip` is set"),
            Some(_) if ip.is_empty() => {
                errors.forbidden(at.child("ipMode"), "may not be specified when `ip` is not set");
            }
            Some(mode) => errors.one_of(at.child("ipMode"), mode, &["Proxy", "VIP"]),
            None => {}
        }
        let name = ingress.get("hostname").str_or_empty();
        if !name.is_empty() {
            errors.invalid_each(at.child("hostname"), name, formats::dns_subdomain(name));
            if formats::parse_ip(name).is_some() {
                errors.invalid(at.child("hostname"), name, "must be a DNS name, not an IP address");
            }
        }
    }
}

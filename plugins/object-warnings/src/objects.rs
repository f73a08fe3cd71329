//! Everything but what pods are made of.

use portcullis_sdk::ValueRef;
use portcullis_validation::quantity::Quantity;

use crate::{Object, addresses, labels, pod, volumes};

const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// What keeps a text from being a DNS label, as the API says it.
pub(crate) fn dns_label(name: &str) -> Option<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push("must be no more than 63 characters");
    }
    if name.contains('.') {
        wrong.push("must not contain dots");
    }
    (!wrong.is_empty()).then(|| format!("[{}]", wrong.join(" ")))
}

/// Whether an amount of bytes has a fraction; amounts are in their canonical form, in which only thousandths show one.
pub(crate) fn is_fractional(amount: ValueRef) -> bool {
    let Some(text) = amount.as_str() else { return false };
    text.strip_suffix('m').is_some_and(|number| number.parse::<i64>().is_ok_and(|number| number % 1000 != 0))
}

/// Names that become host names, and those of the kinds that make pods of them.
fn host_name(object: &Object, warnings: &mut Vec<String>) {
    let what = match (object.group, object.resource) {
        ("", "pods") => "the Pod's hostname",
        ("", "replicationcontrollers") | ("apps", "deployments" | "replicasets") | ("batch", "jobs" | "cronjobs") => {
            "Pod names and hostnames"
        }
        _ => return,
    };
    if let Some(wrong) = dns_label(object.name()).filter(|_| object.created) {
        warnings.push(format!(
            "metadata.name: this is used in {what}, which can result in surprising behavior; a DNS label is recommended: \
             {wrong}"
        ));
    }
}

/// What is said of an object beside its template of pods.
pub(crate) fn of(object: &Object, warnings: &mut Vec<String>) {
    host_name(object, warnings);
    let spec = object.spec();
    match (object.group, object.resource) {
        ("", "pods") if object.created => pod::of_template("", object.object, false, warnings),
        ("", "services") => service(object, warnings),
        ("", "endpoints") => endpoints(object, warnings),
        ("", "nodes") => node(spec, warnings),
        ("", "persistentvolumeclaims") => {
            beta_class(object, warnings);
            claim_spec("spec", spec, warnings);
        }
        ("", "persistentvolumes") => volume(object, warnings),
        ("", "resourcequotas") if object.created => quota(spec.get("hard"), warnings),
        ("", "serviceaccounts") => service_account(object, warnings),
        ("apps", "statefulsets") => stateful_set(spec, warnings),
        ("batch", "jobs") if object.changes() => job("spec", spec, warnings),
        ("batch", "cronjobs") => cron_job(object, warnings),
        ("discovery.k8s.io", "endpointslices") => endpoint_slice(object, warnings),
        ("networking.k8s.io", "ingresses") if object.created => {
            if !object.annotations().get("kubernetes.io/ingress.class").is_none() {
                let what = "annotation \"kubernetes.io/ingress.class\" is deprecated, please use \
                            'spec.ingressClassName' instead";
                warnings.push(what.into());
            }
        }
        ("networking.k8s.io", "networkpolicies") => network_policy(spec, warnings),
        ("node.k8s.io", "runtimeclasses") => {
            for (key, _) in object.object.pointer("/scheduling/nodeSelector").entries() {
                warnings.extend(labels::renamed(key).map(|what| format!("scheduling.nodeSelector: {what}")));
            }
        }
        ("resource.k8s.io", "resourceslices") => {
            let driver = spec.get("driver").str_or_empty();
            if driver != driver.to_lowercase() {
                warnings.push(format!(
                    "spec.driver: driver names should be lowercase; \"{driver}\" contains uppercase characters"
                ));
            }
        }
        ("storage.k8s.io", "csidrivers")
            if !spec.get("tokenRequests").is_empty() && spec.get("serviceAccountTokenInSecrets").is_none() =>
        {
            let what = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to \
                        prevent possible logging of tokens in volume attributes";
            warnings.push(what.into());
        }
        ("storage.k8s.io", "csistoragecapacities") => {
            labels::of_selector("nodeTopology", object.object.get("nodeTopology"), warnings);
        }
        ("storage.k8s.io", "storageclasses") => {
            for (at, topology) in object.object.get("allowedTopologies").iter().enumerate() {
                for (index, expression) in topology.get("matchLabelExpressions").iter().enumerate() {
                    let key = expression.get("key").str_or_empty();
                    let place = format!("allowedTopologies[{at}].matchLabelExpressions[{index}].key");
                    warnings.extend(labels::renamed(key).map(|what| format!("{place}: {what}")));
                }
            }
        }
        _ => {}
    }
}

/// Addresses that a status reports.
pub(crate) fn of_status(object: &Object, warnings: &mut Vec<String>) {
    let status = object.object.get("status");
    match (object.group, object.resource) {
        ("", "pods") => {
            for list in ["podIPs", "hostIPs"] {
                for (at, one) in status.get(list).iter().enumerate() {
                    let place = format!("status.{list}[{at}].ip");
                    addresses::of_address(&place, one.get("ip").str_or_empty(), warnings);
                }
            }
        }
        ("", "services") | ("networking.k8s.io", "ingresses") => {
            for (at, one) in status.pointer("/loadBalancer/ingress").iter().enumerate() {
                let place = format!("status.loadBalancer.ingress[{at}]");
                let ip = one.get("ip").str_or_empty();
                if !ip.is_empty() {
                    addresses::of_address(&place, ip, warnings);
                }
            }
        }
        _ => {}
    }
}

fn beta_class(object: &Object, warnings: &mut Vec<String>) {
    if !object.annotations().get(BETA_CLASS).is_none() {
        warnings.push(format!(
            "metadata.annotations[{BETA_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ));
    }
}

pub(crate) fn claim_spec(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    for part in ["requests", "limits"] {
        let amount = spec.get("resources").get(part).get("storage");
        if is_fractional(amount) {
            warnings.push(format!(
                "{path}.resources.{part}[storage]: fractional byte value \"{}\" is invalid, must be an integer",
                amount.str_or_empty()
            ));
        }
    }
}

fn volume(object: &Object, warnings: &mut Vec<String>) {
    const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
    beta_class(object, warnings);
    if !object.annotations().get(MOUNT_OPTIONS).is_none() {
        warnings.push(format!(
            "metadata.annotations[{MOUNT_OPTIONS}]: deprecated since v1.31; use \"mountOptions\" attribute instead"
        ));
    }
    let spec = object.spec();
    if spec.get("persistentVolumeReclaimPolicy").is_str("Recycle") {
        warnings.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .into(),
        );
    }
    let terms = spec.pointer("/nodeAffinity/required/nodeSelectorTerms");
    labels::of_terms("spec.nodeAffinity.required", terms, warnings);
    volumes::of_persistent("spec", spec, warnings);
}

fn node(spec: ValueRef, warnings: &mut Vec<String>) {
    if !spec.get("configSource").is_none() {
        warnings.push("spec.configSource: the feature is removed".into());
    }
    if !spec.get("externalID").str_or_empty().is_empty() {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
    }
    for (at, range) in spec.get("podCIDRs").iter().enumerate() {
        addresses::of_range(&format!("spec.podCIDRs[{at}]"), range.str_or_empty(), warnings);
    }
}

fn quota(hard: ValueRef, warnings: &mut Vec<String>) {
    for resource in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let (long, limit) = (format!("requests.{resource}"), format!("limits.{resource}"));
        let shorter = hard.get(&long).is_none() && matches!(resource, "cpu" | "memory");
        let asked = if shorter { resource } else { long.as_str() };
        let (request, most) = (hard.get(asked), hard.get(&limit));
        let (Some(amount), Some(bound)) = (Quantity::read(request), Quantity::read(most)) else { continue };
        if amount > bound {
            warnings.push(format!(
                "ResourceQuota {asked} ({}) should be less than {limit} ({})",
                request.str_or_empty(),
                most.str_or_empty()
            ));
        }
    }
}

fn service_account(object: &Object, warnings: &mut Vec<String>) {
    const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";
    let of = |object: ValueRef| !object.get("metadata").get("annotations").get(MOUNTABLE).is_none();
    if of(object.object) && (object.created || !of(object.old)) {
        warnings.push(format!(
            "metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to \
             mounted secrets"
        ));
    }
}

fn stateful_set(spec: ValueRef, warnings: &mut Vec<String>) {
    for (at, claim) in spec.get("volumeClaimTemplates").iter().enumerate() {
        claim_spec(&format!("spec.volumeClaimTemplates[{at}].spec"), claim.get("spec"), warnings);
    }
    if spec.get("revisionHistoryLimit").as_i64().is_some_and(|limit| limit < 0) {
        let what = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is \
                    recommended";
        warnings.push(what.into());
    }
}

fn job(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    let number = |name: &str| spec.get(name).as_i64().unwrap_or(0);
    let indexed = spec.get("completionMode").is_str("Indexed");
    if indexed && number("completions") > 100_000 && number("parallelism") > 10_000 {
        warnings.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
}

fn cron_job(object: &Object, warnings: &mut Vec<String>) {
    let spec = object.spec();
    if object.changes() {
        job("spec.jobTemplate.spec", spec.pointer("/jobTemplate/spec"), warnings);
    }
    if !object.created && spec.get("schedule").str_or_empty().contains("TZ") {
        warnings.push(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .into(),
        );
    }
}

/// Whether addresses are a controller's, which writes them well.
fn is_managed(object: &Object, label: &str, by: &[&str]) -> bool {
    by.contains(&object.object.get("metadata").get("labels").get(label).str_or_empty())
}

fn endpoints(object: &Object, warnings: &mut Vec<String>) {
    if is_managed(object, "endpoints.kubernetes.io/managed-by", &["endpoint-controller"]) {
        return;
    }
    for (index, subset) in object.object.get("subsets").iter().enumerate() {
        for list in ["addresses", "notReadyAddresses"] {
            for (at, address) in subset.get(list).iter().enumerate() {
                let place = format!("subsets[{index}].{list}[{at}].ip");
                addresses::of_address(&place, address.get("ip").str_or_empty(), warnings);
            }
        }
    }
}

fn endpoint_slice(object: &Object, warnings: &mut Vec<String>) {
    let fqdn = object.object.get("addressType").is_str("FQDN");
    if fqdn && object.created {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".into());
    }
    let managers = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
    if is_managed(object, "endpointslice.kubernetes.io/managed-by", &managers) {
        return;
    }
    for (index, endpoint) in object.object.get("endpoints").iter().enumerate() {
        for (at, address) in endpoint.get("addresses").iter().enumerate() {
            addresses::of_address(&format!("endpoints[{index}].addresses[{at}]"), address.str_or_empty(), warnings);
        }
    }
}

fn network_policy(spec: ValueRef, warnings: &mut Vec<String>) {
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in spec.get(direction).iter().enumerate() {
            for (at, peer) in rule.get(peers).iter().enumerate() {
                let (block, place) = (peer.get("ipBlock"), format!("spec.{direction}[{index}].{peers}[{at}].ipBlock"));
                addresses::of_range(&format!("{place}.cidr"), block.get("cidr").str_or_empty(), warnings);
                for (number, except) in block.get("except").iter().enumerate() {
                    addresses::of_range(&format!("{place}.except[{number}]"), except.str_or_empty(), warnings);
                }
            }
        }
    }
}

fn service(object: &Object, warnings: &mut Vec<String>) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    let spec = object.spec();
    let external = spec.get("type").is_str("ExternalName");
    let headless = spec.get("type").is_str("ClusterIP") && spec.get("clusterIP").is_str("None");
    let addressed = !spec.get("externalIPs").is_empty();
    if !object.annotations().get(HINTS).is_none() {
        warnings
            .push(format!("annotation {HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"));
    }
    let each = |list: &str, warnings: &mut Vec<String>, of: fn(&str, &str, &mut Vec<String>)| {
        for (at, text) in spec.get(list).iter().enumerate() {
            of(&format!("spec.{list}[{at}]"), text.str_or_empty(), warnings);
        }
    };
    each("clusterIPs", warnings, addresses::of_address);
    each("externalIPs", warnings, addresses::of_address);
    each("loadBalancerSourceRanges", warnings, addresses::of_range);
    let balancer = spec.get("loadBalancerIP").str_or_empty();
    if !balancer.is_empty() {
        addresses::of_address("spec.loadBalancerIP", balancer, warnings);
    }
    let mut warn = |text: &str| warnings.push(text.to_owned());
    if headless {
        if !balancer.is_empty() {
            warn("spec.loadBalancerIP is ignored for headless services");
        }
        if addressed {
            warn("spec.externalIPs is ignored for headless services");
        }
        if spec.get("sessionAffinity").is_str("ClientIP") {
            warn("spec.SessionAffinity is ignored for headless services");
        }
    } else if external && addressed {
        warn("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    } else if addressed {
        warn("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
    }
    if !external && !spec.get("externalName").str_or_empty().is_empty() {
        warn("spec.externalName is ignored when spec.type is not \"ExternalName\"");
    }
    if spec.get("trafficDistribution").is_str("PreferClose") {
        warn("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
    }
}

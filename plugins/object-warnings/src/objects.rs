//! Everything but what pods are made of.

use portcullis_sdk::ValueRef;

use crate::Object;

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

pub(crate) fn of(resource: &str, object: &Object, warnings: &mut Vec<String>) {
    let mut warn = |text: String| warnings.push(text);
    let annotated = |key: &str| !object.annotations.get(key).is_none();
    let spec = object.spec;
    match resource {
        "jobs" | "cronjobs" | "replicasets" | "replicationcontrollers" if object.created => {
            if let Some(wrong) = dns_label(object.name) {
                warn(format!(
                    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS \
                     label is recommended: {wrong}"
                ));
            }
        }
        "statefulsets" => {
            if spec.get("revisionHistoryLimit").as_i64().is_some_and(|limit| limit < 0) {
                warn(
                    "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is \
                     recommended"
                        .into(),
                );
            }
        }
        "endpointslices" if object.address_type == "FQDN" => {
            warn("spec.addressType: FQDN endpoints are deprecated".into());
        }
        "ingresses" if object.created && annotated("kubernetes.io/ingress.class") => {
            warn(
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
                    .into(),
            );
        }
        "serviceaccounts" if annotated("kubernetes.io/enforce-mountable-secrets") => warn(
            "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate \
             namespaces to isolate access to mounted secrets"
                .into(),
        ),
        "persistentvolumeclaims" => claim("spec", object, warnings),
        "persistentvolumes" => volume(object, warnings),
        "services" => service(spec, warnings),
        _ => {}
    }
}

fn beta_class(object: &Object, warnings: &mut Vec<String>) {
    if !object.annotations.get(BETA_CLASS).is_none() {
        warnings.push(format!(
            "metadata.annotations[{BETA_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ));
    }
}

fn claim(path: &str, object: &Object, warnings: &mut Vec<String>) {
    beta_class(object, warnings);
    claim_spec(path, object.spec, warnings);
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
    beta_class(object, warnings);
    const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
    if !object.annotations.get(MOUNT_OPTIONS).is_none() {
        warnings.push(format!(
            "metadata.annotations[{MOUNT_OPTIONS}]: deprecated since v1.31; use \"mountOptions\" attribute instead"
        ));
    }
    if object.spec.get("persistentVolumeReclaimPolicy").is_str("Recycle") {
        warnings.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .into(),
        );
    }
}

fn service(spec: ValueRef, warnings: &mut Vec<String>) {
    let external = spec.get("type").is_str("ExternalName");
    let addresses = !spec.get("externalIPs").is_empty();
    if spec.get("clusterIP").is_str("None") {
        if !spec.get("loadBalancerIP").str_or_empty().is_empty() {
            warnings.push("spec.loadBalancerIP is ignored for headless services".into());
        }
        if addresses {
            warnings.push("spec.externalIPs is ignored for headless services".into());
        }
        if spec.get("sessionAffinity").is_str("ClientIP") {
            warnings.push("spec.SessionAffinity is ignored for headless services".into());
        }
    }
    if external && addresses {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    } else if addresses {
        warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".into());
    }
    if !external && !spec.get("externalName").str_or_empty().is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if spec.get("trafficDistribution").is_str("PreferClose") {
        warnings.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
}

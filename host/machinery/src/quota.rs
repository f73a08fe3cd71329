//! What objects count for against a ResourceQuota (API reference, "Resource Quotas"): which of a quota's limits an object
//! touches, how much of each it takes, and which scopes it is in. The server's admission charges quotas by this, and the
//! controller that corrects them counts by it.

mod pod;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::object;
use crate::quantity::{Format, Quantity};
use crate::status::group_resource;

/// Amounts by the names that quotas have for them.
pub type Amounts = BTreeMap<String, Quantity>;

const CLAIMS_SUFFIX: &str = ".storageclass.storage.k8s.io/persistentvolumeclaims";
const STORAGE_SUFFIX: &str = ".storageclass.storage.k8s.io/requests.storage";
/// What follows a device class in the name of how many devices of it claims may ask for.
const DEVICES_SUFFIX: &str = ".deviceclass.resource.k8s.io/devices";
/// How many devices a request for all of them may get, at most.
const MOST_DEVICES: i64 = 32;

/// Resources that are counted under their plain name too.
const PLAIN: [&str; 6] =
    ["configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "secrets", "services"];

fn count(number: i64) -> Quantity {
    Quantity::new(number, Format::DecimalSi)
}

/// The amounts in an object such as `spec.hard`; what is no quantity is left out.
pub fn amounts(value: Option<&Value>) -> Amounts {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, amount)| Some((name.clone(), Quantity::from_json(amount).ok()?))).collect()
}

/// Amounts as the API writes them.
pub fn to_value(amounts: &Amounts) -> Value {
    amounts.iter().map(|(name, amount)| (name.clone(), Value::from(amount.canonical()))).collect()
}

/// How much of what an object takes.
pub fn usage(group: &str, resource: &str, object: &Value) -> Amounts {
    let mut usage = Amounts::new();
    usage.insert(format!("count/{}", group_resource(group, resource)), count(1));
    if group.is_empty() && PLAIN.contains(&resource) {
        usage.insert(resource.to_owned(), count(1));
    }
    match (group, resource) {
        ("", "pods") => pod::usage(object, &mut usage),
        ("", "services") => service(object, &mut usage),
        ("", "persistentvolumeclaims") => claim(object, &mut usage),
        ("resource.k8s.io", "resourceclaims") => device_claim(object, &mut usage),
        _ => {}
    }
    usage
}

fn service(service: &Value, usage: &mut Amounts) {
    let ports = object::list_at(service, &["spec", "ports"]);
    let kind = object::str_at(service, &["spec", "type"]).unwrap_or_default();
    let without = object::get_at(service, &["spec", "allocateLoadBalancerNodePorts"]) == Some(&Value::Bool(false));
    let node_ports = match kind {
        "NodePort" => ports.len(),
        "LoadBalancer" if without => ports.iter().filter(|port| object::i64_at(port, &["nodePort"]).is_some()).count(),
        "LoadBalancer" => ports.len(),
        _ => 0,
    };
    usage.insert("services.nodeports".into(), count(i64::try_from(node_ports).unwrap_or(i64::MAX)));
    usage.insert("services.loadbalancers".into(), count(i64::from(kind == "LoadBalancer")));
}

/// Devices by their classes. Of alternatives each class counts with the most that may be had of it.
fn device_claim(claim: &Value, usage: &mut Amounts) {
    let ask = |request: &Value| {
        let all = object::str_at(request, &["allocationMode"]) == Some("All");
        let number = if all { MOST_DEVICES } else { object::i64_at(request, &["count"]).unwrap_or(1) };
        let class = object::str_at(request, &["deviceClassName"]).unwrap_or_default();
        (format!("{class}{DEVICES_SUFFIX}"), count(number))
    };
    for request in object::list_at(claim, &["spec", "devices", "requests"]) {
        let mut most = Amounts::new();
        let exactly = request.get("exactly").into_iter();
        for (name, amount) in exactly.chain(object::list_at(request, &["firstAvailable"])).map(ask) {
            let known = most.entry(name).or_insert(amount);
            *known = (*known).max(amount);
        }
        for (name, amount) in most {
            let sum = usage.entry(name).or_insert_with(|| count(0));
            *sum = sum.add(&amount);
        }
    }
}

fn claim(claim: &Value, usage: &mut Amounts) {
    let class = object::annotation(claim, "volume.beta.kubernetes.io/storage-class")
        .or_else(|| object::str_at(claim, &["spec", "storageClassName"]))
        .unwrap_or_default();
    if !class.is_empty() {
        usage.insert(format!("{class}{CLAIMS_SUFFIX}"), count(1));
    }
    let asked = object::get_at(claim, &["spec", "resources", "requests", "storage"]);
    if let Some(storage) = asked.and_then(|storage| Quantity::from_json(storage).ok()) {
        usage.insert("requests.storage".into(), storage);
        if !class.is_empty() {
            usage.insert(format!("{class}{STORAGE_SUFFIX}"), storage);
        }
    }
}

/// What a pod's containers ask for (`requests`) or are limited to (`limits`) together.
pub fn pod_total(pod: &Value, what: &str) -> Amounts {
    pod::total(pod, what)
}

/// Whether a limit of that name is about the resource at all.
pub fn concerns(group: &str, resource: &str, name: &str) -> bool {
    if name == format!("count/{}", group_resource(group, resource)) {
        return true;
    }
    match (group, resource) {
        ("", "pods") => pod::concerns(name),
        ("", "services") => matches!(name, "services" | "services.nodeports" | "services.loadbalancers"),
        ("", "persistentvolumeclaims") => {
            matches!(name, "persistentvolumeclaims" | "requests.storage")
                || name.ends_with(CLAIMS_SUFFIX)
                || name.ends_with(STORAGE_SUFFIX)
        }
        ("resource.k8s.io", "resourceclaims") => name.ends_with(DEVICES_SUFFIX),
        ("", plain) => PLAIN.contains(&plain) && name == plain,
        _ => false,
    }
}

/// What an object has to say of itself so that limits of these names can be kept; the text is for the client.
///
/// # Errors
/// `must specify requests.cpu for: c`.
pub fn constraints(group: &str, resource: &str, names: &BTreeSet<String>, object: &Value) -> Result<(), String> {
    if (group, resource) == ("", "pods") { pod::constraints(names, object) } else { Ok(()) }
}

/// Whether a pod has a deadline, and so is in the scope `Terminating`.
pub fn is_terminating(pod: &Value) -> bool {
    pod::is_terminating(pod)
}

/// Whether the object is in all of a quota's scopes (`spec.scopes` and `spec.scopeSelector`).
pub fn in_scope(quota_spec: &Value, group: &str, resource: &str, object: &Value) -> bool {
    let scopes = object::list_at(quota_spec, &["scopes"]).iter().filter_map(Value::as_str);
    let selected = object::list_at(quota_spec, &["scopeSelector", "matchExpressions"]);
    let is_pod = (group, resource) == ("", "pods");
    let plain = |scope: &str| is_pod && pod::in_scope(scope, "Exists", &[], object);
    let selects = |term: &Value| {
        let text = |key: &str| object::str_at(term, &[key]).unwrap_or_default().to_owned();
        let values: Vec<&str> = object::list_at(term, &["values"]).iter().filter_map(Value::as_str).collect();
        match text("scopeName").as_str() {
            "VolumeAttributesClass" => {
                let class = object::str_at(object, &["spec", "volumeAttributesClassName"]);
                (group, resource) == ("", "persistentvolumeclaims") && compares(&text("operator"), &values, class)
            }
            scope => is_pod && pod::in_scope(scope, &text("operator"), &values, object),
        }
    };
    scopes.map(plain).all(|fits| fits) && selected.iter().all(selects)
}

/// A selector's operator on one value.
fn compares(operator: &str, values: &[&str], found: Option<&str>) -> bool {
    match operator {
        "In" => found.is_some_and(|found| values.contains(&found)),
        "NotIn" => !found.is_some_and(|found| values.contains(&found)),
        "DoesNotExist" => found.is_none_or(str::is_empty),
        _ => found.is_some_and(|found| !found.is_empty()),
    }
}

#[cfg(test)]
mod tests;

//! The downward API: fields of a pod and resources of its containers as text, for variables and for files alike.

use std::fmt::Write as _;
use std::net::IpAddr;

use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;
use portcullis_machinery::quantity::Quantity;

use crate::facts::{Allocatable, PodFacts};

/// Why a field or a resource has no text. The API server refuses such references, so that these are seen only if a pod
/// came another way or the server is newer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The reference is of an API version other than `v1`.
    #[error("unsupported pod version: {0}")]
    Version(String),
    /// There is no such field, or it is not offered.
    #[error("field label not supported: {0}")]
    Field(String),
    /// The resource is not one that can be asked for.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// The reference names a container that the pod has not got.
    #[error("container {0} not found")]
    Container(String),
    /// A quantity cannot be read.
    #[error("resource {resource}: {message}")]
    Quantity {
        /// Which resource or divisor.
        resource: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The text of a `fieldRef`.
///
/// # Errors
/// If the field is not one of those offered.
pub fn field_value(pod: &Value, facts: &PodFacts, reference: &Value) -> Result<String, FieldError> {
    let version = reference.str_at(&["apiVersion"]);
    if !matches!(version, "" | "v1") {
        return Err(FieldError::Version(version.to_owned()));
    }
    let path = reference.str_at(&["fieldPath"]);
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        return match map {
            "metadata.labels" => Ok(pod.label(key).unwrap_or("").to_owned()),
            "metadata.annotations" => Ok(pod.annotation(key).unwrap_or("").to_owned()),
            _ => Err(FieldError::Field(path.to_owned())),
        };
    }
    let pod_ips = pod_ips(pod, facts);
    Ok(match path {
        "metadata.name" => pod.name().to_owned(),
        "metadata.namespace" => pod.namespace().to_owned(),
        "metadata.uid" => pod.uid().to_owned(),
        "metadata.labels" => map_text(pod.at(&["metadata", "labels"])),
        "metadata.annotations" => map_text(pod.at(&["metadata", "annotations"])),
        "spec.nodeName" | "spec.host" => facts.node_name.clone(),
        "spec.serviceAccountName" => pod.str_at(&["spec", "serviceAccountName"]).to_owned(),
        "spec.restartPolicy" => pod.str_at(&["spec", "restartPolicy"]).to_owned(),
        "spec.schedulerName" => pod.str_at(&["spec", "schedulerName"]).to_owned(),
        "status.phase" => pod.str_at(&["status", "phase"]).to_owned(),
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => joined(&facts.host_ips),
        "status.podIP" => first(&pod_ips),
        "status.podIPs" => joined(&pod_ips),
        _ => return Err(FieldError::Field(path.to_owned())),
    })
}

/// The pod's addresses: the host's own for a pod on the host's network.
fn pod_ips(pod: &Value, facts: &PodFacts) -> Vec<IpAddr> {
    if facts.pod_ips.is_empty() && pod.bool_at(&["spec", "hostNetwork"]) {
        facts.host_ips.clone()
    } else {
        facts.pod_ips.clone()
    }
}

fn first(ips: &[IpAddr]) -> String {
    ips.first().map(ToString::to_string).unwrap_or_default()
}

fn joined(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Labels or annotations as lines of `key="value"`, sorted, the values quoted as Go quotes strings.
fn map_text(map: Option<&Value>) -> String {
    let Some(Value::Object(map)) = map else { return String::new() };
    let mut pairs: Vec<(&String, &str)> =
        map.iter().map(|(key, value)| (key, value.as_str().unwrap_or_default())).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(key, value)| format!("{key}={}", go_quote(value))).collect::<Vec<_>>().join("\n")
}

/// A string as Go's `%q` writes it.
pub(crate) fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            control if (control as u32) < 0x20 || control as u32 == 0x7f => {
                let _ = write!(quoted, "\\x{:02x}", control as u32);
            }
            control if control.is_control() || (control.is_whitespace() && control != ' ') => {
                let _ = write!(quoted, "\\u{:04x}", control as u32);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The text of a `resourceFieldRef`: a limit or request of a container in units of the divisor, rounded up. A limit that
/// is not set is the pod's, or else what the node can give. `own` is the container that the reference stands in, if it
/// stands in one.
///
/// # Errors
/// If there is no such container or resource, or a quantity cannot be read.
pub fn resource_value(
    pod: &Value,
    own: Option<&Value>,
    allocatable: &Allocatable,
    reference: &Value,
) -> Result<String, FieldError> {
    let named = reference.str_at(&["containerName"]);
    let container = match (named, own) {
        ("", Some(own)) => own,
        _ => container(pod, named).ok_or_else(|| FieldError::Container(named.to_owned()))?,
    };
    let resource = reference.str_at(&["resource"]);
    let unknown = || FieldError::Resource(resource.to_owned());
    let (list, name) = resource.split_once('.').ok_or_else(unknown)?;
    let known = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !matches!(list, "limits" | "requests") || !known {
        return Err(unknown());
    }
    let read = |value: &Value, what: &str| {
        Quantity::from_json(value)
            .map_err(|error| FieldError::Quantity { resource: what.to_owned(), message: error.to_string() })
    };
    // CPU counts in thousandths, so that a divisor of 1m can tell them apart; everything else in whole units.
    let amount = |quantity: &Quantity| if name == "cpu" { quantity.milli_value() } else { quantity.value() };
    let divisor = match reference.get("divisor").filter(|divisor| !divisor.is_null()) {
        Some(given) => read(given, "divisor")?,
        None => Quantity::new(0, portcullis_machinery::quantity::Format::DecimalSi),
    };
    let divisor = if divisor.is_zero() { if name == "cpu" { 1000 } else { 1 } } else { amount(&divisor) };
    let set = |holder: &Value, list: &str| -> Result<Option<i64>, FieldError> {
        let Some(found) = holder.at(&["resources", list, name]) else { return Ok(None) };
        Ok(Some(amount(&read(found, resource)?)).filter(|amount| *amount != 0))
    };
    let mut value = set(container, list)?;
    if value.is_none() && list == "limits" {
        let of_pod = pod.get("spec").map_or(Ok(None), |spec| set(spec, list))?;
        value = of_pod.or(match name {
            "cpu" => Some(allocatable.cpu_millis),
            "memory" => Some(allocatable.memory_bytes),
            "ephemeral-storage" => Some(allocatable.ephemeral_storage_bytes),
            _ => None,
        });
    }
    Ok(divided_up(value.unwrap_or(0), divisor).to_string())
}

fn divided_up(value: i64, divisor: i64) -> i64 {
    // A divisor below the resource's unit (1m of memory) counts as one unit.
    let divisor = divisor.max(1);
    value / divisor + i64::from(value % divisor > 0)
}

/// A container of the pod, wherever it is listed.
pub(crate) fn container<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| pod.list_at(&["spec", list]))
        .find(|container| container.str_at(&["name"]) == name)
}

#[cfg(test)]
mod tests;

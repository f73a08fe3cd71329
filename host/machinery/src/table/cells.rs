//! The cells of the built-in kinds.

use super::age::{age, human_duration};
use super::{pod, specs};
use crate::object::{
    annotation, bool_at, controller_of, deletion_timestamp, get_at, i64_at, labels, list_at, name, str_at,
};
use crate::quantity::Quantity;
use crate::selector::LabelSelector;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const NONE: &str = "<none>";
const UNSET: &str = "<unset>";

/// One for each column of the kind, in their order.
pub(super) fn cells(group: &str, kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let Some(spec) = specs::spec(group, kind) else {
        let created = str_at(object, &["metadata", "creationTimestamp"]).unwrap_or_default();
        return vec![name(object).into(), created.into()];
    };
    if kind == "Pod" {
        return pod::cells(object, now);
    }
    let cell = |column: &str| cell(kind, column.trim_end_matches('*').split(':').next().unwrap_or(""), object, now);
    spec.split(',').map(cell).collect()
}

fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    str_at(object, path).unwrap_or_default()
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

fn number(object: &Value, path: &[&str]) -> i64 {
    i64_at(object, path).unwrap_or(0)
}

fn names(list: &[Value], field: &str) -> String {
    list.iter().map(|item| text(item, &[field])).collect::<Vec<_>>().join(",")
}

fn joined(list: &[Value]) -> String {
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

fn entries(object: &Value, path: &[&str]) -> usize {
    get_at(object, path).and_then(Value::as_object).map_or(0, Map::len)
}

fn map_text(map: Option<&Value>) -> String {
    let map = map.and_then(Value::as_object);
    let pairs: Vec<String> =
        map.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    or(&pairs.join(","), NONE).to_owned()
}

fn selector_text(selector: Option<&Value>) -> String {
    match LabelSelector::from_object(selector) {
        Ok(selector) => or(&selector.to_string(), NONE).to_owned(),
        Err(_) => "<error>".to_owned(),
    }
}

fn quantity(value: Option<&Value>) -> String {
    value.and_then(|value| Quantity::from_json(value).ok()).unwrap_or_default().to_string()
}

fn int_or_string(value: Option<&Value>, default: &str) -> String {
    match value {
        None | Some(Value::Null) => default.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// At most `max` of a list, and how many more there are.
fn shortened(list: &[String], max: usize) -> String {
    match list.len().checked_sub(max) {
        Some(more) if more > 0 => format!("{} + {more} more...", list[..max].join(",")),
        _ => list.join(","),
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let conditions = list_at(object, &["status", "conditions"]);
    conditions.iter().find(|condition| text(condition, &["type"]) == name).map(|condition| text(condition, &["status"]))
}

/// The pod template's containers, wherever the kind has its template.
fn containers<'a>(kind: &str, object: &'a Value) -> &'a [Value] {
    match kind {
        "PodTemplate" => list_at(object, &["template", "spec", "containers"]),
        "CronJob" => list_at(object, &["spec", "jobTemplate", "spec", "template", "spec", "containers"]),
        _ => list_at(object, &["spec", "template", "spec", "containers"]),
    }
}

fn cell(kind: &str, column: &str, o: &Value, now: Timestamp) -> Value {
    let spec = |field: &str| text(o, &["spec", field]);
    match (kind, column) {
        ("StorageClass" | "IngressClass", "Name") => {
            let key = match kind {
                "IngressClass" => "ingressclass.kubernetes.io/is-default-class",
                _ => "storageclass.kubernetes.io/is-default-class",
            };
            let default = annotation(o, key) == Some("true");
            format!("{}{}", name(o), if default { " (default)" } else { "" }).into()
        }
        (_, "Name") => name(o).into(),
        (_, "Age") => age(str_at(o, &["metadata", "creationTimestamp"]), now).into(),
        (_, "Containers") => names(containers(kind, o), "name").into(),
        (_, "Images") => names(containers(kind, o), "image").into(),
        ("PodTemplate", "Pod Labels") => map_text(get_at(o, &["template", "metadata", "labels"])).into(),
        ("Service" | "ReplicationController", "Selector") => map_text(get_at(o, &["spec", "selector"])).into(),
        ("CronJob", "Selector") => selector_text(get_at(o, &["spec", "jobTemplate", "spec", "selector"])).into(),
        ("Deployment", "Selector") => {
            let selector = LabelSelector::from_object(get_at(o, &["spec", "selector"]));
            selector.map_or("<invalid>".to_owned(), |selector| selector.to_string()).into()
        }
        (_, "Selector") => selector_text(get_at(o, &["spec", "selector"])).into(),
        ("PodDisruptionBudget", "Min Available") => int_or_string(get_at(o, &["spec", "minAvailable"]), "N/A").into(),
        ("PodDisruptionBudget", "Max Unavailable") => {
            int_or_string(get_at(o, &["spec", "maxUnavailable"]), "N/A").into()
        }
        ("PodDisruptionBudget", _) => number(o, &["status", "disruptionsAllowed"]).into(),
        ("Deployment" | "StatefulSet", "Ready") => {
            let wanted = i64_at(o, &["spec", "replicas"]).unwrap_or(1);
            format!("{}/{wanted}", number(o, &["status", "readyReplicas"])).into()
        }
        ("Deployment", "Up-to-date") => number(o, &["status", "updatedReplicas"]).into(),
        ("Deployment", _) => number(o, &["status", "availableReplicas"]).into(),
        ("ReplicaSet" | "ReplicationController", "Desired") => i64_at(o, &["spec", "replicas"]).unwrap_or(1).into(),
        ("Scale", "Desired") => number(o, &["spec", "replicas"]).into(),
        ("Scale", _) => number(o, &["status", "replicas"]).into(),
        ("ReplicaSet" | "ReplicationController", "Current") => number(o, &["status", "replicas"]).into(),
        ("ReplicaSet" | "ReplicationController", _) => number(o, &["status", "readyReplicas"]).into(),
        ("DaemonSet", "Desired") => number(o, &["status", "desiredNumberScheduled"]).into(),
        ("DaemonSet", "Current") => number(o, &["status", "currentNumberScheduled"]).into(),
        ("DaemonSet", "Ready") => number(o, &["status", "numberReady"]).into(),
        ("DaemonSet", "Up-to-date") => number(o, &["status", "updatedNumberScheduled"]).into(),
        ("DaemonSet", "Available") => number(o, &["status", "numberAvailable"]).into(),
        ("DaemonSet", _) => map_text(get_at(o, &["spec", "template", "spec", "nodeSelector"])).into(),
        ("Job", column) => job(column, o, now),
        ("CronJob", "Schedule") => spec("schedule").into(),
        ("CronJob", "Timezone") => or(spec("timeZone"), NONE).into(),
        ("CronJob", "Suspend") => match get_at(o, &["spec", "suspend"]).and_then(Value::as_bool) {
            None => UNSET.into(),
            Some(value) => if value { "True" } else { "False" }.into(),
        },
        ("CronJob", "Active") => list_at(o, &["status", "active"]).len().into(),
        ("CronJob", _) => match str_at(o, &["status", "lastScheduleTime"]) {
            None => NONE.into(),
            since => age(since, now).into(),
        },
        ("Service", column) => service(column, o),
        ("Ingress", column) => ingress(column, o),
        ("IngressClass", "Controller") => spec("controller").into(),
        ("IngressClass", _) => match get_at(o, &["spec", "parameters"]) {
            None => NONE.into(),
            Some(parameters) => {
                let group = str_at(parameters, &["apiGroup"]).map(|group| format!(".{group}")).unwrap_or_default();
                format!("{}{group}/{}", text(parameters, &["kind"]), text(parameters, &["name"])).into()
            }
        },
        ("Endpoints", _) => endpoints(o).into(),
        ("Node", column) => node(column, o),
        ("Event", column) => event(column, o, now),
        ("Namespace", _) => text(o, &["status", "phase"]).into(),
        ("Secret", "Type") => text(o, &["type"]).into(),
        ("Secret", _) => entries(o, &["data"]).into(),
        ("ConfigMap", _) => (entries(o, &["data"]) + entries(o, &["binaryData"])).into(),
        ("PersistentVolume" | "PersistentVolumeClaim", column) => volume(kind, column, o),
        ("HorizontalPodAutoscaler", column) => autoscaler(column, o),
        ("NetworkPolicy", _) => selector_text(Some(get_at(o, &["spec", "podSelector"]).unwrap_or(&json!({})))).into(),
        ("RoleBinding" | "ClusterRoleBinding", "Role") => {
            format!("{}/{}", text(o, &["roleRef", "kind"]), text(o, &["roleRef", "name"])).into()
        }
        ("RoleBinding" | "ClusterRoleBinding", column) => {
            let subjects =
                list_at(o, &["subjects"]).iter().filter(|s| text(s, &["kind"]) == column.trim_end_matches('s'));
            let subject = |s: &Value| match column {
                "ServiceAccounts" => format!("{}/{}", text(s, &["namespace"]), text(s, &["name"])),
                _ => text(s, &["name"]).to_owned(),
            };
            subjects.map(subject).collect::<Vec<_>>().join(", ").into()
        }
        ("CertificateSigningRequest", "SignerName") => or(spec("signerName"), NONE).into(),
        ("CertificateSigningRequest", "Requestor") => spec("username").into(),
        ("CertificateSigningRequest", "RequestedDuration") => {
            i64_at(o, &["spec", "expirationSeconds"]).map_or(NONE.to_owned(), human_duration).into()
        }
        ("CertificateSigningRequest", _) => {
            let has = |name: &str| condition(o, name).is_some();
            let mut state = match (has("Approved"), has("Denied")) {
                (_, true) => "Denied".to_owned(),
                (true, _) => "Approved".to_owned(),
                _ => "Pending".to_owned(),
            };
            if has("Failed") {
                state.push_str(",Failed");
            }
            if !text(o, &["status", "certificate"]).is_empty() {
                state.push_str(",Issued");
            }
            state.into()
        }
        ("Lease", _) => spec("holderIdentity").into(),
        ("StorageClass", "Provisioner") => text(o, &["provisioner"]).into(),
        ("StorageClass", "ReclaimPolicy") => or(text(o, &["reclaimPolicy"]), "Delete").into(),
        ("StorageClass", "VolumeBindingMode") => or(text(o, &["volumeBindingMode"]), "Immediate").into(),
        ("StorageClass", _) => bool_at(o, &["allowVolumeExpansion"]).into(),
        ("VolumeAttributesClass", _) => text(o, &["driverName"]).into(),
        ("ControllerRevision", "Controller") => match controller_of(o) {
            None => NONE.into(),
            Some(owner) => {
                let group = text(owner, &["apiVersion"]).split_once('/').map_or("", |(group, _)| group);
                let kind = text(owner, &["kind"]).to_lowercase();
                format!("{}/{}", crate::status::group_resource(group, &kind), text(owner, &["name"])).into()
            }
        },
        ("ControllerRevision", _) => number(o, &["revision"]).into(),
        ("ResourceQuota", column) => quota(column, o),
        ("PriorityClass", "Value") => number(o, &["value"]).into(),
        ("PriorityClass", "Global-Default") => bool_at(o, &["globalDefault"]).into(),
        ("PriorityClass", _) => text(o, &["preemptionPolicy"]).into(),
        ("RuntimeClass", _) => text(o, &["handler"]).into(),
        ("VolumeAttachment", "Attacher") => spec("attacher").into(),
        ("VolumeAttachment", "PV") => text(o, &["spec", "source", "persistentVolumeName"]).into(),
        ("VolumeAttachment", "Node") => spec("nodeName").into(),
        ("VolumeAttachment", _) => bool_at(o, &["status", "attached"]).into(),
        ("EndpointSlice", "AddressType") => text(o, &["addressType"]).into(),
        ("EndpointSlice", "Ports") => {
            let port = |port: &Value| match i64_at(port, &["port"]) {
                Some(number) => number.to_string(),
                None => or(text(port, &["name"]), "*").to_owned(),
            };
            let list: Vec<String> = list_at(o, &["ports"]).iter().map(port).collect();
            if list.is_empty() { UNSET.into() } else { shortened(&list, 3).into() }
        }
        ("EndpointSlice", _) => {
            let addresses = list_at(o, &["endpoints"]).iter().flat_map(|endpoint| list_at(endpoint, &["addresses"]));
            let list: Vec<String> = addresses.filter_map(Value::as_str).map(str::to_owned).collect();
            if list.is_empty() { UNSET.into() } else { shortened(&list, 3).into() }
        }
        ("CSINode", _) => list_at(o, &["spec", "drivers"]).len().into(),
        ("CSIDriver", "AttachRequired") => {
            get_at(o, &["spec", "attachRequired"]).and_then(Value::as_bool).unwrap_or(true).into()
        }
        ("CSIDriver", "TokenRequests") => match get_at(o, &["spec", "tokenRequests"]) {
            None | Some(Value::Null) => UNSET.into(),
            Some(_) => names(list_at(o, &["spec", "tokenRequests"]), "audience").into(),
        },
        ("CSIDriver", "Modes") => or(&joined(list_at(o, &["spec", "volumeLifecycleModes"])), NONE).into(),
        ("CSIDriver", "PodInfoOnMount") => bool_at(o, &["spec", "podInfoOnMount"]).into(),
        ("CSIDriver", "StorageCapacity") => bool_at(o, &["spec", "storageCapacity"]).into(),
        ("CSIDriver", _) => bool_at(o, &["spec", "requiresRepublish"]).into(),
        (_, "Webhooks") => list_at(o, &["webhooks"]).len().into(),
        (_, "Validations") => list_at(o, &["spec", "validations"]).len().into(),
        (_, "Mutations") => list_at(o, &["spec", "mutations"]).len().into(),
        (_, "ParamKind") => match get_at(o, &["spec", "paramKind"]) {
            None | Some(Value::Null) => UNSET.into(),
            Some(kind) => format!("{}/{}", text(kind, &["apiVersion"]), text(kind, &["kind"])).into(),
        },
        (_, "PolicyName") => spec("policyName").into(),
        (_, "ParamRef") => match get_at(o, &["spec", "paramRef"]) {
            Some(param) if !text(param, &["name"]).is_empty() => {
                format!("{}/{}", or(text(param, &["namespace"]), "*"), text(param, &["name"])).into()
            }
            Some(param) => selector_text(get_at(param, &["selector"])).into(),
            None => UNSET.into(),
        },
        ("FlowSchema", "PriorityLevel") => text(o, &["spec", "priorityLevelConfiguration", "name"]).into(),
        ("FlowSchema", "MatchingPrecedence") => number(o, &["spec", "matchingPrecedence"]).into(),
        ("FlowSchema", "DistinguisherMethod") => or(text(o, &["spec", "distinguisherMethod", "type"]), NONE).into(),
        ("FlowSchema", _) => condition(o, "Dangling").unwrap_or("?").into(),
        ("PriorityLevelConfiguration", "Type") => spec("type").into(),
        ("PriorityLevelConfiguration", column) => {
            let path: &[&str] = match column {
                "NominalConcurrencyShares" => &["spec", "limited", "nominalConcurrencyShares"],
                "Queues" => &["spec", "limited", "limitResponse", "queuing", "queues"],
                "HandSize" => &["spec", "limited", "limitResponse", "queuing", "handSize"],
                _ => &["spec", "limited", "limitResponse", "queuing", "queueLengthLimit"],
            };
            i64_at(o, path).map_or(NONE.into(), Value::from)
        }
        ("ResourceClaim", _) => {
            let allocated = get_at(o, &["status", "allocation"]).is_some();
            let states = [
                (deletion_timestamp(o).is_some(), "deleted"),
                (allocated, "allocated"),
                (!list_at(o, &["status", "reservedFor"]).is_empty(), "reserved"),
            ];
            let states: Vec<&str> = states.iter().filter(|state| state.0).map(|state| state.1).collect();
            or(&states.join(","), "pending").into()
        }
        ("ResourceSlice", "Node") => spec("nodeName").into(),
        ("ResourceSlice", "Driver") => spec("driver").into(),
        ("ResourceSlice", _) => text(o, &["spec", "pool", "name"]).into(),
        ("ServiceCIDR", _) => joined(list_at(o, &["spec", "cidrs"])).into(),
        ("IPAddress", _) => match get_at(o, &["spec", "parentRef"]) {
            None => NONE.into(),
            Some(parent) => {
                let resource = crate::status::group_resource(text(parent, &["group"]), text(parent, &["resource"]));
                let namespace = text(parent, &["namespace"]);
                let namespace = if namespace.is_empty() { String::new() } else { format!("/{namespace}") };
                format!("{}{namespace}/{}", resource.to_lowercase(), text(parent, &["name"])).into()
            }
        },
        ("APIService", "Service") => match get_at(o, &["spec", "service"]) {
            None | Some(Value::Null) => "Local".into(),
            Some(service) => format!("{}/{}", text(service, &["namespace"]), text(service, &["name"])).into(),
        },
        ("APIService", _) => {
            let conditions = list_at(o, &["status", "conditions"]);
            match conditions.iter().find(|condition| text(condition, &["type"]) == "Available") {
                None => "Unknown".into(),
                Some(found) if text(found, &["status"]) == "True" => "True".into(),
                Some(found) => format!("{} ({})", text(found, &["status"]), text(found, &["reason"])).into(),
            }
        }
        ("Plugin", "Stage") => spec("stage").into(),
        ("Plugin", "Ready") => condition(o, "Ready").unwrap_or("Unknown").into(),
        ("Plugin", "Loaded") => condition(o, "Loaded").unwrap_or("Unknown").into(),
        ("Plugin", "Mode") => or(text(o, &["spec", "mode"]), "Enforce").into(),
        ("Plugin", "Order") => number(o, &["spec", "order"]).into(),
        ("Plugin", "Calls") => number(o, &["status", "calls"]).into(),
        ("Plugin", "Errors") => number(o, &["status", "errors"]).into(),
        ("Plugin", "P99") => match number(o, &["status", "p99Micros"]) {
            0 => NONE.into(),
            micros @ 1..10_000 => format!("{micros}µs").into(),
            micros => format!("{}ms", micros / 1000).into(),
        },
        ("Plugin", _) => text(o, &["status", "activeDigest"]).into(),
        ("Module", "Stage") => or(text(o, &["status", "stage"]), NONE).into(),
        ("Module", "Size") => match number(o, &["spec", "size"]) {
            bytes @ ..10_240 => bytes.to_string().into(),
            bytes @ ..10_485_760 => format!("{}Ki", bytes / 1024).into(),
            bytes => format!("{}Mi", bytes / (1024 * 1024)).into(),
        },
        ("Module", _) => or(&joined(list_at(o, &["status", "imports"])), NONE).into(),
        ("ComponentStatus", column) => {
            let healthy = list_at(o, &["conditions"]).iter().find(|condition| text(condition, &["type"]) == "Healthy");
            let field = match column {
                "Status" => {
                    let healthy = healthy.is_some_and(|condition| text(condition, &["status"]) == "True");
                    return if healthy { "Healthy" } else { "Unhealthy" }.into();
                }
                "Message" => "message",
                _ => "error",
            };
            healthy.map_or("", |condition| text(condition, &[field])).into()
        }
        _ => Value::Null,
    }
}

fn job(column: &str, o: &Value, now: Timestamp) -> Value {
    let succeeded = number(o, &["status", "succeeded"]);
    match column {
        "Status" => {
            let has = |name: &&str| condition(o, name) == Some("True");
            let first = ["Complete", "Failed"].into_iter().find(has);
            let deleted = deletion_timestamp(o).map(|_| "Terminating");
            let rest = || {
                let order = [
                    ("Suspended", "Suspended"),
                    ("FailureTarget", "FailureTarget"),
                    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
                ];
                order.into_iter().find(|(name, _)| has(name)).map(|(_, text)| text)
            };
            first.or(deleted).or_else(rest).unwrap_or("Running").into()
        }
        "Completions" => match (i64_at(o, &["spec", "completions"]), number(o, &["spec", "parallelism"])) {
            (Some(wanted), _) => format!("{succeeded}/{wanted}").into(),
            (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}").into(),
            _ => format!("{succeeded}/1").into(),
        },
        _ => {
            let time = |field: &str| str_at(o, &["status", field]).and_then(|text| text.parse::<Timestamp>().ok());
            let end = time("completionTime").unwrap_or(now);
            time("startTime").map_or(String::new(), |start| human_duration(end.as_second() - start.as_second())).into()
        }
    }
}

fn service(column: &str, o: &Value) -> Value {
    match column {
        "Type" => text(o, &["spec", "type"]).into(),
        "Cluster-IP" => match list_at(o, &["spec", "clusterIPs"]).first() {
            Some(first) => first.clone(),
            None => or(text(o, &["spec", "clusterIP"]), NONE).into(),
        },
        "External-IP" => {
            let external = list_at(o, &["spec", "externalIPs"]).iter().filter_map(Value::as_str).map(str::to_owned);
            let list: Vec<String> = match text(o, &["spec", "type"]) {
                "ExternalName" => return text(o, &["spec", "externalName"]).into(),
                "LoadBalancer" => load_balancer(o).into_iter().chain(external).collect(),
                _ => external.collect(),
            };
            let none = if text(o, &["spec", "type"]) == "LoadBalancer" { "<pending>" } else { NONE };
            or(&list.join(","), none).into()
        }
        _ => {
            let port = |port: &Value| {
                let (number, protocol) = (i64_at(port, &["port"]).unwrap_or(0), text(port, &["protocol"]));
                match i64_at(port, &["nodePort"]).unwrap_or(0) {
                    0 => format!("{number}/{protocol}"),
                    node => format!("{number}:{node}/{protocol}"),
                }
            };
            or(&list_at(o, &["spec", "ports"]).iter().map(port).collect::<Vec<_>>().join(","), NONE).into()
        }
    }
}

fn load_balancer(o: &Value) -> BTreeSet<String> {
    let ingress = list_at(o, &["status", "loadBalancer", "ingress"]).iter();
    ingress.map(|i| or(text(i, &["ip"]), text(i, &["hostname"])).to_owned()).filter(|text| !text.is_empty()).collect()
}

fn ingress(column: &str, o: &Value) -> Value {
    match column {
        "Class" => or(text(o, &["spec", "ingressClassName"]), NONE).into(),
        "Hosts" => {
            let rules = list_at(o, &["spec", "rules"]);
            let hosts: Vec<&str> =
                rules.iter().map(|rule| text(rule, &["host"])).filter(|host| !host.is_empty()).collect();
            match hosts.len() {
                0 => "*".into(),
                1..=3 => hosts.join(",").into(),
                _ => format!("{} + {} more...", hosts[..3].join(","), rules.len() - 3).into(),
            }
        }
        "Address" => load_balancer(o).into_iter().collect::<Vec<_>>().join(",").into(),
        _ => if list_at(o, &["spec", "tls"]).is_empty() { "80" } else { "80, 443" }.into(),
    }
}

fn endpoints(o: &Value) -> String {
    let subsets = list_at(o, &["subsets"]);
    let mut list = Vec::new();
    for subset in subsets {
        let (addresses, ports) = (list_at(subset, &["addresses"]), list_at(subset, &["ports"]));
        let host = |address: &Value, port: Option<i64>| match (text(address, &["ip"]), port) {
            (ip, None) => ip.to_owned(),
            (ip, Some(port)) if ip.contains(':') => format!("[{ip}]:{port}"),
            (ip, Some(port)) => format!("{ip}:{port}"),
        };
        if ports.is_empty() {
            list.extend(addresses.iter().map(|address| host(address, None)));
        }
        for port in ports {
            let port = number(port, &["port"]);
            list.extend(addresses.iter().map(|address| host(address, Some(port))));
        }
    }
    if subsets.is_empty() { NONE.to_owned() } else { shortened(&list, 3) }
}

fn node(column: &str, o: &Value) -> Value {
    let info = |field: &str| text(o, &["status", "nodeInfo", field]);
    let address = |kind: &str| {
        let addresses = list_at(o, &["status", "addresses"]);
        let found = addresses.iter().find(|address| text(address, &["type"]) == kind);
        found.map_or(NONE, |address| text(address, &["address"]))
    };
    match column {
        "Status" => {
            let ready = match condition(o, "Ready") {
                None => "Unknown",
                Some("True") => "Ready",
                Some(_) => "NotReady",
            };
            let off = if bool_at(o, &["spec", "unschedulable"]) { ",SchedulingDisabled" } else { "" };
            format!("{ready}{off}").into()
        }
        "Roles" => {
            let role = |(key, value): (&str, &str)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) if !role.is_empty() => Some(role.to_owned()),
                _ if key == "kubernetes.io/role" && !value.is_empty() => Some(value.to_owned()),
                _ => None,
            };
            let roles: BTreeSet<String> = labels(o).filter_map(role).collect();
            or(&roles.into_iter().collect::<Vec<_>>().join(","), NONE).into()
        }
        "Version" => info("kubeletVersion").into(),
        "Internal-IP" => address("InternalIP").into(),
        "External-IP" => address("ExternalIP").into(),
        "OS-Image" => or(info("osImage"), "<unknown>").into(),
        "Kernel-Version" => {
            let architecture = info("architecture");
            let suffix = if architecture.is_empty() { String::new() } else { format!(" ({architecture})") };
            format!("{}{suffix}", or(info("kernelVersion"), "<unknown>")).into()
        }
        _ => or(info("containerRuntimeVersion"), "<unknown>").into(),
    }
}

/// Events have two shapes: the core group's names, and those of `events.k8s.io`.
fn event(column: &str, o: &Value, now: Timestamp) -> Value {
    let either = |old: &[&str], new: &[&str]| or(text(o, old), text(o, new)).to_owned();
    let object = if o.get("regarding").is_some() { "regarding" } else { "involvedObject" };
    let first = || {
        let first = either(&["firstTimestamp"], &["deprecatedFirstTimestamp"]);
        age(Some(or(&first, text(o, &["eventTime"]))), now)
    };
    match column {
        "Last Seen" => {
            let last = either(&["lastTimestamp"], &["deprecatedLastTimestamp"]);
            match str_at(o, &["series", "lastObservedTime"]) {
                Some(series) => age(Some(series), now).into(),
                None if last.is_empty() => first().into(),
                None => age(Some(&last), now).into(),
            }
        }
        "Type" => text(o, &["type"]).into(),
        "Reason" => text(o, &["reason"]).into(),
        "Object" => {
            let kind = text(o, &[object, "kind"]).to_lowercase();
            match text(o, &[object, "name"]) {
                "" => kind.into(),
                name => format!("{kind}/{name}").into(),
            }
        }
        "Subobject" => text(o, &[object, "fieldPath"]).into(),
        "Source" => {
            let controller = either(&["reportingComponent"], &["reportingController"]);
            let component = either(&["source", "component"], &["deprecatedSource", "component"]);
            let host = either(&["source", "host"], &["deprecatedSource", "host"]);
            let (component, host) = (or(&component, &controller), or(&host, text(o, &["reportingInstance"])));
            if host.is_empty() { component.into() } else { format!("{component}, {host}").into() }
        }
        "Message" => either(&["message"], &["note"]).trim().into(),
        "First Seen" => first().into(),
        _ => {
            let count = i64_at(o, &["series", "count"])
                .or_else(|| i64_at(o, &["count"]))
                .or_else(|| i64_at(o, &["deprecatedCount"]))
                .unwrap_or(0);
            count.max(1).into()
        }
    }
}

fn volume(kind: &str, column: &str, o: &Value) -> Value {
    let claim = kind == "PersistentVolumeClaim";
    let bound = !text(o, &["spec", "volumeName"]).is_empty();
    let modes = |path: &[&str]| {
        let known =
            [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
        let list = list_at(o, path);
        let short = known.iter().filter(|mode| list.iter().any(|item| item == mode.0)).map(|mode| mode.1);
        short.collect::<Vec<_>>().join(",")
    };
    match column {
        "Status" if deletion_timestamp(o).is_some() => "Terminating".into(),
        "Status" => text(o, &["status", "phase"]).into(),
        "Volume" => text(o, &["spec", "volumeName"]).into(),
        "Capacity" if !claim => quantity(get_at(o, &["spec", "capacity", "storage"])).into(),
        "Capacity" if bound => quantity(get_at(o, &["status", "capacity", "storage"])).into(),
        "Access Modes" if !claim => modes(&["spec", "accessModes"]).into(),
        "Access Modes" if bound => modes(&["status", "accessModes"]).into(),
        "Capacity" | "Access Modes" => "".into(),
        "Reclaim Policy" => text(o, &["spec", "persistentVolumeReclaimPolicy"]).into(),
        "Claim" => match get_at(o, &["spec", "claimRef"]) {
            None => "".into(),
            Some(claim) => format!("{}/{}", text(claim, &["namespace"]), text(claim, &["name"])).into(),
        },
        "StorageClass" => match annotation(o, "volume.beta.kubernetes.io/storage-class") {
            Some(class) => class.into(),
            None => text(o, &["spec", "storageClassName"]).into(),
        },
        "VolumeAttributesClass" => str_at(o, &["spec", "volumeAttributesClassName"]).unwrap_or(UNSET).into(),
        "Reason" => text(o, &["status", "reason"]).into(),
        _ => str_at(o, &["spec", "volumeMode"]).unwrap_or(UNSET).into(),
    }
}

fn quota(column: &str, o: &Value) -> Value {
    let Some(hard) = get_at(o, &["status", "hard"]).and_then(Value::as_object) else { return "".into() };
    let used = get_at(o, &["status", "used"]);
    let limits = column == "Limit";
    let line = |(key, hard): (&String, &Value)| {
        format!("{key}: {}/{}", quantity(used.and_then(|used| used.get(key))), quantity(Some(hard)))
    };
    hard.iter().filter(|(key, _)| key.starts_with("limits.") == limits).map(line).collect::<Vec<_>>().join(", ").into()
}

fn autoscaler(column: &str, o: &Value) -> Value {
    match column {
        "Reference" => {
            format!("{}/{}", text(o, &["spec", "scaleTargetRef", "kind"]), text(o, &["spec", "scaleTargetRef", "name"]))
                .into()
        }
        "MinPods" => i64_at(o, &["spec", "minReplicas"]).map_or(UNSET.to_owned(), |n| n.to_string()).into(),
        "MaxPods" => number(o, &["spec", "maxReplicas"]).into(),
        "Replicas" => number(o, &["status", "currentReplicas"]).into(),
        _ => targets(o).into(),
    }
}

/// The metrics of an autoscaler: what is against what should be.
fn targets(o: &Value) -> String {
    if let Some(target) = i64_at(o, &["spec", "targetCPUUtilizationPercentage"]) {
        let current = i64_at(o, &["status", "currentCPUUtilizationPercentage"]);
        return format!("cpu: {}/{target}%", current.map_or("<unknown>".to_owned(), |n| format!("{n}%")));
    }
    let metrics = list_at(o, &["spec", "metrics"]);
    let current = list_at(o, &["status", "currentMetrics"]);
    let metric = |(index, metric): (usize, &Value)| {
        let field = match text(metric, &["type"]) {
            "Resource" => "resource",
            "ContainerResource" => "containerResource",
            "External" => "external",
            "Pods" => "pods",
            "Object" => "object",
            _ => return "<unknown type>".to_owned(),
        };
        let target = |name: &str| get_at(metric, &[field, "target", name]);
        let now = |name: &str| current.get(index).and_then(|status| get_at(status, &[field, "current", name]));
        let amount = |value: Option<&Value>| value.map_or("<unknown>".to_owned(), |value| quantity(Some(value)));
        let percent = |value: Option<&Value>, none: &str| {
            value.and_then(Value::as_i64).map_or(none.to_owned(), |value| format!("{value}%"))
        };
        let resource = field.to_lowercase().contains("resource");
        let prefix = if resource { format!("{}: ", text(metric, &[field, "name"])) } else { String::new() };
        match (target("averageValue"), resource) {
            (Some(value), _) => {
                let suffix = if matches!(field, "external" | "object") { " (avg)" } else { "" };
                format!("{prefix}{}/{}{suffix}", amount(now("averageValue")), quantity(Some(value)))
            }
            (None, true) => {
                let current = percent(now("averageUtilization"), "<unknown>");
                format!("{prefix}{current}/{}", percent(target("averageUtilization"), "<auto>"))
            }
            (None, false) => format!("{}/{}", amount(now("value")), quantity(target("value"))),
        }
    };
    let list: Vec<String> = metrics.iter().enumerate().map(metric).collect();
    match list.len() {
        0 => NONE.to_owned(),
        1 | 2 => list.join(", "),
        more => format!("{} + {} more...", list[..2].join(", "), more - 2),
    }
}

//! Objects that a cluster has from its first start: namespaces, the API's own service, priority classes, the
//! RuntimeClass of Wasm workloads, the APIServices of what is built in, and flow control's mandatory and suggested
//! configuration. Each is made if it is not there; what people changed stays.

use std::net::IpAddr;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use portcullis_machinery::definition::{ResourceDefinition, split_api_version};
use portcullis_machinery::{Status, Value, codec, defaults, object};
use portcullis_storage::{Expect, StoreError};
use serde_json::json;

use crate::aggregation;
use crate::handlers::scope::store_error;
use crate::server::ApiServer;

/// Makes what is not there yet.
///
/// # Errors
/// If the store fails.
pub async fn ensure(server: &Arc<ApiServer>) -> Result<(), Status> {
    let registry = server.registry.load_full();
    let writes = wanted(server).into_iter().filter_map(|object| {
        let (group, version) = split_api_version(object::api_version(&object));
        let definition = registry.kind(group, version, object::kind(&object))?.clone();
        let object = prepared(&definition, object).ok()?;
        let key = definition.key(object::namespace(&object), object::name(&object));
        Some((key, codec::encode(&object)))
    });
    let store = &server.store;
    stream::iter(writes)
        .map(|(key, bytes)| async move {
            match store.put(&key, bytes, Expect::Absent, None).await {
                Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
                Err(error) => Err(store_error(&error)),
            }
        })
        .buffer_unordered(64)
        .try_collect::<()>()
        .await
}

/// A new object as it is stored.
///
/// # Errors
/// If the object is not of its kind.
pub fn prepared(definition: &ResourceDefinition, mut object: Value) -> Result<Value, Status> {
    let conform = |object: &mut Value| codec::conform(object, &definition.schema).map_err(Status::internal);
    conform(&mut object)?;
    defaults::apply_defaults(definition, &mut object);
    object::set_at(&mut object, &["metadata", "uid"], uuid::Uuid::new_v4().to_string());
    object::set_at(&mut object, &["metadata", "creationTimestamp"], object::now_rfc3339());
    if definition.generation {
        object::set_at(&mut object, &["metadata", "generation"], 1);
    }
    conform(&mut object)?;
    Ok(object)
}

fn wanted(server: &ApiServer) -> Vec<Value> {
    let mut objects: Vec<Value> = ["default", "kube-system", "kube-public", "kube-node-lease"]
        .into_iter()
        .map(|name| {
            json!({
                "kind": "Namespace", "apiVersion": "v1",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            })
        })
        .collect();
    objects.extend(priority_classes());
    objects.extend(api_service(server));
    objects.extend(flow_control());
    // The handler of the kubelet's own runtime of WebAssembly components.
    objects.push(json!({
        "kind": "RuntimeClass", "apiVersion": "node.k8s.io/v1", "metadata": {"name": "wasm"}, "handler": "wasm",
    }));
    objects.push(json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": aggregation::trust::data(&server.pki),
    }));
    // Those of what is served from the first moment on; `aggregation` sees to later ones.
    objects.extend(aggregation::local::wanted(&server.registry.load()).into_values().map(|mut object| {
        object["status"] = json!({"conditions": [{
            "type": "Available", "status": "True", "reason": "Local", "lastTransitionTime": object::now_rfc3339(),
            "message": "Local APIServices are always available",
        }]});
        object
    }));
    // From when on the use of ServiceAccount tokens kept in Secrets is tracked; the controller that removes unused ones
    // reads it (KEP-2799).
    let today = object::now_rfc3339();
    objects.push(json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "kube-apiserver-legacy-service-account-token-tracking", "namespace": "kube-system"},
        "data": {"since": today.split('T').next().unwrap_or_default()},
    }));
    objects
}

fn priority_classes() -> [Value; 2] {
    let class = |name: &str, value: i64, description: &str| {
        json!({
            "kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "metadata": {"name": name},
            "value": value, "description": description, "preemptionPolicy": "PreemptLowerPriority",
        })
    };
    [
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ]
}

/// The service `kubernetes`, its address and range. `peers` sees to its endpoints.
fn api_service(server: &ApiServer) -> Vec<Value> {
    let mut objects = Vec::new();
    let advertised = server.config.advertised();
    let family = |ip: IpAddr| if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    if let Some(ip) = server.config.first_service_ip() {
        let ranges: Vec<String> = server.config.service_cluster_ip_range.iter().map(ToString::to_string).collect();
        let now = object::now_rfc3339();
        objects.push(json!({
            "kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": ranges},
            "status": {"conditions": [{
                "type": "Ready", "status": "True", "reason": "", "lastTransitionTime": now,
                "message": "Kubernetes default Service CIDR is ready",
            }]},
        }));
        objects.push(json!({
            "kind": "Service", "apiVersion": "v1",
            "metadata": {
                "name": "kubernetes", "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "type": "ClusterIP", "clusterIP": ip.to_string(), "clusterIPs": [ip.to_string()],
                "ipFamilies": [family(ip)], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": advertised.port()}],
            },
        }));
        objects.push(json!({
            "kind": "IPAddress", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": ip.to_string(), "labels": {
                "ipaddress.kubernetes.io/ip-family": family(ip),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            }},
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "kubernetes"}},
        }));
    }
    objects
}

const ALL: &[&str] = &["*"];

/// Priority levels: name, shares, percentage that may be lent, queues and hand size (0: requests are refused).
const LEVELS: [(&str, u32, u32, u32, u32); 7] = [
    ("catch-all", 5, 0, 0, 0),
    ("system", 30, 33, 64, 6),
    ("node-high", 40, 25, 64, 6),
    ("leader-election", 10, 0, 16, 4),
    ("workload-high", 40, 50, 128, 6),
    ("workload-low", 100, 90, 128, 6),
    ("global-default", 20, 50, 128, 6),
];

/// Flow schemas over everything: name, priority level, precedence, how flows are told apart, and subjects
/// (`g:` a group, `u:` a user, `s:` all service accounts of a namespace).
const SCHEMAS: [(&str, &str, u32, &str, &[&str]); 8] = [
    ("exempt", "exempt", 1, "", &["g:system:masters"]),
    ("catch-all", "catch-all", 10_000, "ByUser", &["g:system:unauthenticated", "g:system:authenticated"]),
    ("system-nodes", "system", 500, "ByUser", &["g:system:nodes"]),
    ("kube-controller-manager", "workload-high", 800, "ByNamespace", &["u:system:kube-controller-manager"]),
    ("kube-scheduler", "workload-high", 800, "ByNamespace", &["u:system:kube-scheduler"]),
    ("kube-system-service-accounts", "workload-high", 900, "ByNamespace", &["s:kube-system"]),
    ("service-accounts", "workload-low", 9000, "ByUser", &["g:system:serviceaccounts"]),
    ("global-default", "global-default", 9900, "ByUser", &["g:system:unauthenticated", "g:system:authenticated"]),
];

fn subject(text: &str) -> Value {
    match text.split_at(2) {
        ("u:", name) => json!({"kind": "User", "user": {"name": name}}),
        ("s:", namespace) => {
            json!({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": namespace}})
        }
        (_, name) => json!({"kind": "Group", "group": {"name": name}}),
    }
}

fn resource_rule(verbs: &[&str], groups: &[&str], resources: &[&str], cluster: bool) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "namespaces": ["*"]});
    if cluster {
        rule["clusterScope"] = true.into();
    }
    rule
}

/// The priority levels and flow schemas that every cluster begins with.
pub(crate) fn flow_control() -> Vec<Value> {
    let meta = |name: &str| json!({"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}});
    let level = |name: &str, spec: Value| {
        json!({
            "kind": "PriorityLevelConfiguration", "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "metadata": meta(name), "spec": spec,
        })
    };
    let exempt = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}});
    let mut objects = vec![level("exempt", exempt)];
    for (name, shares, lendable, queues, hand) in LEVELS {
        let response = if queues == 0 {
            json!({"type": "Reject"})
        } else {
            json!({"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}})
        };
        let limited = json!({
            "nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response,
        });
        objects.push(level(name, json!({"type": "Limited", "limited": limited})));
    }
    let schema = |name: &str, level: &str, precedence: u32, method: &str, rule: Value| {
        let mut spec = json!({
            "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule],
        });
        if !method.is_empty() {
            spec["distinguisherMethod"] = json!({"type": method});
        }
        json!({
            "kind": "FlowSchema", "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "metadata": meta(name), "spec": spec,
        })
    };
    for (name, level, precedence, method, subjects) in SCHEMAS {
        let subjects: Vec<Value> = subjects.iter().map(|text| subject(text)).collect();
        let rule = json!({
            "subjects": subjects,
            "resourceRules": [resource_rule(ALL, ALL, ALL, true)],
            "nonResourceRules": [{"verbs": ALL, "nonResourceURLs": ALL}],
        });
        objects.push(schema(name, level, precedence, method, rule));
    }
    let everyone = [subject("g:system:unauthenticated"), subject("g:system:authenticated")];
    let probes = json!({
        "subjects": everyone,
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}],
    });
    objects.push(schema("probes", "exempt", 2, "", probes));
    let leases = &["coordination.k8s.io"];
    let electors = ["u:system:kube-controller-manager", "u:system:kube-scheduler", "s:kube-system"].map(subject);
    let election = json!({
        "subjects": electors,
        "resourceRules": [resource_rule(&["get", "create", "update"], leases, &["leases"], false)],
    });
    objects.push(schema("system-leader-election", "leader-election", 100, "ByUser", election));
    let nodes = json!({
        "subjects": [subject("g:system:nodes")],
        "resourceRules": [
            resource_rule(ALL, &[""], &["nodes", "nodes/status"], true),
            resource_rule(ALL, leases, &["leases"], false),
        ],
    });
    objects.push(schema("system-node-high", "node-high", 400, "ByUser", nodes));
    objects
}

//! The node authorizer: a kubelet may touch its own Node, Lease and pods, and what those pods refer to.
//!
//! The graph of the reference (`plugin/pkg/auth/authorizer/node`) is kept as reference counts: for every object that a
//! pod names, the nodes that run such pods and how many. A check is two lookups.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use portcullis_machinery::Value;

use super::Decision;
use super::rules::Rule;
use crate::context::{RequestInfo, UserInfo};

/// The kinds of objects that nodes reach through something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ConfigMap,
    Pod,
    Claim,
    Volume,
    ResourceClaim,
    Secret,
    ServiceAccount,
    Attachment,
    Slice,
}

/// An object: its kind, namespace and name.
type Vertex = (Kind, Arc<str>, Arc<str>);

/// A resource whose objects the authorizer watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeSource {
    /// `pods`
    Pods,
    /// `persistentvolumes`
    Volumes,
    /// `volumeattachments`
    Attachments,
    /// `resourceslices`
    Slices,
}

/// A watched object: its source, namespace and name.
type SourceKey = (NodeSource, Arc<str>, Arc<str>);

#[derive(Default)]
struct Graph {
    /// Which nodes reach an object directly, and through how many others.
    reached: HashMap<Vertex, HashMap<Arc<str>, u32>>,
    /// What each watched object contributed, to take it out again.
    contributed: HashMap<SourceKey, (Arc<str>, Vec<Vertex>)>,
    /// Bound volumes by name: the claim, and the secrets that the volume names.
    volumes: HashMap<Arc<str>, (Vertex, Vec<Vertex>)>,
    /// The volumes that name a secret.
    secret_volumes: HashMap<Vertex, Vec<Arc<str>>>,
}

/// Decides what kubelets may do.
pub struct NodeAuthorizer {
    graph: RwLock<Graph>,
    /// What all nodes may do alike: the rules of the ClusterRole `system:node`.
    rules: Vec<Rule>,
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(object: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// The node's name, if the user is a node (`system:node:<name>` in `system:nodes`); empty if it has none.
pub fn node_name(user: &UserInfo) -> Option<&str> {
    let in_group = user.groups.iter().any(|group| group == "system:nodes");
    user.username.strip_prefix("system:node:").filter(|_| in_group)
}

impl NodeAuthorizer {
    /// An authorizer with these rules for what is alike for all nodes.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { graph: RwLock::default(), rules }
    }

    /// Takes in an object that was put, or out one that was deleted (`object` is none).
    pub fn apply(&self, source: NodeSource, namespace: &str, name: &str, object: Option<&Value>) {
        let mut graph = self.graph.write();
        if source == NodeSource::Volumes {
            graph.set_volume(name, object);
            return;
        }
        let key = (source, Arc::from(namespace), Arc::from(name));
        let found = object.map(|object| match source {
            NodeSource::Attachments => (text(object, "/spec/nodeName"), vec![vertex(Kind::Attachment, "", name)]),
            NodeSource::Slices => (text(object, "/spec/nodeName"), vec![vertex(Kind::Slice, "", name)]),
            _ => (text(object, "/spec/nodeName"), pod_references(object, namespace, name)),
        });
        graph.remove(&key);
        if let Some((node, vertices)) = found.filter(|(node, _)| !node.is_empty()) {
            let node: Arc<str> = node.into();
            for vertex in &vertices {
                *graph.reached.entry(vertex.clone()).or_default().entry(node.clone()).or_default() += 1;
            }
            graph.contributed.insert(key, (node, vertices));
        }
    }

    /// Decides. Users that are no nodes get no opinion.
    pub fn authorize(&self, user: &UserInfo, request: &RequestInfo) -> Decision {
        let Some(node) = node_name(user) else { return no("") };
        if node.is_empty() {
            return no(&format!("unknown node for user {:?}", user.username));
        }
        if request.is_resource_request {
            let verb = request.verb.as_str();
            let sub = request.subresource.as_str();
            match (request.api_group.as_str(), request.resource.as_str()) {
                ("", "secrets") => return self.read_object(node, Kind::Secret, request),
                ("", "configmaps") => return self.read_object(node, Kind::ConfigMap, request),
                ("", "persistentvolumeclaims") if sub == "status" => {
                    return if matches!(verb, "update" | "patch") {
                        self.related(node, Kind::Claim, request)
                    } else {
                        no("can only get/update/patch this type")
                    };
                }
                ("", "persistentvolumeclaims") => return self.get_object(node, Kind::Claim, request),
                ("", "persistentvolumes") => return self.get_object(node, Kind::Volume, request),
                ("resource.k8s.io", "resourceclaims") => return self.get_object(node, Kind::ResourceClaim, request),
                ("storage.k8s.io", "volumeattachments") => return self.get_object(node, Kind::Attachment, request),
                ("", "serviceaccounts") => return self.service_account(node, request),
                ("coordination.k8s.io", "leases") => return lease(node, request),
                ("storage.k8s.io", "csinodes") => return csi_node(node, request),
                ("resource.k8s.io", "resourceslices") => return self.slice(node, request),
                ("", "nodes") => return own_node(node, request),
                ("", "pods") => return self.pod(node, request),
                ("certificates.k8s.io", "podcertificaterequests") => return no(""),
                _ => {}
            }
        }
        if self.rules.iter().any(|rule| rule.allows(request)) { allow() } else { no("") }
    }

    fn related(&self, node: &str, kind: Kind, request: &RequestInfo) -> Decision {
        if request.name.is_empty() {
            return no("No Object name found");
        }
        let namespace =
            if matches!(kind, Kind::Volume | Kind::Attachment | Kind::Slice) { "" } else { &request.namespace };
        if self.graph.read().reaches(node, &vertex(kind, namespace, &request.name)) {
            return allow();
        }
        no(&format!("no relationship found between node '{node}' and this object"))
    }

    fn get_object(&self, node: &str, kind: Kind, request: &RequestInfo) -> Decision {
        if request.verb != "get" {
            return no("can only get individual resources of this type");
        }
        if !request.subresource.is_empty() {
            return no("cannot get subresource");
        }
        self.related(node, kind, request)
    }

    fn read_object(&self, node: &str, kind: Kind, request: &RequestInfo) -> Decision {
        if !matches!(request.verb.as_str(), "get" | "list" | "watch") {
            return no("can only read resources of this type");
        }
        if !request.subresource.is_empty() {
            return no("cannot read subresource");
        }
        if request.namespace.is_empty() {
            return no("can only read namespaced object of this type");
        }
        self.related(node, kind, request)
    }

    fn service_account(&self, node: &str, request: &RequestInfo) -> Decision {
        if request.verb == "get" && request.subresource.is_empty() {
            return self.read_object(node, Kind::ServiceAccount, request);
        }
        if request.verb != "create" || request.name.is_empty() {
            return no("can only create tokens for individual service accounts");
        }
        if request.subresource != "token" {
            return no("can only create token subresource of serviceaccount");
        }
        self.related(node, Kind::ServiceAccount, request)
    }

    fn slice(&self, node: &str, request: &RequestInfo) -> Decision {
        if !request.subresource.is_empty() {
            return no("cannot authorize ResourceSlice subresources");
        }
        match request.verb.as_str() {
            "create" => allow(),
            "get" | "update" | "patch" | "delete" => self.related(node, Kind::Slice, request),
            "watch" | "list" | "deletecollection" if selects_node(request, node) => allow(),
            "watch" | "list" | "deletecollection" => {
                no("can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            _ => no(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, \
                 delete, deletecollection",
            ),
        }
    }

    fn pod(&self, node: &str, request: &RequestInfo) -> Decision {
        match (request.subresource.as_str(), request.verb.as_str()) {
            ("", "get") => self.get_object(node, Kind::Pod, request),
            ("", "list" | "watch") if selects_node(request, node) => allow(),
            ("", "list" | "watch") if !request.name.is_empty() => self.related(node, Kind::Pod, request),
            ("", "list" | "watch") => no("can only list/watch pods with spec.nodeName field selector"),
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => allow(),
            _ => no(""),
        }
    }
}

fn allow() -> Decision {
    Decision::Allow(String::new())
}

fn no(reason: &str) -> Decision {
    Decision::NoOpinion(reason.to_owned())
}

fn vertex(kind: Kind, namespace: &str, name: &str) -> Vertex {
    (kind, namespace.into(), name.into())
}

/// Whether the field selector holds the requests to objects of this node.
fn selects_node(request: &RequestInfo, node: &str) -> bool {
    request.field_selector.split(',').any(|part| {
        let part = part.trim();
        !part.contains("!=")
            && part.split_once('=').is_some_and(|(field, value)| {
                field.trim() == "spec.nodeName" && value.trim_start_matches('=').trim() == node
            })
    })
}

fn lease(node: &str, request: &RequestInfo) -> Decision {
    if !matches!(request.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a node lease");
    }
    if request.namespace != "kube-node-lease" {
        return no("can only access leases in the \"kube-node-lease\" system namespace");
    }
    if request.verb != "create" && request.name != node {
        return no("can only access node lease with the same name as the requesting node");
    }
    allow()
}

fn csi_node(node: &str, request: &RequestInfo) -> Decision {
    if !matches!(request.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a CSINode");
    }
    if !request.subresource.is_empty() {
        return no("cannot authorize CSINode subresources");
    }
    if request.verb != "create" && request.name != node {
        return no("can only access CSINode with the same name as the requesting node");
    }
    allow()
}

fn own_node(node: &str, request: &RequestInfo) -> Decision {
    match (request.subresource.as_str(), request.verb.as_str()) {
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => allow(),
        ("", "get" | "list" | "watch") if request.name == node => allow(),
        ("", "get" | "list" | "watch") if request.name.is_empty() => {
            no(&format!("node '{node}' cannot read all nodes, only its own Node object"))
        }
        ("", "get" | "list" | "watch") => {
            no(&format!("node '{node}' cannot read '{}', only its own Node object", request.name))
        }
        _ => no(""),
    }
}

impl Graph {
    fn remove(&mut self, key: &SourceKey) {
        let Some((node, vertices)) = self.contributed.remove(key) else { return };
        for vertex in vertices {
            let Some(nodes) = self.reached.get_mut(&vertex) else { continue };
            if let Some(count) = nodes.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&node);
                }
            }
            if nodes.is_empty() {
                self.reached.remove(&vertex);
            }
        }
    }

    fn set_volume(&mut self, name: &str, object: Option<&Value>) {
        if let Some((_, secrets)) = self.volumes.remove(name) {
            for secret in secrets {
                if let Some(volumes) = self.secret_volumes.get_mut(&secret) {
                    volumes.retain(|volume| &**volume != name);
                    if volumes.is_empty() {
                        self.secret_volumes.remove(&secret);
                    }
                }
            }
        }
        let Some(object) = object else { return };
        let (namespace, claim) = (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name"));
        if claim.is_empty() {
            return;
        }
        let name: Arc<str> = name.into();
        let secrets = volume_secrets(object, namespace);
        for secret in &secrets {
            self.secret_volumes.entry(secret.clone()).or_default().push(name.clone());
        }
        self.volumes.insert(name, (vertex(Kind::Claim, namespace, claim), secrets));
    }

    fn reaches(&self, node: &str, target: &Vertex) -> bool {
        let direct = |vertex: &Vertex| self.reached.get(vertex).is_some_and(|nodes| nodes.contains_key(node));
        let by_volume = |name: &Arc<str>| self.volumes.get(name).is_some_and(|(claim, _)| direct(claim));
        match target.0 {
            Kind::Volume => by_volume(&target.2),
            Kind::Secret => {
                direct(target) || self.secret_volumes.get(target).is_some_and(|volumes| volumes.iter().any(by_volume))
            }
            _ => direct(target),
        }
    }
}

/// The secrets that a kubelet needs for a bound volume.
fn volume_secrets(volume: &Value, claim_namespace: &str) -> Vec<Vertex> {
    let csi =
        ["nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"].map(|field| format!("/spec/csi/{field}"));
    let others = ["cephfs", "rbd", "flexVolume", "scaleIO", "iscsi"].map(|kind| format!("/spec/{kind}/secretRef"));
    let mut secrets = Vec::new();
    for path in csi.iter().chain(&others) {
        let Some(reference) = volume.pointer(path) else { continue };
        let (namespace, name) = (text(reference, "/namespace"), text(reference, "/name"));
        if !name.is_empty() {
            secrets.push(vertex(Kind::Secret, if namespace.is_empty() { claim_namespace } else { namespace }, name));
        }
    }
    let azure = text(volume, "/spec/azureFile/secretName");
    if !azure.is_empty() {
        let own = text(volume, "/spec/azureFile/secretNamespace");
        secrets.push(vertex(Kind::Secret, if own.is_empty() { claim_namespace } else { own }, azure));
    }
    secrets
}

/// The pod itself and all that it names.
fn pod_references(pod: &Value, namespace: &str, name: &str) -> Vec<Vertex> {
    let mut found = vec![vertex(Kind::Pod, namespace, name)];
    // A mirror pod is made by its kubelet; it must not open anything to it.
    if pod.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some() {
        return found;
    }
    let mut add = |kind: Kind, name: &str| {
        if !name.is_empty() {
            found.push(vertex(kind, namespace, name));
        }
    };
    add(Kind::ServiceAccount, text(pod, "/spec/serviceAccountName"));
    items(pod, "/spec/imagePullSecrets").for_each(|entry| add(Kind::Secret, text(entry, "/name")));
    for list in ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"] {
        for container in items(pod, list) {
            for source in items(container, "/envFrom") {
                add(Kind::Secret, text(source, "/secretRef/name"));
                add(Kind::ConfigMap, text(source, "/configMapRef/name"));
            }
            for variable in items(container, "/env") {
                add(Kind::Secret, text(variable, "/valueFrom/secretKeyRef/name"));
                add(Kind::ConfigMap, text(variable, "/valueFrom/configMapKeyRef/name"));
            }
        }
    }
    for volume in items(pod, "/spec/volumes") {
        add(Kind::Secret, text(volume, "/secret/secretName"));
        add(Kind::Secret, text(volume, "/azureFile/secretName"));
        for kind in ["cephfs", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"] {
            add(Kind::Secret, text(volume, &format!("/{kind}/secretRef/name")));
        }
        add(Kind::Secret, text(volume, "/csi/nodePublishSecretRef/name"));
        add(Kind::ConfigMap, text(volume, "/configMap/name"));
        for source in items(volume, "/projected/sources") {
            add(Kind::Secret, text(source, "/secret/name"));
            add(Kind::ConfigMap, text(source, "/configMap/name"));
        }
        add(Kind::Claim, text(volume, "/persistentVolumeClaim/claimName"));
        if volume.get("ephemeral").is_some() {
            add(Kind::Claim, &format!("{name}-{}", text(volume, "/name")));
        }
    }
    for claim in items(pod, "/spec/resourceClaims") {
        add(Kind::ResourceClaim, text(claim, "/resourceClaimName"));
    }
    for status in items(pod, "/status/resourceClaimStatuses") {
        add(Kind::ResourceClaim, text(status, "/resourceClaimName"));
    }
    add(Kind::ResourceClaim, text(pod, "/status/extendedResourceClaimStatus/resourceClaimName"));
    found
}

#[cfg(test)]
mod tests;

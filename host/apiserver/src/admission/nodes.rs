//! What kubelets may write (the reference's NodeRestriction): the node authorizer sees the path of a request, and this what
//! it says. A kubelet keeps to its own Node, its own pods and what it has been told, so that one that is taken over cannot
//! draw others' workloads to itself or speak for other nodes. As in the reference it is off unless it is asked for.

use std::collections::BTreeSet;

use portcullis_machinery::{Status, Value, object};

use super::{AdmissionAttributes, Operation};
use crate::authz::node::node_name;
use crate::context::RequestInfo;
use crate::handlers::Scope;
use crate::handlers::scope::cache_of;

mod audience;
mod mirror;
#[cfg(test)]
mod tests;

const MIRROR: &str = "kubernetes.io/config.mirror";
/// Labels of Kubernetes' own that kubelets may set on their Nodes.
const LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
/// Domains of such labels.
const LABEL_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Refuses what the user writes, if it is a node and that is not for it to write.
///
/// # Errors
/// 403; 404 if what it writes about is gone.
pub fn check(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> Result<(), Status> {
    let Some(node) = node_name(&scope.cx.user) else { return Ok(()) };
    if !scope.server.config.node_restriction {
        return Ok(());
    }
    let request = Request { scope, attributes, node, new };
    if node.is_empty() {
        return request.refuse(&format!("could not determine node from user {:?}", scope.cx.user.username));
    }
    let resource = (attributes.resource.group.as_str(), attributes.resource.name.as_str());
    match (resource, attributes.subresource.as_str()) {
        (("", "pods"), "") => request.pod(),
        (("", "pods"), "status") => request.pod_status(),
        (("", "pods"), "eviction") => request.eviction(),
        (("", "pods"), other) => {
            request.refuse(&format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"))
        }
        (("", "nodes"), _) => request.node(),
        (("", "persistentvolumeclaims"), "status") => request.claim_status(),
        (("", "persistentvolumeclaims"), _) => request.refuse("may only update PVC status"),
        (("", "serviceaccounts"), "token") => request.token(),
        (("coordination.k8s.io", "leases"), _) => request.lease(),
        (("storage.k8s.io", "csinodes"), _) => request.named("can only access CSINode"),
        (("resource.k8s.io", "resourceslices"), _) => request.slice(),
        (("certificates.k8s.io", "certificatesigningrequests"), _) => request.certificate(),
        _ => Ok(()),
    }
}

struct Request<'a> {
    scope: &'a Scope,
    attributes: &'a AdmissionAttributes,
    node: &'a str,
    new: &'a Value,
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    object::str_at(value, path).unwrap_or_default()
}

impl Request<'_> {
    fn refuse(&self, why: &str) -> Result<(), Status> {
        let resource = &self.attributes.resource;
        Err(Status::forbidden(&resource.group, &resource.name, &self.attributes.name, why))
    }

    fn old(&self) -> &Value {
        self.attributes.old_object.as_deref().unwrap_or(&Value::Null)
    }

    /// What the cache knows of an object.
    fn known(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Result<std::sync::Arc<Value>, Status> {
        let registry = self.scope.server.registry.load();
        let found = registry.resource(group, "v1", plural).and_then(|definition| {
            let key: &str = &definition.key(namespace, name);
            cache_of(&self.scope.server, definition).peek().objects.get(key).map(|cached| cached.value())
        });
        found.ok_or_else(|| Status::not_found(group, plural, name))
    }

    fn pod(&self) -> Result<(), Status> {
        let node = self.node;
        match self.attributes.operation {
            Operation::Create => self.new_pod(),
            Operation::Delete => {
                let pod = self.known("", "pods", &self.attributes.namespace, &self.attributes.name)?;
                if text(&pod, &["spec", "nodeName"]) == node {
                    return Ok(());
                }
                self.refuse(&format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
            }
            other => self.refuse(&format!(
                "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
                other.as_str()
            )),
        }
    }

    /// Kubelets make mirror pods alone: what they run without being asked, told to the API.
    fn new_pod(&self) -> Result<(), Status> {
        let (node, pod) = (self.node, self.new);
        if object::get_at(pod, &["metadata", "annotations", MIRROR]).is_none() {
            return self.refuse(&format!(
                "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
            ));
        }
        if text(pod, &["spec", "nodeName"]) != node {
            return self.refuse(&format!("node {node:?} can only create pods with spec.nodeName set to itself"));
        }
        let only = |what: &str| format!("node {node:?} can only create pods with {what} set to itself");
        let [owner] = object::list_at(pod, &["metadata", "ownerReferences"]) else {
            let several = object::list_at(pod, &["metadata", "ownerReferences"]).len() > 1;
            return self.refuse(&only(if several { "a single owner reference" } else { "an owner reference" }));
        };
        let is = |field: &str, value: &str| text(owner, &[field]) == value;
        let flag = |field: &str| owner.get(field) == Some(&Value::Bool(true));
        if !is("apiVersion", "v1") || !is("kind", "Node") || !is("name", node) {
            return self.refuse(&only("an owner reference"));
        }
        if !flag("controller") {
            return self.refuse(&only("a controller owner reference"));
        }
        if flag("blockOwnerDeletion") {
            return self.refuse(&format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
        }
        let known = self.known("", "nodes", "", node)?;
        let (expected, got) = (object::uid(&known), text(owner, &["uid"]));
        if expected != got {
            return self.refuse(&format!("node {node} UID mismatch: expected {got} got {expected}"));
        }
        match mirror::reference(pod) {
            Some(what) => self.refuse(&format!("node {node:?} can not create pods that reference {what}")),
            None => Ok(()),
        }
    }

    fn pod_status(&self) -> Result<(), Status> {
        let node = self.node;
        if self.attributes.operation != Operation::Update {
            return self.refuse(&format!("unexpected operation {:?}", self.attributes.operation.as_str()));
        }
        if text(self.old(), &["spec", "nodeName"]) != node {
            return self.refuse(&format!(
                "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
            ));
        }
        if !same(self.old(), self.new, &["metadata", "labels"]) {
            return self.refuse(&format!("node {node:?} cannot update labels through pod status"));
        }
        if !same(self.old(), self.new, &["status", "resourceClaimStatuses"]) {
            return self.refuse(&format!("node {node:?} cannot update resource claim statues"));
        }
        if !same(self.old(), self.new, &["status", "extendedResourceClaimStatus"]) {
            return self.refuse(&format!("node {node:?} cannot update extended resource claim status"));
        }
        Ok(())
    }

    fn eviction(&self) -> Result<(), Status> {
        let name = match self.attributes.name.as_str() {
            "" => object::name(self.new),
            name => name,
        };
        if name.is_empty() {
            return self.refuse("could not determine pod from request data");
        }
        let pod = self.known("", "pods", &self.attributes.namespace, name)?;
        if text(&pod, &["spec", "nodeName"]) == self.node {
            return Ok(());
        }
        self.refuse(&format!("node {} can only evict pods with spec.nodeName set to itself", self.node))
    }

    fn node(&self) -> Result<(), Status> {
        let (node, new, old) = (self.node, self.new, self.old());
        let requested = match (self.attributes.name.as_str(), self.attributes.operation) {
            ("", Operation::Create) => object::name(new),
            (name, _) => name,
        };
        if requested != node {
            return self.refuse(&format!("node {node:?} is not allowed to modify node {requested:?}"));
        }
        match self.attributes.operation {
            Operation::Create => {
                if object::get_at(new, &["spec", "configSource"]).is_some() {
                    return self
                        .refuse(&format!("node {node:?} is not allowed to create pods with a non-nil configSource"));
                }
                let labels = forbidden_labels(new, &Value::Null);
                if !labels.is_empty() {
                    return self.refuse(&format!("node {node:?} is not allowed to set the following labels: {labels}"));
                }
                Ok(())
            }
            Operation::Update => {
                let is_set = object::get_at(new, &["spec", "configSource"]).is_some();
                if is_set && !same(old, new, &["spec", "configSource"]) {
                    return self.refuse(&format!(
                        "node {node:?} is not allowed to update configSource to a new non-nil configSource"
                    ));
                }
                for (path, what) in
                    [(["spec", "taints"], "taints"), (["metadata", "ownerReferences"], "ownerReferences")]
                {
                    if !same(old, new, &path) {
                        return self.refuse(&format!("node {node:?} is not allowed to modify {what}"));
                    }
                }
                let labels = forbidden_labels(new, old);
                if !labels.is_empty() {
                    return self.refuse(&format!("is not allowed to modify labels: {labels}"));
                }
                Ok(())
            }
            Operation::Delete | Operation::Connect => Ok(()),
        }
    }

    fn claim_status(&self) -> Result<(), Status> {
        if self.attributes.operation != Operation::Update {
            return self.refuse(&format!("unexpected operation {:?}", self.attributes.operation.as_str()));
        }
        // What remains must be as it was.
        let rest = |claim: &Value| {
            let mut claim = claim.clone();
            for (part, fields) in [
                ("metadata", ["resourceVersion", "managedFields", "", ""]),
                ("status", ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"]),
            ] {
                if let Some(members) = claim.get_mut(part).and_then(Value::as_object_mut) {
                    fields.iter().for_each(|field| drop(members.remove(*field)));
                }
            }
            claim
        };
        if rest(self.old()) == rest(self.new) {
            return Ok(());
        }
        let node = self.node;
        self.refuse(&format!(
            "node {node:?} is not allowed to update fields other than status.quantity and status.conditions"
        ))
    }

    /// Tokens are for pods that run here, and for whom those pods name.
    fn token(&self) -> Result<(), Status> {
        if self.attributes.operation != Operation::Create {
            return Ok(());
        }
        let bound = |field: &str| text(self.new, &["spec", "boundObjectRef", field]);
        if bound("apiVersion") != "v1" || bound("kind") != "Pod" || bound("name").is_empty() {
            return self.refuse("node requested token not bound to a pod");
        }
        if bound("uid").is_empty() {
            return self.refuse("node requested token with a pod binding without a uid");
        }
        let pod = self.known("", "pods", &self.attributes.namespace, bound("name"))?;
        if object::uid(&pod) != bound("uid") {
            return self.refuse(&format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The object might have been \
                 deleted and then recreated",
                bound("uid")
            ));
        }
        if text(&pod, &["spec", "nodeName"]) != self.node {
            return self.refuse("node requested token bound to a pod scheduled on a different node");
        }
        let asked = object::list_at(self.new, &["spec", "audiences"]);
        let audience = match asked {
            [] => "",
            [only] => only.as_str().unwrap_or_default(),
            _ => return self.refuse("node may only request 0 or 1 audiences"),
        };
        let known =
            |group: &str, plural: &str, namespace: &str, name: &str| self.known(group, plural, namespace, name).ok();
        if audience::is_named_by(&pod, audience, &known) {
            return Ok(());
        }
        let info = RequestInfo {
            is_resource_request: true,
            verb: "request-serviceaccounts-token-audience".to_owned(),
            api_version: "v1".to_owned(),
            namespace: self.attributes.namespace.clone(),
            resource: audience.to_owned(),
            name: self.attributes.name.clone(),
            ..RequestInfo::default()
        };
        let user = &self.scope.cx.user;
        if self.scope.server.authorizer.require(user, &info).is_ok() {
            return Ok(());
        }
        self.refuse(&format!(
            "audience {audience:?} not found in pod spec volume, {} is not authorized to request tokens for this audience",
            user.username
        ))
    }

    fn lease(&self) -> Result<(), Status> {
        if self.attributes.namespace != "kube-node-lease" {
            return self.refuse("can only access leases in the \"kube-node-lease\" system namespace");
        }
        self.named("can only access node lease")
    }

    /// Objects that have the node's name.
    fn named(&self, what: &str) -> Result<(), Status> {
        let name = match self.attributes.operation {
            Operation::Create => object::name(self.new),
            _ => &self.attributes.name,
        };
        if name == self.node {
            Ok(())
        } else {
            self.refuse(&format!("{what} with the same name as the requesting node"))
        }
    }

    fn slice(&self) -> Result<(), Status> {
        let (slice, verb) = match self.attributes.operation {
            Operation::Create => (self.new, "create"),
            Operation::Delete => (self.old(), "delete"),
            _ => return Ok(()),
        };
        if text(slice, &["spec", "nodeName"]) == self.node {
            return Ok(());
        }
        self.refuse(&format!("can only {verb} ResourceSlice with the same NodeName as the requesting node"))
    }

    fn certificate(&self) -> Result<(), Status> {
        let signer = text(self.new, &["spec", "signerName"]);
        let of_kubelets = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];
        if self.attributes.operation != Operation::Create || !of_kubelets.contains(&signer) {
            return Ok(());
        }
        let wanted = format!("system:node:{}", self.node);
        match super::signing::common_name(self.new) {
            Some(name) if name == wanted => Ok(()),
            Some(_) => self.refuse(&format!("can only create a node CSR with CN={wanted}")),
            None => self.refuse("unable to parse csr: PEM block type must be CERTIFICATE REQUEST"),
        }
    }
}

/// Whether a field is the same in both, where nothing and an empty collection are.
fn same(old: &Value, new: &Value, path: &[&str]) -> bool {
    let field = |value: &Value| {
        object::get_at(value, path).filter(|field| !matches!(field, Value::Null)).cloned().unwrap_or_default()
    };
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    let (old, new) = (field(old), field(new));
    old == new || (empty(&old) && empty(&new))
}

/// The changed labels that are not for kubelets to change, as text.
fn forbidden_labels(new: &Value, old: &Value) -> String {
    let of = |node: &Value| -> BTreeSet<(String, String)> {
        object::labels(node).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let (new, old) = (of(new), of(old));
    let changed: BTreeSet<&str> = new.symmetric_difference(&old).map(|(name, _)| name.as_str()).collect();
    let within = |domain: &str, parent: &str| {
        domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
    };
    let forbidden = changed.into_iter().filter(|label| {
        let domain = label.split_once('/').map_or("", |(domain, _)| domain);
        let own = LABELS.contains(label) || LABEL_DOMAINS.iter().any(|parent| within(domain, parent));
        let of_kubernetes = within(domain, "kubernetes.io") || within(domain, "k8s.io");
        within(domain, "node-restriction.kubernetes.io") || (of_kubernetes && !own)
    });
    forbidden.collect::<Vec<_>>().join(", ")
}

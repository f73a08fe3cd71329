//! Names of API resources, and the paths that lead to them.

use std::borrow::Cow;
use std::fmt;

/// A served resource: what a path and an object's `apiVersion` and `kind` are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Cow<'static, str>,
    /// `v1`.
    pub version: Cow<'static, str>,
    /// `pods`.
    pub plural: Cow<'static, str>,
    /// `Pod`.
    pub kind: Cow<'static, str>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// A resource whose names are known when the program is built.
    pub const fn fixed(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        namespaced: bool,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            kind: Cow::Borrowed(kind),
            namespaced,
        }
    }

    /// A resource whose names came from discovery.
    pub fn named(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        Self {
            group: Cow::Owned(group.to_owned()),
            version: Cow::Owned(version.to_owned()),
            plural: Cow::Owned(plural.to_owned()),
            kind: Cow::Owned(kind.to_owned()),
            namespaced,
        }
    }

    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of a collection (`name` empty) or of an object; over all namespaces if `namespace` is empty.
    pub fn path(&self, namespace: &str, name: &str, subresource: &str) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        for part in [name, subresource] {
            if !part.is_empty() {
                path.push('/');
                path.push_str(&crate::client::escape(part));
            }
        }
        path
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.plural) } else { write!(f, "{}.{}", self.plural, self.group) }
    }
}

macro_rules! resources {
    ($($name:ident = $group:literal / $version:literal / $plural:literal, $kind:literal, $namespaced:literal;)*) => {
        $(#[doc = concat!("`", $plural, "`, group `", $group, "`.")]
        pub const $name: Resource = Resource::fixed($group, $version, $plural, $kind, $namespaced);)*
    };
}

resources! {
    PODS = "" / "v1" / "pods", "Pod", true;
    NODES = "" / "v1" / "nodes", "Node", false;
    NAMESPACES = "" / "v1" / "namespaces", "Namespace", false;
    SERVICES = "" / "v1" / "services", "Service", true;
    ENDPOINTS = "" / "v1" / "endpoints", "Endpoints", true;
    SECRETS = "" / "v1" / "secrets", "Secret", true;
    CONFIGMAPS = "" / "v1" / "configmaps", "ConfigMap", true;
    SERVICEACCOUNTS = "" / "v1" / "serviceaccounts", "ServiceAccount", true;
    EVENTS = "" / "v1" / "events", "Event", true;
    RESOURCEQUOTAS = "" / "v1" / "resourcequotas", "ResourceQuota", true;
    REPLICATIONCONTROLLERS = "" / "v1" / "replicationcontrollers", "ReplicationController", true;
    PERSISTENTVOLUMES = "" / "v1" / "persistentvolumes", "PersistentVolume", false;
    PERSISTENTVOLUMECLAIMS = "" / "v1" / "persistentvolumeclaims", "PersistentVolumeClaim", true;
    DEPLOYMENTS = "apps" / "v1" / "deployments", "Deployment", true;
    REPLICASETS = "apps" / "v1" / "replicasets", "ReplicaSet", true;
    STATEFULSETS = "apps" / "v1" / "statefulsets", "StatefulSet", true;
    DAEMONSETS = "apps" / "v1" / "daemonsets", "DaemonSet", true;
    CONTROLLERREVISIONS = "apps" / "v1" / "controllerrevisions", "ControllerRevision", true;
    SUBJECTACCESSREVIEWS = "authorization.k8s.io" / "v1" / "subjectaccessreviews", "SubjectAccessReview", false;
    CERTIFICATESIGNINGREQUESTS = "certificates.k8s.io" / "v1" / "certificatesigningrequests",
        "CertificateSigningRequest", false;
    JOBS = "batch" / "v1" / "jobs", "Job", true;
    CRONJOBS = "batch" / "v1" / "cronjobs", "CronJob", true;
    LEASES = "coordination.k8s.io" / "v1" / "leases", "Lease", true;
    ENDPOINTSLICES = "discovery.k8s.io" / "v1" / "endpointslices", "EndpointSlice", true;
    RUNTIMECLASSES = "node.k8s.io" / "v1" / "runtimeclasses", "RuntimeClass", false;
    CSIDRIVERS = "storage.k8s.io" / "v1" / "csidrivers", "CSIDriver", false;
    CSISTORAGECAPACITIES = "storage.k8s.io" / "v1" / "csistoragecapacities", "CSIStorageCapacity", true;
    STORAGECLASSES = "storage.k8s.io" / "v1" / "storageclasses", "StorageClass", false;
    VOLUMEATTRIBUTESCLASSES = "storage.k8s.io" / "v1" / "volumeattributesclasses", "VolumeAttributesClass", false;
    PODDISRUPTIONBUDGETS = "policy" / "v1" / "poddisruptionbudgets", "PodDisruptionBudget", true;
    CLUSTERROLES = "rbac.authorization.k8s.io" / "v1" / "clusterroles", "ClusterRole", false;
    MODULES = "plugins.portcullis.dev" / "v1alpha1" / "modules", "Module", false;
    PLUGINS = "plugins.portcullis.dev" / "v1alpha1" / "plugins", "Plugin", false;
}

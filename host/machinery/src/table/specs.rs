//! The columns of the built-in kinds.

use super::{Column, described};
use crate::openapi::Descriptions;

/// Group, kind and columns, separated by commas. `:i` is an integer, `:b` a boolean, `*` a column for wide output only.
const SPECS: &[(&str, &str, &str)] = &[
    ("", "Pod", "Name,Ready,Status,Restarts,Age,IP*,Node*,Nominated Node*,Readiness Gates*"),
    ("", "PodTemplate", "Name,Containers,Images,Pod Labels"),
    ("policy", "PodDisruptionBudget", "Name,Min Available,Max Unavailable,Allowed Disruptions:i,Age"),
    ("", "ReplicationController", "Name,Desired:i,Current:i,Ready:i,Age,Containers*,Images*,Selector*"),
    ("apps", "ReplicaSet", "Name,Desired:i,Current:i,Ready:i,Age,Containers*,Images*,Selector*"),
    (
        "apps",
        "DaemonSet",
        "Name,Desired:i,Current:i,Ready:i,Up-to-date:i,Available:i,Node Selector,Age,Containers*,Images*,Selector*",
    ),
    ("batch", "Job", "Name,Status,Completions,Duration,Age,Containers*,Images*,Selector*"),
    ("batch", "CronJob", "Name,Schedule,Timezone,Suspend:b,Active:i,Last Schedule,Age,Containers*,Images*,Selector*"),
    ("", "Service", "Name,Type,Cluster-IP,External-IP,Port(s),Age,Selector*"),
    ("networking.k8s.io", "Ingress", "Name,Class,Hosts,Address,Ports,Age"),
    ("networking.k8s.io", "IngressClass", "Name,Controller,Parameters,Age"),
    ("apps", "StatefulSet", "Name,Ready,Age,Containers*,Images*"),
    ("", "Endpoints", "Name,Endpoints,Age"),
    (
        "",
        "Node",
        "Name,Status,Roles,Age,Version,Internal-IP*,External-IP*,OS-Image*,Kernel-Version*,Container-Runtime*",
    ),
    ("", "Event", "Last Seen,Type,Reason,Object,Subobject*,Source*,Message,First Seen*,Count*,Name*"),
    ("events.k8s.io", "Event", "Last Seen,Type,Reason,Object,Subobject*,Source*,Message,First Seen*,Count*,Name*"),
    ("", "Namespace", "Name,Status,Age"),
    ("", "Secret", "Name,Type,Data,Age"),
    ("", "ServiceAccount", "Name,Age"),
    (
        "",
        "PersistentVolume",
        "Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,VolumeAttributesClass,Reason,Age,VolumeMode*",
    ),
    (
        "",
        "PersistentVolumeClaim",
        "Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age,VolumeMode*",
    ),
    ("", "ComponentStatus", "Name,Status,Message,Error"),
    ("apps", "Deployment", "Name,Ready,Up-to-date,Available,Age,Containers*,Images*,Selector*"),
    ("autoscaling", "HorizontalPodAutoscaler", "Name,Reference,Targets,MinPods,MaxPods,Replicas,Age"),
    ("autoscaling", "Scale", "Name,Desired:i,Available:i,Age"),
    ("", "ConfigMap", "Name,Data,Age"),
    ("networking.k8s.io", "NetworkPolicy", "Name,Pod-Selector,Age"),
    ("rbac.authorization.k8s.io", "RoleBinding", "Name,Role,Age,Users*,Groups*,ServiceAccounts*"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "Name,Role,Age,Users*,Groups*,ServiceAccounts*"),
    ("certificates.k8s.io", "CertificateSigningRequest", "Name,Age,SignerName,Requestor,RequestedDuration,Condition"),
    ("coordination.k8s.io", "Lease", "Name,Holder,Age"),
    ("storage.k8s.io", "StorageClass", "Name,Provisioner,ReclaimPolicy,VolumeBindingMode,AllowVolumeExpansion,Age"),
    ("storage.k8s.io", "VolumeAttributesClass", "Name,DriverName,Age"),
    ("apps", "ControllerRevision", "Name,Controller,Revision,Age"),
    ("", "ResourceQuota", "Name,Request,Limit,Age"),
    ("scheduling.k8s.io", "PriorityClass", "Name,Value:i,Global-Default:b,Age,PreemptionPolicy"),
    ("node.k8s.io", "RuntimeClass", "Name,Handler,Age"),
    ("storage.k8s.io", "VolumeAttachment", "Name,Attacher,PV,Node,Attached:b,Age"),
    ("discovery.k8s.io", "EndpointSlice", "Name,AddressType,Ports,Endpoints,Age"),
    ("storage.k8s.io", "CSINode", "Name,Drivers:i,Age"),
    (
        "storage.k8s.io",
        "CSIDriver",
        "Name,AttachRequired:b,PodInfoOnMount:b,StorageCapacity:b,TokenRequests,RequiresRepublish:b,Modes,Age",
    ),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "Name,Webhooks:i,Age"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "Name,Webhooks:i,Age"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "Name,Validations:i,ParamKind,Age"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", "Name,PolicyName,ParamRef,Age"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy", "Name,Mutations:i,ParamKind,Age"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", "Name,PolicyName,ParamRef,Age"),
    (
        "flowcontrol.apiserver.k8s.io",
        "FlowSchema",
        "Name,PriorityLevel,MatchingPrecedence,DistinguisherMethod,Age,MissingPL",
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "PriorityLevelConfiguration",
        "Name,Type,NominalConcurrencyShares,Queues,HandSize,QueueLengthLimit,Age",
    ),
    ("resource.k8s.io", "DeviceClass", "Name,Age"),
    ("resource.k8s.io", "ResourceClaim", "Name,State,Age"),
    ("resource.k8s.io", "ResourceClaimTemplate", "Name,Age"),
    ("resource.k8s.io", "ResourceSlice", "Name,Node,Driver,Pool,Age"),
    ("networking.k8s.io", "ServiceCIDR", "Name,CIDRs,Age"),
    ("networking.k8s.io", "IPAddress", "Name,ParentRef"),
    ("apiregistration.k8s.io", "APIService", "Name,Service,Available,Age"),
    ("plugins.portcullis.dev", "Plugin", "Name,Stage,Ready,Loaded,Mode,Order:i,Calls:i,Errors:i,P99,Age,Digest*"),
    ("plugins.portcullis.dev", "Module", "Name,Stage,Size,Age,Imports*"),
];

/// The columns of a kind that has its own; `None` for those that get name and time.
pub(super) fn spec(group: &str, kind: &str) -> Option<&'static str> {
    SPECS.iter().find(|spec| spec.0 == group && spec.1 == kind).map(|spec| spec.2)
}

pub(super) fn columns(group: &str, kind: &str, descriptions: &dyn Descriptions) -> Vec<Column> {
    let describe = |name: &str| described::describe(kind, name, descriptions);
    let Some(spec) = spec(group, kind) else {
        return ["Name", "Created At"]
            .map(|name| column(name, if name == "Name" { "string" } else { "date" }, 0, describe(name)))
            .into();
    };
    let parse = |text: &str| {
        let (text, priority) = text.strip_suffix('*').map_or((text, 0), |text| (text, 1));
        let (name, type_) = match text.split_once(':') {
            Some((name, "i")) => (name, "integer"),
            Some((name, _)) => (name, "boolean"),
            None => (text, "string"),
        };
        // The reference marks an attachment's attacher as a name too, and leaves the mark off a scale's name.
        let mut column = column(name, type_, priority, describe(name));
        match (kind, name) {
            ("VolumeAttachment", "Attacher") => column.format = "name".to_owned(),
            ("Scale", "Name") => column.format.clear(),
            _ => {}
        }
        column
    };
    spec.split(',').map(parse).collect()
}

/// A column with the format that its name implies.
pub(super) fn column(name: &str, type_: &str, priority: i32, description: String) -> Column {
    Column {
        name: name.to_owned(),
        type_: type_.to_owned(),
        format: if name == "Name" { "name".to_owned() } else { String::new() },
        description,
        priority,
    }
}

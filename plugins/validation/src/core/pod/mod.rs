//! Pods, and the specs of pods inside other kinds.
//!
//! [`spec`] checks what is common to both; what only a pod itself must satisfy is in [`check`]. Order matters: clients
//! see the errors in the order in which they are found.

mod affinity;
pub(crate) mod annotations;
mod claims;
mod containers;
mod dns;
mod env;
mod handlers;
mod mounts;
pub(crate) mod resources;
pub(crate) mod scheduling;
mod security;
mod sources;
mod status;
mod update;
pub(crate) mod volume_kinds;
mod volumes;
mod windows;

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, SPEC, formats, meta};

pub(crate) use affinity::node_selector;
pub(crate) use handlers::port as handler_port;

/// What the checks of a pod's parts need to know of the whole.
pub(crate) struct Context<'a> {
    /// The spec.
    spec: ValueRef<'a>,
    /// Whether this is a pod, and not a template.
    is_pod: bool,
    /// The name of the pod; empty for a template.
    pod_name: &'a str,
    /// Whether containers may have all rights of their host.
    allow_privileged: bool,
}

impl Context<'_> {
    /// How long the containers have to end.
    fn grace(&self) -> Option<i64> {
        self.spec.get("terminationGracePeriodSeconds").as_i64()
    }

    fn restart_policy(&self) -> &str {
        self.spec.get("restartPolicy").str_or_empty()
    }

    /// Whether the containers share the host's user namespace.
    fn host_users(&self) -> bool {
        self.spec.get("hostUsers").as_bool() != Some(false)
    }

    fn flag(&self, name: &str) -> bool {
        self.spec.get(name).as_bool() == Some(true)
    }
}

/// A Pod.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    match review.subresource {
        "status" => return status::check(review, errors),
        "resize" => return update::resize(review, errors),
        "ephemeralcontainers" => return update::ephemeral_containers(review, errors),
        _ => {}
    }
    whole(review, errors);
    if review.update {
        return update::check(review, errors);
    }
    let spec = review.spec();
    annotations::agree(SPEC, review.object.get("metadata"), spec, errors);
    if !spec.get("ephemeralContainers").is_empty() {
        errors.forbidden(SPEC.child("ephemeralContainers"), "cannot be set on create");
    }
    if !spec.get("nodeName").str_or_empty().is_empty() && !spec.get("schedulingGates").is_empty() {
        errors.forbidden(SPEC.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
}

/// A pod's spec and annotations.
fn whole(review: &Review, errors: &mut Errors) {
    let pod = review.spec();
    annotations::check(Field::new("metadata.annotations"), review.object.get("metadata"), pod, errors);
    let context =
        Context { spec: pod, is_pod: true, pod_name: review.name(), allow_privileged: review.allow_privileged };
    check_spec(SPEC, &context, errors);
    let volumes = SPEC.child("volumes");
    if pod.get("serviceAccountName").str_or_empty().is_empty() {
        for (index, volume) in pod.get("volumes").iter().enumerate() {
            let at = volumes.index(index);
            let at = at.child("projected.sources");
            for (index, source) in volume.get("projected").get("sources").iter().enumerate() {
                if !source.get("serviceAccountToken").is_none() {
                    let detail = "must not be specified when serviceAccountName is not set";
                    errors.forbidden(at.index(index).child("serviceAccountToken"), detail);
                }
            }
        }
    }
    for list in ["containers", "initContainers"] {
        let at = SPEC.child(list);
        for (index, container) in pod.get(list).iter().enumerate() {
            plain_image(&at.index(index), container, errors);
        }
    }
}

/// Templates may be sloppy about white space around an image, pods may not.
fn plain_image(at: &Field, container: ValueRef, errors: &mut Errors) {
    let image = container.get("image").str_or_empty();
    if image != image.trim() {
        errors.invalid(at.child("image"), image, "must not have leading or trailing whitespace");
    }
}

/// A template at `at`: labels, annotations and spec.
pub(crate) fn template(at: Field, template: ValueRef, review: &Review, errors: &mut Errors) {
    let (metadata, spec) = (template.get("metadata"), template.get("spec"));
    let marks = at.child("annotations");
    meta::labels(at.child("labels"), metadata.get("labels"), errors);
    meta::annotations(marks, metadata.get("annotations"), errors);
    annotations::check(marks, metadata, spec, errors);
    let place = at.child("spec");
    let allow_privileged = review.allow_privileged;
    check_spec(place, &Context { spec, is_pod: false, pod_name: "", allow_privileged }, errors);
    annotations::agree(place, metadata, spec, errors);
    if !spec.get("ephemeralContainers").is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.forbidden(place.child("ephemeralContainers"), detail);
    }
}

/// All containers of a spec with the lists that they are in.
fn all_containers<'a>(spec: ValueRef<'a>) -> impl Iterator<Item = (&'static str, usize, ValueRef<'a>)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(move |list| spec.get(list).iter().enumerate().map(move |(index, container)| (list, index, container)))
}

fn check_spec(at: Field, context: &Context, errors: &mut Errors) {
    let spec = context.spec;
    let text = |name| spec.get(name).str_or_empty();
    if context.grace().is_none() {
        errors.required(at.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes::check(&at.child("volumes"), context, errors);
    claims::check(&at, context, errors);
    containers::check(&at, context, &volumes, errors);
    resources::pod_level(&at.child("resources"), context, errors);
    host_ports(&at, context, errors);
    errors.needs_one_of(at.child("restartPolicy"), text("restartPolicy"), &["Always", "OnFailure", "Never"]);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    errors.needs_one_of(at.child("dnsPolicy"), text("dnsPolicy"), &policies);
    meta::labels(at.child("nodeSelector"), spec.get("nodeSelector"), errors);
    security::pod(&at, context, errors);
    affinity::check(&at.child("affinity"), spec.get("affinity"), errors);
    dns::config(&at.child("dnsConfig"), spec, errors);
    scheduling::gates(&at, spec, errors);
    scheduling::spread(&at.child("topologySpreadConstraints"), spec, errors);
    windows::host_process(&at, context, errors);
    security::host_users(&at, context, errors);
    names(&at, context, errors);
    scheduling::tolerations(&at.child("tolerations"), spec.get("tolerations"), errors);
    dns::host_aliases(&at.child("hostAliases"), spec, errors);
    if !text("priorityClassName").is_empty() {
        let class = text("priorityClassName");
        errors.invalid_each(at.child("priorityClassName"), class, formats::dns_subdomain(class));
    }
    if let Some(class) = spec.get("runtimeClassName").as_str() {
        errors.invalid_each(at.child("runtimeClassName"), class, formats::dns_subdomain(class));
    }
    let policies = ["PreemptLowerPriority", "Never"];
    errors.may_be_one_of(at.child("preemptionPolicy"), spec.get("preemptionPolicy"), &policies);
    resources::overhead(&at.child("overhead"), spec.get("overhead"), errors);
    windows::os(&at, context, errors);
}

/// On the host's network, a container's port is the host's.
fn host_ports(at: &Field, context: &Context, errors: &mut Errors) {
    if !context.flag("hostNetwork") {
        return;
    }
    let list = at.child("containers");
    for (index, container) in context.spec.get("containers").iter().enumerate() {
        let at = list.index(index);
        let at = at.child("ports");
        for (index, port) in container.get("ports").iter().enumerate() {
            let host = port.get("hostPort").as_i64().unwrap_or(0);
            let same = host == port.get("containerPort").as_i64().unwrap_or(0);
            if (context.is_pod || host != 0) && !same {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(at.index(index).child("hostPort"), &host, detail);
            }
        }
    }
}

/// Names of what the pod refers to, and its own in the DNS.
fn names(at: &Field, context: &Context, errors: &mut Errors) {
    let spec = context.spec;
    let rules: [(&str, meta::NameRule); 2] =
        [("serviceAccountName", formats::dns_subdomain), ("nodeName", formats::dns_subdomain)];
    for (field, rule) in rules {
        let name = spec.get(field).str_or_empty();
        if !name.is_empty() {
            errors.invalid_each(at.child(field), name, rule(name));
        }
    }
    if let Some(seconds) = spec.get("activeDeadlineSeconds").as_i64() {
        let wrong = formats::in_range(seconds, 1, i64::from(i32::MAX));
        errors.invalid_each(at.child("activeDeadlineSeconds"), &seconds, wrong);
    }
    for field in ["hostname", "subdomain"] {
        let name = spec.get(field).str_or_empty();
        if !name.is_empty() {
            errors.invalid_each(at.child(field), name, formats::dns_label(name));
        }
    }
    dns::hostname_override(at, context, errors);
}

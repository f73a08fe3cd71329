//! What a container or a whole pod asks for.

use portcullis_sdk::ValueRef;

use super::{Context, claims};
use crate::errors::NON_NEGATIVE;
use crate::quantity::Quantity;
use crate::{Errors, Field, formats};

/// Resources that need no domain.
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
/// Those of them that are counted.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// Those that a container may ask for.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE: &str = "hugepages-";

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && formats::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether more of it may be promised than there is.
pub(crate) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE)
}

/// The name of a resource.
pub(crate) fn name(at: &Field, name: &str, errors: &mut Errors) -> bool {
    let wrong = formats::qualified_name(name);
    let good = wrong.is_empty();
    errors.invalid_each(at, name, wrong);
    let quota_of_huge = name.starts_with("requests.hugepages-");
    if good && !name.contains('/') && !STANDARD.contains(&name) && !name.starts_with(HUGE) && !quota_of_huge {
        errors.invalid(at, name, "must be a standard resource type or fully qualified");
        return false;
    }
    good
}

/// The name of a resource that a container may ask for.
pub(crate) fn container_name(at: &Field, resource: &str, errors: &mut Errors) {
    name(at, resource, errors);
    if !resource.contains('/') {
        if !OF_CONTAINERS.contains(&resource) && !resource.starts_with(HUGE) {
            errors.invalid(at, resource, "must be a standard resource for containers");
        }
    } else if !is_native(resource) && !is_extended(resource) {
        errors.invalid(at, resource, "doesn't follow extended resource name standard");
    }
}

/// An amount of the named resource.
pub(crate) fn amount(at: &Field, name: &str, value: ValueRef, errors: &mut Errors) {
    let Some(amount) = Quantity::read(value) else { return };
    if amount < Quantity::ZERO {
        errors.invalid(at, &value, NON_NEGATIVE);
    }
    if (COUNTED.contains(&name) || is_extended(name)) && !amount.is_whole() {
        errors.invalid(at, &value, "must be an integer");
    }
}

fn huge_pages(at: &Field, name: &str, value: ValueRef, errors: &mut Errors) {
    let Some(size) = name.strip_prefix(HUGE) else { return };
    let fits = match (Quantity::read(value), Quantity::parse(size)) {
        (Some(amount), Some(size)) => {
            amount > Quantity::ZERO && amount.is_multiple_of(size) || amount == Quantity::ZERO
        }
        _ => true,
    };
    if !fits {
        let detail = format!("{} is not positive integer multiple of {name}", text(value));
        errors.invalid(at, &value, detail);
    }
}

/// A quantity as text.
pub(crate) fn text(value: ValueRef) -> String {
    value.as_str().map_or_else(|| value.as_i64().unwrap_or(0).to_string(), str::to_owned)
}

/// Requests and limits at `at`; `pod` is the spec whose claims they may name.
pub(crate) fn check(at: &Field, resources: ValueRef, pod: Option<ValueRef>, errors: &mut Errors) {
    requirements(at, resources, container_name, errors);
    claims::of_container(&at.child("claims"), resources.get("claims"), pod.unwrap_or(ValueRef::ABSENT), errors);
}

fn requirements(at: &Field, resources: ValueRef, name_rule: fn(&Field, &str, &mut Errors), errors: &mut Errors) {
    let (requests, limits) = (resources.get("requests"), resources.get("limits"));
    let (limits_at, requests_at) = (at.child("limits"), at.child("requests"));
    for (name, value) in limits.entries() {
        let at = limits_at.key(name);
        name_rule(&at, name, errors);
        amount(&at, name, value, errors);
        huge_pages(&at, name, value, errors);
    }
    for (name, value) in requests.entries() {
        let at = requests_at.key(name);
        name_rule(&at, name, errors);
        amount(&at, name, value, errors);
        let limit = limits.get(name);
        if limit.is_none() {
            if !may_overcommit(name) {
                errors.required(limits_at, "Limit must be set for non overcommitable resources");
            }
        } else if let (Some(asked), Some(most)) = (Quantity::read(value), Quantity::read(limit)) {
            let of = format!("{name} limit of {}", text(limit));
            if asked != most && !may_overcommit(name) {
                errors.invalid(requests_at, &value, format!("must be equal to {of}"));
            } else if asked > most {
                errors.invalid(requests_at, &value, format!("must be less than or equal to {of}"));
            }
        }
        huge_pages(&at, name, value, errors);
    }
    let any = |test: fn(&str) -> bool| limits.entries().chain(requests.entries()).any(|(name, _)| test(name));
    if any(|name| name.starts_with(HUGE)) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.forbidden(at, "HugePages require cpu or memory");
    }
}

/// What a sandbox costs on top.
pub(crate) fn overhead(at: &Field, overhead: ValueRef, errors: &mut Errors) {
    let limits = at.child("limits");
    for (name, value) in overhead.entries() {
        let at = limits.key(name);
        container_name(&at, name, errors);
        amount(&at, name, value, errors);
        huge_pages(&at, name, value, errors);
    }
}

fn pod_name(at: &Field, resource: &str, errors: &mut Errors) {
    if name(at, resource, errors) && !matches!(resource, "cpu" | "memory") && !resource.starts_with(HUGE) {
        errors.not_supported(at, resource, &["cpu", "memory"]);
    }
}

/// What a pod asks for as a whole; its containers must fit into it.
pub(super) fn pod_level(at: &Field, context: &Context, errors: &mut Errors) {
    let resources = context.spec.get("resources");
    if resources.is_none() {
        return;
    }
    if !resources.get("claims").is_empty() {
        errors.forbidden(at.child("claims"), "claims cannot be set for Resources at pod-level");
    }
    requirements(at, resources, pod_name, errors);
    let requests = at.child("requests");
    for (name, whole) in resources.get("requests").entries() {
        let asked = |container: ValueRef| Quantity::read(container.get("resources").get("requests").get(name));
        let sum = context.spec.get("containers").iter().filter_map(asked).reduce(Quantity::plus);
        if let (Some(sum), Some(amount)) = (sum, Quantity::read(whole))
            && sum > amount
        {
            let detail = format!("must be greater than or equal to aggregate container requests of {}", sum.text(name));
            errors.invalid(requests.key(name), &whole, detail);
        }
    }
    let list = at.child("containers");
    for (index, container) in context.spec.get("containers").iter().enumerate() {
        for (name, limit) in container.get("resources").get("limits").entries() {
            let whole = resources.get("limits").get(name);
            if Quantity::read(whole).zip(Quantity::read(limit)).is_some_and(|(whole, limit)| limit > whole) {
                let detail = format!("must be less than or equal to pod limits of {}", text(whole));
                errors.invalid(list.index(index).key(name).child("limits"), &limit, detail);
            }
        }
    }
}

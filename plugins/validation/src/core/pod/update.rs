//! What may change of a pod: nearly nothing, and a little more by `resize` and `ephemeralcontainers`.

use portcullis_sdk::ValueRef;

use super::{annotations, plain_image, whole};
use crate::quantity::Quantity;
use crate::shown::{Nothing, Typed, diff};
use crate::values::{same, same_but, same_quantities};
use crate::{Errors, Field, Review, SPEC, formats};

const FREE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                    existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                    previously negative)";
const NODES: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// An update of the pod itself, whose new form is good.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    annotations::update(review, errors);
    let (new, old) = (review.spec(), review.old_spec());
    for list in ["containers", "initContainers"] {
        let at = SPEC.child(list);
        if new.get(list).len() != old.get(list).len() {
            return errors.forbidden(at, "pod updates may not add or remove containers");
        }
        for (index, container) in new.get(list).iter().enumerate() {
            let at = at.index(index);
            errors.needs(at.child("image"), container.get("image").str_or_empty());
            plain_image(&at, container, errors);
        }
    }
    if !deadline(new, old, errors) {
        return;
    }
    tolerations(new, old, errors);
    gates(new, old, errors);
    let gated = !old.get("schedulingGates").is_empty();
    if gated {
        placement(new, old, errors);
    }
    if !only_free_fields_differ(new, old, gated) {
        let difference = diff::lines(&Typed("PodSpec", old).pretty(), &munged(new, old, gated));
        errors.forbidden(SPEC, format!("{FREE}\n{difference}"));
    }
}

/// A deadline may be set, and come nearer. `false` ends the check.
fn deadline(new: ValueRef, old: ValueRef, errors: &mut Errors) -> bool {
    let at = SPEC.child("activeDeadlineSeconds");
    let before = old.get("activeDeadlineSeconds").as_i64();
    match new.get("activeDeadlineSeconds").as_i64() {
        Some(after) => {
            if let Some(wrong) = formats::in_range(after, 0, i64::from(i32::MAX)) {
                errors.invalid(at, &after, wrong);
                return false;
            }
            if before.is_some_and(|before| after > before) {
                errors.invalid(at, &after, "must be less than or equal to previous value");
                return false;
            }
        }
        None if before.is_some() => {
            errors.invalid(at, &Nothing, "must not update from a positive integer to nil value");
        }
        None => {}
    }
    true
}

fn tolerations(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("tolerations");
    let kept = |one: ValueRef| new.get("tolerations").iter().any(|other| same_but(one, other, &["tolerationSeconds"]));
    if old.get("tolerations").iter().all(kept) {
        super::scheduling::tolerations(&at, new.get("tolerations"), errors);
    } else {
        errors.forbidden(at, "existing toleration can not be modified except its tolerationSeconds");
    }
}

fn gates(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("schedulingGates");
    for (index, gate) in new.get("schedulingGates").iter().enumerate() {
        let name = gate.get("name").str_or_empty();
        if !old.get("schedulingGates").iter().any(|one| one.get("name").is_str(name)) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.forbidden(at.index(index).child("name"), detail);
        }
    }
}

/// While a pod is held back, what it asks of nodes may become more.
fn placement(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let (selector, before) = (new.get("nodeSelector"), old.get("nodeSelector"));
    if before.entries().any(|(key, value)| !selector.get(key).is_str(value.str_or_empty())) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.invalid(SPEC.child("nodeSelector"), &selector, detail);
    }
    let terms = format!("/affinity/nodeAffinity/{NODES}/nodeSelectorTerms");
    let (before, after) = (old.pointer(&terms), new.pointer(&terms));
    let at = SPEC.child("affinity.nodeAffinity");
    let at = at.child(NODES);
    let at = at.child("nodeSelectorTerms");
    if before.is_empty() {
        return;
    }
    if before.len() != after.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return errors.invalid(at, &after, detail);
    }
    for (index, (one, other)) in before.iter().zip(after.iter()).enumerate() {
        if !only_adds(one, other) {
            let shown = Typed("NodeSelectorTerm", other);
            errors.invalid(at.index(index), &shown, "only additions are allowed (no mutations or deletions)");
        }
    }
}

fn only_adds(before: ValueRef, after: ValueRef) -> bool {
    let lists = ["matchExpressions", "matchFields"];
    if lists.iter().all(|list| before.get(list).is_empty()) {
        return lists.iter().all(|list| after.get(list).is_empty());
    }
    lists.iter().all(|list| {
        let (before, after) = (before.get(list), after.get(list));
        before.len() <= after.len() && before.iter().zip(after.iter()).all(|(one, other)| same(one, other))
    })
}

/// Members of a spec that are judged on their own.
fn free(new: ValueRef, old: ValueRef, gated: bool) -> Vec<&'static str> {
    let mut free = vec!["containers", "initContainers", "activeDeadlineSeconds", "tolerations", "schedulingGates"];
    let grace = |spec: ValueRef| spec.get("terminationGracePeriodSeconds").as_i64();
    if grace(old).is_some_and(|seconds| seconds < 0) && grace(new) == Some(1) {
        free.push("terminationGracePeriodSeconds");
    }
    // The deprecated name of serviceAccountName follows it.
    free.push("serviceAccount");
    if gated {
        free.extend(["nodeSelector", "affinity"]);
    }
    free
}

fn only_free_fields_differ(new: ValueRef, old: ValueRef, gated: bool) -> bool {
    let containers =
        |list| new.get(list).iter().zip(old.get(list).iter()).all(|(new, old)| same_container(new, old, &["image"]));
    let affinity = !gated || same_but(new.get("affinity"), old.get("affinity"), &["nodeAffinity"]);
    same_but(new, old, &free(new, old, gated)) && containers("containers") && containers("initContainers") && affinity
}

/// Whether two containers say the same, but for some members; quantities may be written differently.
fn same_container(new: ValueRef, old: ValueRef, free: &[&str]) -> bool {
    let free = [free, &["resources"]].concat();
    let (asks, asked) = (new.get("resources"), old.get("resources"));
    same_but(new, old, &free)
        && same(asks.get("claims"), asked.get("claims"))
        && ["limits", "requests"].iter().all(|list| same_quantities(asks.get(list), asked.get(list)))
}

/// The new spec for a message, with the old values where a change is allowed.
fn munged(new: ValueRef, old: ValueRef, gated: bool) -> String {
    let (mut spec, before) = (portcullis_sdk::to_json(new), portcullis_sdk::to_json(old));
    for member in free(new, old, gated).into_iter().skip(2) {
        spec[member] = before[member].clone();
    }
    for list in ["containers", "initContainers"] {
        for (container, old) in
            spec[list].as_array_mut().into_iter().flatten().zip(before[list].as_array().into_iter().flatten())
        {
            container["image"] = old["image"].clone();
        }
    }
    crate::shown::pretty_json("PodSpec", &spec)
}

/// New ephemeral containers: those that are there stay as they are.
pub(super) fn ephemeral_containers(review: &Review, errors: &mut Errors) {
    whole(review, errors);
    annotations::update(review, errors);
    if annotations::is_mirror(review.old) {
        return errors.forbidden(Field::new(""), "static pods do not support ephemeral containers");
    }
    let (at, new) = (SPEC.child("ephemeralContainers"), review.spec().get("ephemeralContainers"));
    for old in review.old_spec().get("ephemeralContainers") {
        let name = old.get("name").str_or_empty();
        match new.iter().find(|one| one.get("name").is_str(name)) {
            None => errors.forbidden(at, format!("existing ephemeral containers {name:?} may not be removed\n")),
            Some(one) if !same(one, old) => {
                let text = |value| Typed("EphemeralContainer", value).pretty();
                let difference = diff::lines(&text(old), &text(one));
                let detail = format!("existing ephemeral containers {name:?} may not be changed\n{difference}");
                errors.forbidden(at, detail);
            }
            Some(_) => {}
        }
    }
}

/// Other requests and limits of cpu and memory for containers that run.
pub(super) fn resize(review: &Review, errors: &mut Errors) {
    whole(review, errors);
    let (new, old) = (review.spec(), review.old_spec());
    let place = Field::new("");
    for (refuses, detail) in [
        (annotations::is_mirror(review.old), "static pods cannot be resized"),
        (old.get("os").get("name").is_str("windows"), "windows pods cannot be resized"),
    ] {
        if refuses {
            *errors = Errors::new();
            return errors.forbidden(place, detail);
        }
    }
    if quality(new) != quality(old) {
        let class = review.object.get("status").get("qosClass").str_or_empty();
        errors.invalid(SPEC, class, "Pod QOS Class may not change as a result of resizing");
    }
    if !supported(review.old) {
        errors.forbidden(SPEC, "Pod running on node without support for resize");
    }
    whole_resources(new.get("resources"), old.get("resources"), errors);
    if !review.old.get("status").get("nodeAllocatableResourceClaimStatuses").is_empty() {
        errors.forbidden(SPEC, "pods with node allocatable resource claims cannot be resized");
    }
    if !same_containers(new, old, errors) {
        return;
    }
    for list in ["initContainers", "containers"] {
        let at = SPEC.child(list);
        for (index, (new, old)) in new.get(list).iter().zip(old.get(list).iter()).enumerate() {
            removed(&at.index(index).child("resources"), new.get("resources"), old.get("resources"), "", errors);
        }
    }
    for (new, old) in new.get("containers").iter().zip(old.get("containers").iter()) {
        if !only_cpu_and_memory(new, old) {
            errors.forbidden(SPEC, "only cpu and memory resources are mutable");
        }
    }
    let at = SPEC.child("initContainers");
    for (index, (new, old)) in new.get("initContainers").iter().zip(old.get("initContainers").iter()).enumerate() {
        let at = at.index(index);
        if !only_cpu_and_memory(new, old) {
            errors.forbidden(at, "only cpu and memory resources for init or sidecar containers are mutable");
        }
        if new.get("restartPolicy").is_str("Always") || same_container(new, old, &[]) {
            continue;
        }
        let restarts = |policy: ValueRef| policy.get("restartPolicy").is_str("RestartContainer");
        for _ in new.get("resizePolicy").iter().filter(|policy| restarts(*policy)) {
            let detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
            errors.forbidden(at, detail);
        }
    }
}

/// Whether the node can resize: nodes that cannot do not report what running containers have.
fn supported(pod: ValueRef) -> bool {
    let mut statuses = pod.get("status").get("containerStatuses").iter();
    statuses.find(|one| !one.get("state").get("running").is_none()).is_none_or(|one| !one.get("resources").is_none())
}

/// What the pod asks for as a whole.
fn whole_resources(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let set = |resources: ValueRef| !resources.get("requests").is_empty() || !resources.get("limits").is_empty();
    if !set(new) && !set(old) {
        return;
    }
    let at = SPEC.child("resources");
    if !old.is_none() && new.is_none() {
        return errors.forbidden(at, "pod-level resources cannot be removed");
    }
    removed(&at, new, old, "pod-level ", errors);
    let rest = |list: &str| other_than_cpu_and_memory(new.get(list), old.get(list));
    if !rest("requests") || !rest("limits") || !same_but(new, old, &["requests", "limits"]) {
        errors.forbidden(SPEC, "only cpu and memory resources are mutable at pod-level");
    }
}

/// Whether both have the same containers in the same order.
fn same_containers(new: ValueRef, old: ValueRef, errors: &mut Errors) -> bool {
    let before = errors.len();
    for list in ["containers", "initContainers"] {
        let at = SPEC.child(list);
        if new.get(list).len() != old.get(list).len() {
            errors.forbidden(at, format!("{list} may not be added or removed on resize"));
            continue;
        }
        for (index, (new, old)) in new.get(list).iter().zip(old.get(list).iter()).enumerate() {
            if !new.get("name").is_str(old.get("name").str_or_empty()) {
                let detail = format!("{list} may not be renamed or reordered on resize");
                errors.forbidden(at.index(index).child("name"), detail);
            }
        }
    }
    errors.len() == before
}

fn removed(at: &Field, new: ValueRef, old: ValueRef, whose: &str, errors: &mut Errors) {
    for list in ["requests", "limits"] {
        if old.get(list).entries().any(|(name, _)| new.get(list).get(name).is_none()) {
            errors.forbidden(at.child(list), format!("{whose}resource {list} cannot be removed"));
        }
    }
}

/// Whether two lists of resources say the same of all but cpu and memory.
fn other_than_cpu_and_memory(new: ValueRef, old: ValueRef) -> bool {
    let other = |name: &str| !matches!(name, "cpu" | "memory");
    let equal = |one: ValueRef, two: ValueRef| Quantity::read(one) == Quantity::read(two);
    new.entries().filter(|(name, _)| other(name)).all(|(name, value)| equal(value, old.get(name)))
        && old.entries().filter(|(name, _)| other(name)).all(|(name, value)| equal(value, new.get(name)))
}

/// Claims go too: a container that has any cannot be resized.
fn only_cpu_and_memory(new: ValueRef, old: ValueRef) -> bool {
    let (asks, asked) = (new.get("resources"), old.get("resources"));
    let rest = |list: &str| other_than_cpu_and_memory(asks.get(list), asked.get(list));
    rest("requests") && rest("limits") && asked.get("claims").is_empty() && same_but(new, old, &["resources"])
}

/// How much a pod's containers are promised: all of what they may use, some, or nothing.
fn quality(spec: ValueRef) -> &'static str {
    let (mut any, mut all) = (false, true);
    let whole = spec.get("resources");
    let whole = (!whole.get("requests").is_empty() || !whole.get("limits").is_empty()).then_some(spec);
    let containers = spec.get("containers").iter().chain(spec.get("initContainers").iter());
    for container in whole.into_iter().chain(containers.filter(|_| whole.is_none())) {
        for resource in ["cpu", "memory"] {
            let amount = |list: &str| {
                let value = Quantity::read(container.get("resources").get(list).get(resource));
                value.filter(|amount| *amount > Quantity::ZERO)
            };
            let (asked, most) = (amount("requests"), amount("limits"));
            any |= asked.is_some() || most.is_some();
            all &= most.is_some() && asked.is_none_or(|asked| Some(asked) == most);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

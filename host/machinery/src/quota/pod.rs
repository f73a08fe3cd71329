//! What a pod takes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Amounts, compares, count};
use crate::object;
use crate::quantity::Quantity;

/// Limits under which every container has to say its part.
const REQUIRED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// Whether a limit of that name is about pods.
pub(super) fn concerns(name: &str) -> bool {
    let bare = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
    match bare {
        "pods" => name == bare,
        "cpu" | "memory" | "ephemeral-storage" => true,
        other if other.starts_with("hugepages-") => true,
        // Extended resources are limited by what is requested of them.
        other => name.starts_with("requests.") && other.contains('/') && !other.ends_with("requests.storage"),
    }
}

/// Adds the pod's share to `usage`. One that has ended takes nothing but its place among the objects.
pub(super) fn usage(pod: &Value, usage: &mut Amounts) {
    let over = matches!(object::str_at(pod, &["status", "phase"]), Some("Failed" | "Succeeded"));
    let gone = object::deletion_timestamp(pod).is_some_and(|at| {
        let grace = object::i64_at(pod, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
        at.parse::<jiff::Timestamp>().is_ok_and(|at| {
            at.saturating_add(jiff::SignedDuration::from_secs(grace)).is_ok_and(|end| end < jiff::Timestamp::now())
        })
    });
    if over || gone {
        return;
    }
    usage.insert("pods".into(), count(1));
    for (name, amount) in total(pod, "requests") {
        let extended = name.contains('/');
        if !extended {
            usage.insert(name.clone(), amount);
        }
        usage.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in total(pod, "limits") {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            usage.insert(format!("limits.{name}"), amount);
        }
    }
}

type Sums = BTreeMap<String, Quantity>;

fn of(container: &Value, what: &str) -> Sums {
    super::amounts(object::get_at(container, &["resources", what]))
}

fn add(sums: &mut Sums, more: &Sums) {
    for (name, amount) in more {
        let sum = sums.entry(name.clone()).or_insert_with(|| count(0));
        *sum = sum.add(amount);
    }
}

fn raise(sums: &mut Sums, to: &Sums) {
    for (name, amount) in to {
        let sum = sums.entry(name.clone()).or_insert(*amount);
        *sum = (*sum).max(*amount);
    }
}

/// What the pod's containers ask for, or are limited to, together: the sum over those that run side by side, or what one
/// init container needs at its time if that is more, and the pod's overhead.
pub(super) fn total(pod: &Value, what: &str) -> Sums {
    let mut sums = Sums::new();
    for container in object::list_at(pod, &["spec", "containers"]) {
        add(&mut sums, &of(container, what));
    }
    // Init containers that restart run on beside what comes after them.
    let (mut beside, mut highest) = (Sums::new(), Sums::new());
    for container in object::list_at(pod, &["spec", "initContainers"]) {
        let own = of(container, what);
        if object::str_at(container, &["restartPolicy"]) == Some("Always") {
            add(&mut sums, &own);
            add(&mut beside, &own);
            raise(&mut highest, &beside);
        } else {
            let mut at_its_time = own;
            add(&mut at_its_time, &beside);
            raise(&mut highest, &at_its_time);
        }
    }
    raise(&mut sums, &highest);
    // What is said for the pod as a whole goes before what its containers say.
    for (name, amount) in super::amounts(object::get_at(pod, &["spec", "resources", what])) {
        sums.insert(name, amount);
    }
    let overhead = super::amounts(object::get_at(pod, &["spec", "overhead"]));
    if what == "requests" {
        add(&mut sums, &overhead);
    } else {
        for (name, amount) in overhead {
            if let Some(sum) = sums.get_mut(&name).filter(|sum| !sum.is_zero()) {
                *sum = sum.add(&amount);
            }
        }
    }
    sums
}

/// Every container has to say what a limit counts.
pub(super) fn constraints(names: &BTreeSet<String>, pod: &Value) -> Result<(), String> {
    let required: Vec<&str> = REQUIRED.into_iter().filter(|name| names.contains(*name)).collect();
    if required.is_empty() || object::get_at(pod, &["spec", "resources"]).is_some() {
        return Ok(());
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let lists = ["containers", "initContainers"].map(|list| object::list_at(pod, &["spec", list]));
    for container in lists.into_iter().flatten() {
        for name in &required {
            let (what, bare) = match name.split_once('.') {
                Some((what, bare)) => (what, bare),
                None => ("requests", *name),
            };
            if object::get_at(container, &["resources", what, bare]).is_none() {
                missing.entry(name).or_default().insert(object::str_at(container, &["name"]).unwrap_or_default());
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let parts = missing
        .iter()
        .map(|(name, containers)| format!("{name} for: {}", containers.iter().copied().collect::<Vec<_>>().join(",")));
    Err(format!("must specify {}", parts.collect::<Vec<_>>().join("; ")))
}

/// Whether the pod has a deadline.
pub(super) fn is_terminating(pod: &Value) -> bool {
    object::get_at(pod, &["spec", "activeDeadlineSeconds"]).and_then(Value::as_i64).is_some_and(|seconds| seconds >= 0)
}

/// Whether the pod is in a scope.
pub(super) fn in_scope(scope: &str, operator: &str, values: &[&str], pod: &Value) -> bool {
    let ends = is_terminating(pod);
    let best_effort = || {
        let lists = ["containers", "initContainers"].map(|list| object::list_at(pod, &["spec", list]));
        lists.into_iter().flatten().all(|container| {
            ["requests", "limits"].iter().all(|what| {
                let sums = of(container, what);
                ["cpu", "memory"].iter().all(|name| sums.get(*name).is_none_or(Quantity::is_zero))
            })
        })
    };
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => compares(operator, values, object::str_at(pod, &["spec", "priorityClassName"])),
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

fn crosses_namespaces(pod: &Value) -> bool {
    let crosses = |term: &Value| {
        !object::list_at(term, &["namespaces"]).is_empty()
            || object::get_at(term, &["namespaceSelector"]).is_some_and(|selector| !selector.is_null())
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|affinity| {
        let terms = |list: &str| object::list_at(pod, &["spec", "affinity", affinity, list]).iter();
        terms("requiredDuringSchedulingIgnoredDuringExecution").any(crosses)
            || terms("preferredDuringSchedulingIgnoredDuringExecution")
                .filter_map(|term| term.get("podAffinityTerm"))
                .any(crosses)
    })
}

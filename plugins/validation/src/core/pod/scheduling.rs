//! What keeps a pod from being placed, and how its kind is spread.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, formats, selector};

/// Conditions and gates that others set.
pub(super) fn gates(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let list = at.child("readinessGates");
    for (index, gate) in spec.get("readinessGates").iter().enumerate() {
        let condition = gate.get("conditionType").str_or_empty();
        let wrong = formats::qualified_name(condition);
        errors.invalid_each(list.index(index).child("conditionType"), condition, wrong);
    }
    let list = at.child("schedulingGates");
    let mut seen = BTreeSet::new();
    for (index, gate) in spec.get("schedulingGates").iter().enumerate() {
        let name = gate.get("name").str_or_empty();
        errors.invalid_each(list.index(index), name, formats::qualified_name(name));
        errors.unique(&mut seen, list.index(index), name);
    }
}

/// Tolerations of a pod.
pub(crate) fn tolerations(at: &Field, tolerations: ValueRef, errors: &mut Errors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        check_toleration(&at.index(index), toleration, errors);
    }
}

fn check_toleration(at: &Field, toleration: ValueRef, errors: &mut Errors) {
    let text = |field| toleration.get(field).str_or_empty();
    let (key, operator, value, effect) = (text("key"), text("operator"), text("value"), text("effect"));
    let place = at.child("operator");
    if !key.is_empty() {
        errors.invalid_each(at.child("key"), key, formats::qualified_name(key));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.invalid(place, operator, detail);
    }
    if !toleration.get("tolerationSeconds").is_none() && effect != "NoExecute" {
        errors.invalid(at.child("effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    match operator {
        "" | "Equal" => {
            let wrong = formats::label_value(value);
            if !wrong.is_empty() {
                errors.invalid(place, value, wrong.join(";"));
            }
        }
        "Exists" if !value.is_empty() => {
            errors.invalid(place, value, "value must be empty when `operator` is 'Exists'");
        }
        "Exists" => {}
        "Lt" | "Gt" => errors.not_supported(place, operator, &["Equal", "Exists", "Lt", "Gt"]),
        other => errors.not_supported(place, other, &["Equal", "Exists"]),
    }
    if !effect.is_empty() {
        errors.one_of(at.child("effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}

/// How pods are spread over the parts of the cluster.
pub(super) fn spread(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let constraints = spec.get("topologySpreadConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        let at = at.index(index);
        let skew = constraint.get("maxSkew").as_i64().unwrap_or(0);
        if skew <= 0 {
            errors.invalid(at.child("maxSkew"), &skew, "must be greater than zero");
        }
        let pair = |one: ValueRef| {
            [one.get("topologyKey").str_or_empty().to_owned(), one.get("whenUnsatisfiable").str_or_empty().to_owned()]
        };
        let [key, when] = pair(constraint);
        if key.is_empty() {
            errors.required(at.child("topologyKey"), "can not be empty");
        }
        errors.one_of(at.child("whenUnsatisfiable"), &when, &["DoNotSchedule", "ScheduleAnyway"]);
        if constraints.iter().skip(index + 1).any(|other| pair(other) == pair(constraint)) {
            let place = at.child("{topologyKey, whenUnsatisfiable}");
            errors.duplicate(place, format!("{{{key}, {when}}}").as_str());
        }
        min_domains(&at.child("minDomains"), constraint, &when, errors);
        for member in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            errors.may_be_one_of(at.child(member), constraint.get(member), &["Honor", "Ignore"]);
        }
        match_label_keys(&at.child("matchLabelKeys"), constraint, errors);
        selector::check(at.child("labelSelector"), constraint.get("labelSelector"), errors);
    }
}

fn min_domains(at: &Field, constraint: ValueRef, when: &str, errors: &mut Errors) {
    let Some(domains) = constraint.get("minDomains").as_i64() else { return };
    if domains <= 0 {
        errors.invalid(at, &domains, "must be greater than zero");
    }
    if when != "DoNotSchedule" {
        let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}");
        errors.invalid(at, &domains, detail);
    }
}

fn match_label_keys(at: &Field, constraint: ValueRef, errors: &mut Errors) {
    let (keys, selector) = (constraint.get("matchLabelKeys"), constraint.get("labelSelector"));
    if keys.is_empty() {
        return;
    }
    if selector.is_none() {
        errors.forbidden(at, "must not be specified when labelSelector is not set");
    }
    for (index, key) in keys.iter().enumerate() {
        let key = key.str_or_empty();
        errors.invalid_each(at.index(index), key, formats::qualified_name(key));
        let used = !selector.get("matchLabels").get(key).is_absent()
            || selector.get("matchExpressions").iter().any(|one| one.get("key").is_str(key));
        if used {
            errors.invalid(at.index(index), key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}

//! Where a pod may run: tolerations, node affinity, topology spread, scheduling gates.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::{Errors, formats};

/// Checks what the spec at `at` says about nodes.
pub(super) fn check(at: &str, spec: ValueRef, errors: &mut Errors) {
    for (index, toleration) in spec.get("tolerations").iter().enumerate() {
        check_toleration(&format!("{at}.tolerations[{index}]"), toleration, errors);
    }
    let required = spec.get("affinity").get("nodeAffinity").get("requiredDuringSchedulingIgnoredDuringExecution");
    if !required.is_none() {
        let field =
            format!("{at}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        if required.get("nodeSelectorTerms").is_empty() {
            errors.required(field.as_str(), "must have at least one node selector term");
        }
        for (index, term) in required.get("nodeSelectorTerms").iter().enumerate() {
            check_term(&format!("{field}[{index}]"), term, errors);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, constraint) in spec.get("topologySpreadConstraints").iter().enumerate() {
        check_spread(&format!("{at}.topologySpreadConstraints[{index}]"), constraint, errors);
        let (key, when) =
            (constraint.get("topologyKey").str_or_empty(), constraint.get("whenUnsatisfiable").str_or_empty());
        if !seen.insert((key, when)) {
            // The reference names the constraint before the repetition here.
            let field = format!("{at}.topologySpreadConstraints[{}].{{topologyKey, whenUnsatisfiable}}", index - 1);
            errors.duplicate(field, format!("{{{key}, {when}}}").as_str());
        }
    }
    let mut gates = BTreeSet::new();
    for (index, gate) in spec.get("schedulingGates").iter().enumerate() {
        let (field, name) = (format!("{at}.schedulingGates[{index}]"), gate.get("name").str_or_empty());
        errors.invalid_each(&field, name, formats::qualified_name(name));
        if !gates.insert(name) {
            errors.duplicate(field, name);
        }
    }
    if !spec.get("schedulingGates").is_empty() && !spec.get("nodeName").str_or_empty().is_empty() {
        errors.forbidden(format!("{at}.nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
    for (index, gate) in spec.get("readinessGates").iter().enumerate() {
        let condition = gate.get("conditionType").str_or_empty();
        errors.invalid_each(
            &format!("{at}.readinessGates[{index}].conditionType"),
            condition,
            formats::qualified_name(condition),
        );
    }
}

fn check_toleration(at: &str, toleration: ValueRef, errors: &mut Errors) {
    let text = |field| toleration.get(field).str_or_empty();
    let (key, operator, value, effect) = (text("key"), text("operator"), text("value"), text("effect"));
    if !key.is_empty() {
        errors.invalid_each(&format!("{at}.key"), key, formats::qualified_name(key));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.invalid(format!("{at}.operator"), operator, detail);
    }
    if !toleration.get("tolerationSeconds").is_none() && effect != "NoExecute" {
        errors.invalid(format!("{at}.effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    let field = format!("{at}.operator");
    match operator {
        "" | "Equal" => errors.invalid_each(&field, value, formats::label_value(value)),
        "Exists" if !value.is_empty() => {
            errors.invalid(field, value, "value must be empty when `operator` is 'Exists'")
        }
        "Exists" => {}
        "Lt" | "Gt" => errors.not_supported(field, operator, &["Equal", "Exists", "Lt", "Gt"]),
        other => errors.not_supported(field, other, &["Equal", "Exists"]),
    }
    if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        errors.not_supported(format!("{at}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}

fn check_term(at: &str, term: ValueRef, errors: &mut Errors) {
    for (index, expression) in term.get("matchExpressions").iter().enumerate() {
        let at = format!("{at}.matchExpressions[{index}]");
        let (operator, values) = (expression.get("operator").str_or_empty(), expression.get("values"));
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(format!("{at}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.forbidden(
                    format!("{at}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "Gt" | "Lt" if values.len() != 1 => {
                errors
                    .required(format!("{at}.values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.invalid(format!("{at}.operator"), other, "not a valid selector operator"),
        }
        let key = expression.get("key").str_or_empty();
        errors.invalid_each(&format!("{at}.key"), key, formats::qualified_name(key));
    }
}

fn check_spread(at: &str, constraint: ValueRef, errors: &mut Errors) {
    if let Some(skew) = constraint.get("maxSkew").as_i64().filter(|skew| *skew <= 0) {
        errors.invalid(format!("{at}.maxSkew"), &skew, "must be greater than zero");
    }
    if constraint.get("topologyKey").str_or_empty().is_empty() {
        errors.required(format!("{at}.topologyKey"), "can not be empty");
    }
    let when = constraint.get("whenUnsatisfiable").str_or_empty();
    if !matches!(when, "DoNotSchedule" | "ScheduleAnyway") {
        errors.not_supported(format!("{at}.whenUnsatisfiable"), when, &["DoNotSchedule", "ScheduleAnyway"]);
    }
    if let Some(domains) = constraint.get("minDomains").as_i64() {
        let field = format!("{at}.minDomains");
        if domains <= 0 {
            errors.invalid(field.as_str(), &domains, "must be greater than zero");
        }
        if when != "DoNotSchedule" {
            let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}");
            errors.invalid(field, &domains, detail);
        }
    }
    for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
        if let Some(policy) = constraint.get(field).as_str().filter(|policy| !matches!(*policy, "Honor" | "Ignore")) {
            errors.not_supported(format!("{at}.{field}"), policy, &["Honor", "Ignore"]);
        }
    }
    if !constraint.get("matchLabelKeys").is_empty() && constraint.get("labelSelector").is_none() {
        errors.forbidden(format!("{at}.matchLabelKeys"), "must not be specified when labelSelector is not set");
    }
}

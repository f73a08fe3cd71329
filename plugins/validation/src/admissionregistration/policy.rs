//! Admission policies and their bindings.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::{FAILURE_POLICIES, match_conditions, match_resources};
use crate::{Errors, Field, Review, SPEC, formats, selector};

const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

/// A ValidatingAdmissionPolicy.
pub(super) fn validating(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    common(spec, errors);
    let (validations, annotations) = (spec.get("validations"), spec.get("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        for member in ["validations", "auditAnnotations"] {
            let detail = "validations or auditAnnotations must contain at least one item";
            errors.required(SPEC.child(member), detail);
        }
    }
    match_conditions(&SPEC.child("matchConditions"), spec.get("matchConditions"), errors);
    let list = SPEC.child("validations");
    for (index, one) in validations.iter().enumerate() {
        validation(&list.index(index), one, errors);
    }
    audit_annotations(review.name(), annotations, errors);
}

/// A MutatingAdmissionPolicy.
pub(super) fn mutating(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    common(spec, errors);
    mutable(&SPEC.child("matchConstraints"), spec.get("matchConstraints"), errors);
    match_conditions(&SPEC.child("matchConditions"), spec.get("matchConditions"), errors);
    let (mutations, list) = (spec.get("mutations"), SPEC.child("mutations"));
    if mutations.is_empty() {
        errors.required(list, "mutations must contain at least one item");
    }
    for (index, one) in mutations.iter().enumerate() {
        mutation(&list.index(index), one, errors);
    }
    let policy = spec.get("reinvocationPolicy").str_or_empty();
    errors.needs_one_of(SPEC.child("reinvocationPolicy"), policy, &["IfNeeded", "Never"]);
}

/// Only what has an object in its body can be changed.
fn mutable(at: &Field, resources: ValueRef, errors: &mut Errors) {
    let rules = at.child("resourceRules");
    let place = rules.child("operations");
    for rule in resources.get("resourceRules").iter() {
        for operation in rule.get("operations").iter() {
            errors.one_of(place, operation.str_or_empty(), &["*", "CONNECT", "CREATE", "UPDATE"]);
        }
    }
}

/// What both kinds have.
fn common(spec: ValueRef, errors: &mut Errors) {
    errors.may_be_one_of(SPEC.child("failurePolicy"), spec.get("failurePolicy"), &FAILURE_POLICIES);
    let (parameters, at) = (spec.get("paramKind"), SPEC.child("paramKind"));
    if !parameters.is_none() {
        param_kind(&at, parameters, errors);
    }
    let (constraints, at) = (spec.get("matchConstraints"), SPEC.child("matchConstraints"));
    if constraints.is_none() {
        errors.required(at, "");
    } else {
        match_resources(&at, constraints, errors);
        if constraints.get("resourceRules").is_empty() {
            errors.required(at.child("resourceRules"), "");
        }
    }
    let list = SPEC.child("variables");
    for (index, variable) in spec.get("variables").iter().enumerate() {
        let at = list.index(index);
        let (name, expression) = (variable.get("name").str_or_empty(), variable.get("expression").str_or_empty());
        if name.trim().is_empty() {
            errors.required(at.child("name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid(at.child("name"), name, "must be a valid CEL identifier");
        }
        if expression.trim().is_empty() {
            errors.required(at.child("expression"), "expression is not specified");
        }
    }
}

fn is_identifier(name: &str) -> bool {
    const RESERVED: [&str; 21] = [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ];
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(inner) && !name.starts_with(|c: char| c.is_ascii_digit()) && !RESERVED.contains(&name)
}

fn param_kind(at: &Field, kind: ValueRef, errors: &mut Errors) {
    let (version, name) = (kind.get("apiVersion").str_or_empty(), kind.get("kind").str_or_empty());
    let place = at.child("apiVersion");
    if errors.needs(place, version) {
        if version.matches('/').count() > 1 {
            errors.invalid(place, version, format!("unexpected GroupVersion string: {version}"));
        } else {
            let (group, number) = version.split_once('/').unwrap_or(("", version));
            if !group.is_empty() {
                errors.invalid_each(place, group, formats::dns_subdomain(group));
            }
            if number.is_empty() {
                errors.invalid(place, version, "version must be specified");
            } else {
                errors.invalid_each(place, number, formats::dns_1035_label(number));
            }
        }
    }
    if errors.needs(at.child("kind"), name) {
        for wrong in formats::dns_1035_label(&name.to_lowercase()) {
            let detail = format!("may have mixed case, but should otherwise match: {wrong}");
            errors.invalid(at.child("kind"), name, detail);
        }
    }
}

fn validation(at: &Field, validation: ValueRef, errors: &mut Errors) {
    let text = |name| validation.get(name).str_or_empty();
    let (expression, message, by) = (text("expression"), text("message"), text("messageExpression"));
    if expression.trim().is_empty() {
        errors.required(at.child("expression"), "expression is not specified");
    }
    if !by.is_empty() && by.trim().is_empty() {
        errors.invalid(at.child("messageExpression"), by, "must be non-empty if specified");
    }
    let breaks = |text: &str| text.trim().contains(['\n', '\r']);
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(at.child("message"), message, "must be non-empty if specified");
    } else if breaks(message) {
        errors.invalid(at.child("message"), message, "must not contain line breaks");
    }
    errors.may_be_one_of(at.child("reason"), validation.get("reason"), &REASONS);
}

fn audit_annotations(policy: &str, annotations: ValueRef, errors: &mut Errors) {
    let list = SPEC.child("auditAnnotations");
    if annotations.len() > 20 {
        errors.invalid(list, &annotations, "must not have more than 20 auditAnnotations");
    }
    let mut seen = BTreeSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        let at = list.index(index);
        let (key, value) = (annotation.get("key").str_or_empty(), annotation.get("valueExpression").str_or_empty());
        if policy.is_empty() {
            errors.invalid(at.child("key"), key, "requires metadata.name be non-empty");
        } else {
            let whole = format!("{policy}/{key}");
            errors.invalid_each(at.child("key"), &whole, formats::qualified_name(&whole));
        }
        errors.unique(&mut seen, at.child("key"), key);
        if value.trim().is_empty() {
            errors.required(at.child("valueExpression"), "valueExpression is not specified");
        } else if value.trim().len() > 5 << 10 {
            errors.required(at.child("valueExpression"), "must not exceed 5kB in length");
        }
    }
}

fn mutation(at: &Field, mutation: ValueRef, errors: &mut Errors) {
    let (apply, json) = (("applyConfiguration", "ApplyConfiguration"), ("jsonPatch", "JSONPatch"));
    let kind = mutation.get("patchType").str_or_empty();
    let ((wanted, _), (other, _)) = match kind {
        "ApplyConfiguration" => (apply, json),
        "JSONPatch" => (json, apply),
        _ => {
            let kinds = ["ApplyConfiguration", "JSONPatch"];
            return errors.needs_one_of(at.child("patchType"), kind, &kinds);
        }
    };
    let given = mutation.get(wanted);
    if given.is_none() {
        errors.required(at.child(wanted), format!("must be specified when patchType is {kind}"));
    } else if given.get("expression").str_or_empty().trim().is_empty() {
        errors.required(at.child(wanted).child("expression"), "");
    }
    if !mutation.get(other).is_none() {
        let detail = format!("must not be specified when patchType is {kind}");
        errors.invalid(at.child(other), format!("{{{other}}}").as_str(), detail);
    }
}

/// A binding; one of a validating policy says what to do with what is refused.
pub(super) fn binding(review: &Review, validating: bool, errors: &mut Errors) {
    let spec = review.spec();
    let policy = spec.get("policyName").str_or_empty();
    if errors.needs(SPEC.child("policyName"), policy) {
        errors.invalid_each(SPEC.child("policyName"), policy, formats::dns_subdomain(policy));
    }
    let (parameters, at) = (spec.get("paramRef"), SPEC.child("paramRef"));
    if !parameters.is_none() {
        param_ref(&at, parameters, errors);
    }
    let resources = spec.get("matchResources");
    if !resources.is_none() {
        match_resources(&SPEC.child("matchResources"), resources, errors);
    }
    if validating {
        actions(spec.get("validationActions"), errors);
    } else {
        mutable(&SPEC.child("matchResources"), resources, errors);
    }
}

fn param_ref(at: &Field, reference: ValueRef, errors: &mut Errors) {
    let (name, labels) = (reference.get("name").str_or_empty(), reference.get("selector"));
    if !name.is_empty() {
        errors.invalid_each(at.child("name"), name, formats::path_segment(name));
        if !labels.is_none() {
            for member in ["name", "selector"] {
                errors.forbidden(at.child(member), "name and selector are mutually exclusive");
            }
        }
    }
    if !labels.is_none() {
        selector::check(at.child("selector"), labels, errors);
    } else if name.is_empty() {
        errors.required(at, "one of name or selector must be specified");
    }
    let action = reference.get("parameterNotFoundAction").str_or_empty();
    errors.needs_one_of(at.child("parameterNotFoundAction"), action, &["Allow", "Deny"]);
}

fn actions(actions: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("validationActions");
    if actions.is_empty() {
        errors.required(at, "at least one validation action is required");
    }
    let mut seen = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        let action = action.str_or_empty();
        errors.one_of(at.index(index), action, &["Audit", "Deny", "Warn"]);
        errors.unique(&mut seen, at.index(index), action);
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                      response and headers serves no purpose)";
        errors.invalid(at, &actions, detail);
    }
}

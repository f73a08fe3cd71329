//! The expressions in CEL that objects carry, checked when they are written.
//!
//! What else there is to check in such objects is the matter of object validators; what both find is one answer.

use portcullis_cel::devices::{self, SelectorError};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};

use crate::admission::AdmissionAttributes;
use crate::customresources::rules;
use crate::handlers::Scope;
use crate::{policies, webhooks};

/// What is wrong with the selectors of devices at or below a place: each is a list `selectors` of entries with `cel`.
fn selectors(value: &Value, place: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(members) => {
            if let Some(text) = object::str_at(value, &["cel", "expression"]).filter(|text| !text.is_empty()) {
                let field = format!("{place}.cel.expression");
                match devices::check(text) {
                    Ok(()) => {}
                    Err(SelectorError::Invalid(why)) => {
                        let shown = Value::from(text).to_string();
                        causes.push(Cause::field(FieldErrorType::Invalid, field, &shown, &why));
                    }
                    Err(error @ SelectorError::TooCostly) => {
                        causes.push(Cause::field(FieldErrorType::Forbidden, field, "", &error.to_string()));
                    }
                }
            }
            // Parameters for drivers are theirs, whatever they look like.
            for (key, value) in members.iter().filter(|(key, _)| !matches!(key.as_str(), "config" | "cel")) {
                selectors(value, &format!("{place}.{key}"), causes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                selectors(item, &format!("{place}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

/// Adds to what the object validators found what is wrong with the object's expressions.
///
/// # Errors
/// 422 with a cause for each thing that is wrong, or what the validators answered.
pub fn check(
    scope: &Scope,
    attributes: &AdmissionAttributes,
    object: &Value,
    checked: Result<(), Status>,
) -> Result<(), Status> {
    let definition = &scope.definition;
    let old = attributes.old_object.as_deref();
    let found = match &checked {
        Err(status) => status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default(),
        Ok(()) => &[],
    };
    let causes = match (definition.builtin && scope.sub().is_empty(), definition.kind.as_str()) {
        (true, "CustomResourceDefinition") => {
            rules::warn_of_formats(&scope.cx, object, old);
            rules::check_definition(object, old, found)
        }
        (true, "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy")
            if old.is_none_or(|old| old.get("spec") != object.get("spec")) =>
        {
            policies::definition::check(object, old)
        }
        (true, "ResourceClaim" | "ResourceClaimTemplate" | "DeviceClass")
            if old.is_none_or(|old| old.get("spec") != object.get("spec")) =>
        {
            let mut causes = Vec::new();
            selectors(object.get("spec").unwrap_or(&Value::Null), "spec", &mut causes);
            causes
        }
        (true, "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            webhooks::definition::check(object, old)
        }
        _ => Vec::new(),
    };
    if causes.is_empty() {
        return checked;
    }
    let mut all = match checked {
        Ok(()) => Vec::new(),
        Err(status) if status.reason == "Invalid" => status.details.map(|details| details.causes).unwrap_or_default(),
        Err(status) => return Err(status),
    };
    all.extend(causes);
    if definition.kind.ends_with("AdmissionPolicy") {
        policies::definition::sort(&mut all);
    }
    Err(Status::invalid(&definition.group, &definition.kind, &attributes.name, all))
}

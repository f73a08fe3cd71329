//! The expressions in CEL that objects carry, checked when they are written.
//!
//! What else there is to check in such objects is the matter of object validators; what both find is one answer.

use portcullis_machinery::{Status, Value};

use crate::admission::AdmissionAttributes;
use crate::customresources::rules;
use crate::handlers::Scope;
use crate::{policies, webhooks};

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
    let causes = match (definition.builtin && scope.sub().is_empty(), definition.kind.as_str()) {
        (true, "CustomResourceDefinition") => rules::check_definition(object, old),
        (true, "ValidatingAdmissionPolicy") if old.is_none_or(|old| old.get("spec") != object.get("spec")) => {
            policies::definition::check(object)
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
    Err(Status::invalid(&definition.group, &definition.kind, &attributes.name, all))
}

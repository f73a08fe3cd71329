//! Step 5 for custom resources: the metadata, the schema, what its extensions promise, and its rules.

use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::structural::{embedded, lists, meta, validate};
use portcullis_machinery::{Status, Value};

use super::{rules, scale};
use crate::admission::AdmissionAttributes;
use crate::handlers::Scope;

/// Checks an instance. Anything that is no custom resource passes.
///
/// # Errors
/// 422 with a cause for each thing that is wrong.
pub fn check(scope: &Scope, attributes: &AdmissionAttributes, object: &Value) -> Result<(), Status> {
    let definition = &scope.definition;
    let Some(custom) = definition.schema.custom() else { return Ok(()) };
    let schema = &**custom.structural();
    let old = attributes.old_object.as_deref();
    let causes = type_causes(object, &definition.kind, &definition.api_version());
    let causes = if causes.is_empty() {
        let mut causes = meta::check(object.get("metadata").unwrap_or(&Value::Null), definition.namespaced);
        if let Some(old) = old {
            causes.extend(meta::check_update(object, old));
        }
        causes.extend(validate::validate(object, old, schema));
        causes.extend(scale::check(definition, object));
        causes.extend(embedded::check(object, schema));
        // Doubled items that are there already do not keep an object from being changed.
        if old.is_none_or(|old| lists::duplicates(old, schema).is_empty()) {
            causes.extend(lists::duplicates(object, schema));
        }
        if rules::any(custom) {
            if causes.iter().any(hides_rules) {
                let why = "some validation rules were not checked because the object was invalid; correct the existing \
                           errors to complete validation";
                causes.push(Cause::field(FieldErrorType::Invalid, "<nil>", "null", why));
            } else {
                causes.extend(rules::check(&scope.cx, custom, object, old));
            }
        }
        causes
    } else {
        causes
    };
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&definition.group, &definition.kind, &attributes.name, causes))
}

fn type_causes(object: &Value, kind: &str, api_version: &str) -> Vec<Cause> {
    [("apiVersion", api_version), ("kind", kind)]
        .into_iter()
        .filter_map(|(field, wanted)| {
            let found = object.get(field)?;
            let why = format!("must be {wanted}");
            (found != wanted).then(|| Cause::field(FieldErrorType::Invalid, field, &found.to_string(), &why))
        })
        .collect()
}

/// Failures after which rules are not run, since they could not rely on the object's form.
fn hides_rules(cause: &Cause) -> bool {
    matches!(
        cause.reason.as_str(),
        "FieldValueRequired" | "FieldValueTooLong" | "FieldValueTooMany" | "FieldValueTypeInvalid"
    )
}

//! What a component of any stage of admission said, in one form.

use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Value, patch};
use portcullis_plugins::outcomes::Verdict;
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::{
    AuditAnnotation, CallError, Denial, FieldErrorType as WitErrorType, Findings, PatchOperation, PatchOperationKind,
    Stage,
};
use serde_json::json;

use super::turn::Question;

/// What a component said.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<AuditAnnotation>,
    /// The refusal of a mutator or a validator.
    pub(super) denied: Option<Denial>,
    /// What an object validator found.
    pub(super) causes: Vec<Cause>,
    /// The object as a mutator would have it.
    pub(super) changed: Option<Value>,
    /// How many operations it took.
    pub(super) operations: usize,
}

impl Answer {
    /// In a word.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self { denied: Some(_), .. } => Verdict::Denied,
            Self { causes, .. } if !causes.is_empty() => Verdict::Denied,
            Self { changed: Some(_), .. } => Verdict::Changed,
            _ => Verdict::Allowed,
        }
    }

    /// Why, if it refused.
    pub(super) fn reason(&self) -> String {
        match &self.denied {
            Some(denial) => denial.message.clone(),
            None => {
                let texts: Vec<String> =
                    self.causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
                texts.join(", ")
            }
        }
    }

    /// Whether two versions decided the same: the words of a refusal do not matter, nor what is said beside it.
    pub(super) fn agrees_with(&self, other: &Self, object: &Value) -> bool {
        let places = |answer: &Self| {
            let mut places: Vec<(String, String)> =
                answer.causes.iter().map(|cause| (cause.field.clone(), cause.reason.clone())).collect();
            places.sort();
            places
        };
        // A patch that leaves the object as it is, and none at all, are the same.
        let object_then = |answer: &Self| answer.changed.as_ref().unwrap_or(object).clone();
        self.denied.is_some() == other.denied.is_some()
            && places(self) == places(other)
            && (self.denied.is_some() || object_then(self) == object_then(other))
    }
}

/// Asks a component.
pub(super) fn ask(plugin: &LivePlugin, question: &Question<'_>) -> Result<Answer, CallError> {
    let Question { stage, document, object } = question;
    let policy = &plugin.policy;
    match stage {
        Stage::Mutator => {
            let mutation = policy.call_mutator(document)?;
            let changed = match mutation.patch.is_empty() || mutation.denied.is_some() {
                true => None,
                // All or nothing: a patch that does not apply leaves the object as it was.
                false => {
                    let patched = json_patch(&mutation.patch)
                        .and_then(|operations| patch::json_patch(object, &operations).map_err(|status| status.message));
                    Some(patched.map_err(|why| policy.unusable(format!("its patch does not apply: {why}")))?)
                }
            };
            Ok(Answer {
                warnings: mutation.warnings,
                annotations: mutation.audit_annotations,
                denied: mutation.denied,
                changed,
                operations: mutation.patch.len(),
                ..Answer::default()
            })
        }
        Stage::ObjectValidator => {
            let findings = policy.call_object_validator(document)?;
            Ok(Answer { causes: causes(&findings), warnings: findings.warnings, ..Answer::default() })
        }
        _ => {
            let verdict = policy.call_validator(document)?;
            Ok(Answer {
                warnings: verdict.warnings,
                annotations: verdict.audit_annotations,
                denied: verdict.denied,
                ..Answer::default()
            })
        }
    }
}

/// A guest's operations as one JSON patch. Values that are no JSON make the answer unusable.
fn json_patch(operations: &[PatchOperation]) -> Result<Vec<u8>, String> {
    let mut list = Vec::with_capacity(operations.len());
    for operation in operations {
        let op = match operation.op {
            PatchOperationKind::Add => "add",
            PatchOperationKind::Replace => "replace",
            PatchOperationKind::Remove => "remove",
            PatchOperationKind::Test => "test",
        };
        let mut entry = json!({"op": op, "path": operation.path});
        if operation.op != PatchOperationKind::Remove {
            entry["value"] = serde_json::from_str(&operation.value)
                .map_err(|error| format!("the value for {} is not JSON: {error}", operation.path))?;
        }
        list.push(entry);
    }
    serde_json::to_vec(&list).map_err(|error| error.to_string())
}

fn causes(findings: &Findings) -> Vec<Cause> {
    let error_type = |error_type: WitErrorType| match error_type {
        WitErrorType::Required => FieldErrorType::Required,
        WitErrorType::Invalid => FieldErrorType::Invalid,
        WitErrorType::NotSupported => FieldErrorType::NotSupported,
        WitErrorType::Duplicate => FieldErrorType::Duplicate,
        WitErrorType::Forbidden => FieldErrorType::Forbidden,
        WitErrorType::NotFound => FieldErrorType::NotFound,
        WitErrorType::TooLong => FieldErrorType::TooLong,
        WitErrorType::TooMany => FieldErrorType::TooMany,
        WitErrorType::TypeInvalid => FieldErrorType::TypeInvalid,
    };
    let cause = |error: &portcullis_policy::FieldError| {
        Cause::field(error_type(error.error_type), error.field.clone(), &error.value, &error.detail)
    };
    findings.errors.iter().map(cause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial() -> Option<Denial> {
        Some(Denial { code: 403, reason: String::new(), message: "no".into(), causes: Vec::new() })
    }

    #[test]
    fn agreement_is_about_what_is_decided() {
        let object = json!({"a": 1});
        let check = |one: Answer, other: Answer, expected: bool| {
            assert_eq!(one.agrees_with(&other, &object), expected);
            assert_eq!(other.agrees_with(&one, &object), expected);
        };
        let warned = || Answer { warnings: vec!["hm".into()], ..Answer::default() };
        let denied = || Answer { denied: denial(), ..Answer::default() };
        let changed = |to: i64| Answer { changed: Some(json!({"a": to})), ..Answer::default() };
        let found = |field: &str, message: &str| Answer {
            causes: vec![Cause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() }],
            ..Answer::default()
        };
        check(warned(), Answer::default(), true);
        check(denied(), Answer::default(), false);
        check(denied(), denied(), true);
        check(changed(1), Answer::default(), true);
        check(changed(2), Answer::default(), false);
        check(changed(2), changed(2), true);
        check(changed(2), changed(3), false);
        check(found("spec.a", "x"), found("spec.a", "y"), true);
        check(found("spec.a", "x"), found("spec.b", "x"), false);
        check(found("spec.a", "x"), Answer::default(), false);
    }

    #[test]
    fn verdicts() {
        let check = |answer: Answer, expected: Verdict, reason: &str| {
            assert_eq!((answer.verdict(), answer.reason().as_str()), (expected, reason));
        };
        check(Answer::default(), Verdict::Allowed, "");
        check(Answer { denied: denial(), ..Answer::default() }, Verdict::Denied, "no");
        check(Answer { changed: Some(json!({})), ..Answer::default() }, Verdict::Changed, "");
    }
}

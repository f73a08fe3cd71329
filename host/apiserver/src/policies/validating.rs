//! ValidatingAdmissionPolicies: rules that a request must fit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_cel::Val;
use portcullis_machinery::status::Cause;
use portcullis_machinery::{Status, Value, object};
use serde_json::json;

use super::Invocations;
use super::compiled::Validation;
use super::environment::{Environment, Facts, Sees};
use super::evaluation::{ALL, Evaluation, conditions_hold};
use super::hooks::{Binding, Hook};
use crate::admission::AdmissionAttributes;
use crate::context::Context;
use crate::server::ApiServer;

/// The longest message that an expression may give, in bytes.
const LONGEST_MESSAGE: usize = 5 * 1024;
/// The longest value of an audit annotation, in bytes.
const LONGEST_ANNOTATION: usize = 10 * 1024;
/// The audit annotation about validations that failed.
const FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";

/// A denial.
struct Denial {
    /// Which validation it was.
    index: usize,
    /// The Status' reason; empty for the usual one.
    reason: String,
    /// The text.
    message: String,
}

/// What a policy says of a request.
#[derive(Default)]
struct Verdict {
    denials: Vec<Denial>,
    /// What the audit log is told.
    annotations: Vec<(String, String)>,
    /// Annotations that could not be made, which refuses the request whatever the binding wants.
    failures: Vec<String>,
}

impl Verdict {
    /// What cannot be evaluated is refused if the policy fails.
    fn failed(fails: bool, message: String) -> Self {
        let denial = Denial { index: 0, reason: String::new(), message };
        Self { denials: if fails { vec![denial] } else { Vec::new() }, ..Self::default() }
    }
}

/// Asks the policies about a request. A deletion has `Value::Null` as its object.
///
/// # Errors
/// What the first policy that refuses says, with the code of its reason.
pub async fn check(
    server: &Arc<ApiServer>,
    cx: &Context,
    attributes: &AdmissionAttributes,
    object: &Value,
) -> Result<(), Status> {
    let steps = Invocations::of(server, &server.policies.validating, attributes, object).await;
    if steps.is_empty() {
        return Ok(());
    }
    let facts = Facts::new(server, attributes);
    let mut refusal: Option<(String, String)> = None;
    let mut refuse = |hook: &Hook, binding: Option<&Binding>, reason: &str, message: &str| {
        refusal.get_or_insert_with(|| {
            let with = binding.map_or_else(String::new, |binding| format!(" with binding '{}'", binding.name));
            let text = format!("ValidatingAdmissionPolicy '{}'{with} denied request: {message}", hook.name);
            (reason.to_owned(), text)
        });
    };
    let mut annotations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for step in &steps {
        let hook = &step.hook;
        let binding = step.binding.and_then(|at| hook.bindings.get(at));
        let parameter = match &step.what {
            Ok((_, parameter)) => parameter.as_deref(),
            Err(message) => {
                if hook.fails {
                    refuse(hook, binding, "", message);
                }
                continue;
            }
        };
        let (Some(binding), Ok((matched, _))) = (binding, &step.what) else { continue };
        let environment = facts.environment(matched, Cow::Borrowed(object));
        let verdict = decide(&environment, hook, parameter);
        for denial in &verdict.denials {
            for action in &binding.actions {
                match action.as_str() {
                    "Deny" => refuse(hook, Some(binding), &denial.reason, &denial.message),
                    "Warn" => warn(cx, hook, binding, denial),
                    "Audit" => audit(cx, hook, binding, denial),
                    _ => {}
                }
            }
        }
        for text in &verdict.failures {
            refuse(hook, Some(binding), "", text);
        }
        for (key, value) in verdict.annotations {
            let values = annotations.entry(format!("{}/{key}", hook.name)).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    for (key, values) in annotations {
        cx.annotate(&key, &values.join(", "));
    }
    refusal.map_or(Ok(()), |(reason, message)| Err(status(attributes, object, &reason, message)))
}

fn warn(cx: &Context, hook: &Hook, binding: &Binding, denial: &Denial) {
    let (policy, binding, text) = (&hook.name, &binding.name, &denial.message);
    cx.warn(format!("Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {text}"));
}

fn audit(cx: &Context, hook: &Hook, binding: &Binding, denial: &Denial) {
    let failures = json!([{
        "message": denial.message,
        "policy": hook.name,
        "binding": binding.name,
        "expressionIndex": denial.index,
        "validationActions": binding.actions,
    }]);
    cx.annotate(FAILURE, &failures.to_string());
}

fn status(attributes: &AdmissionAttributes, object: &Value, reason: &str, message: String) -> Status {
    let resource = &attributes.resource;
    let mut status =
        Status::forbidden(&resource.group, &resource.name, super::shown_name(attributes, object), &message);
    let reason = if reason.is_empty() { "Invalid" } else { reason };
    status.code = match reason {
        "Unauthorized" => 401,
        "RequestEntityTooLarge" => 413,
        "Invalid" => 422,
        _ => 403,
    };
    reason.clone_into(&mut status.reason);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause { message, ..Cause::default() });
    }
    status
}

/// Evaluates a policy on a request.
fn decide(environment: &Environment<'_>, hook: &Hook, parameter: Option<&Value>) -> Verdict {
    let compiled = &*hook.compiled;
    match conditions_hold(environment, compiled, parameter) {
        Ok(true) => {}
        Ok(false) => return Verdict::default(),
        // A condition that cannot be evaluated leaves a policy out that ignores failures.
        Err(text) => return Verdict::failed(hook.fails, text),
    }
    let begin = |authorizer, budget| {
        Evaluation::new(environment, compiled, parameter, Sees { authorizer, namespace: true }, budget)
    };
    let mut evaluation = begin(true, ALL);
    let results: Result<Vec<_>, _> =
        compiled.validations.iter().map(|validation| evaluation.run(&validation.expression)).collect();
    let results = match results {
        Ok(results) => results,
        Err(error) => return Verdict::failed(hook.fails, error.to_string()),
    };
    let mut verdict = Verdict::default();
    // Messages do not see the authorizer, and are charged to what is left.
    let mut messages = begin(false, evaluation.left());
    let mut said = Vec::with_capacity(results.len());
    for validation in &compiled.validations {
        match validation.message_expression.as_ref().map(|expression| messages.run(expression)).transpose() {
            Ok(given) => said.push(given),
            Err(error) => {
                said.clear();
                let message = format!("failed messageExpression: {error}");
                for (index, result) in results.iter().enumerate() {
                    let message = result.as_ref().err().unwrap_or(&message).clone();
                    if hook.fails {
                        verdict.denials.push(Denial { index, reason: String::new(), message });
                    }
                }
                break;
            }
        }
    }
    for (index, (validation, said)) in compiled.validations.iter().zip(said).enumerate() {
        match &results[index] {
            Ok(Val::Bool(true)) => {}
            Ok(_) => {
                let message = message(validation, said.and_then(Result::ok));
                verdict.denials.push(Denial { index, reason: validation.reason.clone(), message });
            }
            Err(text) if hook.fails => {
                verdict.denials.push(Denial { index, reason: String::new(), message: text.clone() });
            }
            Err(_) => {}
        }
    }
    annotate(begin(false, ALL), hook, &mut verdict);
    verdict
}

/// What is said of a validation that does not hold: what its expression says if that can be shown, else its message.
fn message(validation: &Validation, said: Option<Val<'_>>) -> String {
    let said = match said {
        Some(Val::String(text)) => {
            let text = text.trim();
            let shown = text.len() <= LONGEST_MESSAGE && !text.contains('\n');
            if shown { text.to_owned() } else { String::new() }
        }
        _ => String::new(),
    };
    match (said.as_str(), validation.message.trim()) {
        ("", "") => format!("failed expression: {}", validation.expression.text.trim()),
        ("", message) => message.to_owned(),
        _ => said,
    }
}

/// Evaluates the audit annotations, which have a budget of their own.
fn annotate(mut evaluation: Evaluation<'_>, hook: &Hook, verdict: &mut Verdict) {
    for (key, expression) in &hook.compiled.annotations {
        let given = match evaluation.run(expression) {
            Ok(given) => given,
            Err(error) => {
                *verdict = Verdict::failed(hook.fails, error.to_string());
                return;
            }
        };
        match given {
            Ok(Val::String(text)) => {
                let text = text.trim();
                if !text.is_empty() {
                    let value = text[..text.floor_char_boundary(LONGEST_ANNOTATION)].to_owned();
                    verdict.annotations.push((key.clone(), value));
                }
            }
            Err(text) if hook.fails => verdict.failures.push(text),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Whether there is anything in an object that has a name yet.
pub fn name_in(object: &Value) -> Option<&str> {
    let names = [object::name(object), object::generate_name(object)];
    names.into_iter().find(|name| !name.is_empty())
}

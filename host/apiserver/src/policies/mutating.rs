//! MutatingAdmissionPolicies: expressions that give patches.
//!
//! A policy's mutations are applied in their order, each to what the one before it left. After each the object has its
//! type's form and its defaults again. [`patches`] makes an object of what an expression gives.

mod patches;

use std::borrow::Cow;

use portcullis_cel::Val;
use portcullis_machinery::status::Cause;
use portcullis_machinery::{Status, Value, codec, defaults, object};

use super::compiled::PatchType;
use super::environment::{Environment, Facts, Sees};
use super::evaluation::{ALL, Evaluation, conditions_hold};
use super::hooks::{Binding, Hook};
use super::{Invocations, Step};
use crate::admission::reinvocation::Reinvocation;
use crate::admission::{AdmissionAttributes, Operation};
use crate::handlers::Scope;

/// Why a mutation was not made.
enum Failure {
    /// The policy is at fault, and its failure policy decides.
    Policy(String),
    /// The request ends with this.
    Request(Status),
}

/// Lets the policies change an object.
///
/// # Errors
/// What the policies that fail say.
pub async fn mutate(
    scope: &Scope,
    attributes: &AdmissionAttributes,
    object: &mut Value,
    rounds: &mut Reinvocation,
) -> Result<(), Status> {
    // There is nothing to change about a deletion.
    if attributes.operation == Operation::Delete {
        return Ok(());
    }
    let server = &scope.server;
    let steps = Invocations::of(server, &server.policies.mutating, attributes, object).await;
    if steps.is_empty() {
        return Ok(());
    }
    let again = rounds.is_again();
    rounds.policies.begin(again, object);
    let mut failures = Vec::new();
    let facts = Facts::new(server, attributes);
    for step in &steps {
        match invoke(scope, &facts, step, object, rounds) {
            Ok(()) => {}
            Err(Failure::Request(status)) => return Err(status),
            Err(Failure::Policy(text)) if step.hook.fails => failures.push(text),
            Err(Failure::Policy(_)) => {}
        }
    }
    rounds.policies.end(object);
    refusal(attributes, object, &failures)
}

/// What the failures of policies make of a request.
fn refusal(attributes: &AdmissionAttributes, object: &Value, failures: &[String]) -> Result<(), Status> {
    let Some(first) = failures.first() else { return Ok(()) };
    let resource = &attributes.resource;
    let mut status = Status::forbidden(&resource.group, &resource.name, super::shown_name(attributes, object), "");
    first.clone_into(&mut status.message);
    if let Some(details) = &mut status.details {
        details.causes.extend(failures.iter().map(|message| Cause { message: message.clone(), ..Cause::default() }));
    }
    Err(status)
}

/// How the failure of a policy is told.
fn told(hook: &Hook, binding: Option<&Binding>, message: &str) -> Failure {
    let name = &hook.name;
    Failure::Policy(match binding {
        Some(binding) => format!("policy '{name}' with binding '{}' denied request: {message}", binding.name),
        None => format!("policy {name:?} denied request: {message}"),
    })
}

fn invoke(
    scope: &Scope,
    facts: &Facts<'_>,
    step: &Step,
    object: &mut Value,
    rounds: &mut Reinvocation,
) -> Result<(), Failure> {
    let hook = &*step.hook;
    let binding = step.binding.and_then(|at| hook.bindings.get(at));
    let (matched, parameter) = match &step.what {
        Ok((matched, parameter)) => (matched, parameter.as_deref()),
        Err(message) => return Err(told(hook, binding, message)),
    };
    let mut environment = facts.environment(matched, Cow::Owned(std::mem::take(object)));
    let result = patch(scope, hook, parameter, &mut environment, rounds, binding);
    *object = environment.as_requested();
    result
}

fn patch(
    scope: &Scope,
    hook: &Hook,
    parameter: Option<&Value>,
    environment: &mut Environment<'_>,
    rounds: &mut Reinvocation,
    binding: Option<&Binding>,
) -> Result<(), Failure> {
    let compiled = &*hook.compiled;
    match conditions_hold(environment, compiled, parameter) {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(text) if hook.fails => return Err(told(hook, binding, &text)),
        Err(_) => return Ok(()),
    }
    let of = parameter.map_or_else(String::new, |of| format!("{}/{}", object::namespace(of), object::name(of)));
    let key = (hook.name.clone(), binding.map(|binding| binding.name.clone()).unwrap_or_default(), of);
    if rounds.is_again() && !rounds.policies.is_due(&key) {
        return Ok(());
    }
    let before = environment.object.as_ref().clone();
    let (mut failure, mut applied) = (None, false);
    for (kind, expression) in &compiled.mutations {
        let sees = Sees { authorizer: true, namespace: true };
        let made = {
            let mut evaluation = Evaluation::new(environment, compiled, parameter, sees, ALL);
            match evaluation.run(expression) {
                Err(error) => Err(Failure::Policy(error.to_string())),
                Ok(Err(text)) => Err(Failure::Policy(text)),
                Ok(Ok(value)) => made_of(scope, *kind, &value, environment),
            }
        };
        match made {
            Ok(made) => {
                applied = true;
                environment.object = Cow::Owned(made);
            }
            Err(Failure::Policy(text)) => failure = failure.or(Some(told(hook, binding, &text))),
            Err(other) => return Err(other),
        }
    }
    if before != *environment.object {
        rounds.policies.changed();
        rounds.ask();
    }
    if compiled.reinvoked {
        rounds.policies.invoked(key);
    }
    if applied {
        // What follows may want to see the object anew, whether or not anything is different.
        rounds.policies.changed();
        rounds.ask();
    }
    failure.map_or(Ok(()), Err)
}

/// The object that a mutation makes, in its type's form and with its defaults.
fn made_of(scope: &Scope, kind: PatchType, value: &Val<'_>, environment: &Environment<'_>) -> Result<Value, Failure> {
    let definition = environment.wanted().unwrap_or(&scope.definition);
    let whole = object::kind(&environment.object) == definition.kind;
    let schema = whole.then_some(&definition.schema);
    let mut made = match kind {
        PatchType::Apply => patches::apply(value, &environment.object, schema).map_err(Failure::Policy)?,
        PatchType::Json => patches::json(value, &environment.object, schema)?,
    };
    if whole && codec::conform(&mut made, &definition.schema).is_ok() {
        defaults::apply_defaults(definition, &mut made);
    }
    Ok(made)
}

//! `matchConditions`: expressions in CEL that narrow down which requests a webhook is asked about.

use std::borrow::Cow;

use portcullis_cel::admission::Names;
use portcullis_cel::{Budget, EvalError, Program, Type, Val};
use portcullis_machinery::{Value, object};

use super::hook::Hook;
use super::matching::Asked;
use crate::policies::environment::{Facts, Sees};
use crate::policies::matching::Match;

/// What the conditions of one webhook may cost together.
const BUDGET: u64 = 2_500_000;

/// The variables that conditions see.
pub(super) fn variables() -> Vec<(String, Type)> {
    Names::untyped(false).variables(true)
}

/// Compiles conditions. They were checked when they were written; what does not compile nevertheless fails each time.
pub(super) fn compile(conditions: &[Value]) -> Vec<Result<Program, String>> {
    let variables = variables();
    let compiled = |condition: &Value| {
        let expression = object::str_at(condition, &["expression"]).unwrap_or_default();
        Program::compile(expression, &variables)
    };
    conditions.iter().map(compiled).collect()
}

/// Whether all conditions hold. One that does not is enough to pass the webhook over, whatever the others do; otherwise
/// one that cannot be evaluated refuses the request, or passes the webhook over, as its failure policy says. `form` and
/// `old` are the objects as the webhook gets them.
///
/// # Errors
/// What the conditions that cannot be evaluated say.
pub(super) fn matches(hook: &Hook, asked: &Asked<'_>, form: Value, old: Value) -> Result<bool, String> {
    let scope = asked.scope;
    let facts = Facts::new(&scope.server, asked.attributes);
    let mut environment = facts.environment(&Match::Itself, Cow::Owned(form));
    environment.old_object = Cow::Owned(old);
    // Webhooks are told nothing of the namespace but its name.
    let values = environment.values(None, Sees { authorizer: true, namespace: false });
    let mut budget = Budget { left: BUDGET, ..Budget::default() };
    let mut failures = Vec::new();
    for program in &hook.conditions {
        let result = match program {
            Ok(program) => program.run(&values, &mut budget),
            Err(error) => Err(EvalError::failed(format!("compilation error: {error}"))),
        };
        match result {
            Ok(Val::Bool(true)) => {}
            Ok(_) => return Ok(false),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures.dedup();
    match failures.as_slice() {
        [] => Ok(true),
        _ if hook.ignores_failure => Ok(false),
        // Several errors are printed in brackets, one alone.
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

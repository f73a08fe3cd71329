//! The evaluation of a policy's expressions on one request: its variables as they are asked for, and what it all costs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use portcullis_cel::value::Late;
use portcullis_cel::{Budget, EvalError, Val, Variables};
use portcullis_machinery::Value;

use super::compiled::{Compiled, Expression};
use super::environment::{Environment, Sees};

/// What one expression may cost.
const PER_CALL: u64 = 1_000_000;
/// What the expressions of one policy may cost together, for one request.
pub const ALL: u64 = 10_000_000;
/// And its match conditions.
const CONDITIONS: u64 = 2_500_000;

/// The policy's expressions have cost more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("validation failed due to running out of cost budget, no further validation rules will be run")]
pub struct OutOfBudget;

/// Expressions that see the same values and are charged to the same budget.
pub struct Evaluation<'a> {
    variables: Variables<'a>,
    composed: Rc<Composed<'a>>,
    left: u64,
}

/// What an expression gave, or the text of its failure.
pub type Given<'a> = Result<Val<'a>, String>;

impl<'a> Evaluation<'a> {
    /// Begins with so much to spend.
    pub fn new(
        environment: &'a Environment<'_>,
        compiled: &'a Compiled,
        parameter: Option<&'a Value>,
        sees: Sees,
        budget: u64,
    ) -> Self {
        let values = environment.values(parameter, sees);
        let composed = Rc::new_cyclic(|me| Composed {
            me: Weak::clone(me),
            values: values.clone(),
            expressions: &compiled.variables,
            made: RefCell::default(),
            spent: Cell::new(0),
        });
        let variables = values.with("variables", Val::Late(composed.clone()));
        Self { variables, composed, left: budget }
    }

    /// What is left to spend.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// If there is nothing left to spend: then nothing further is evaluated.
    pub fn run(&mut self, expression: &Expression) -> Result<Given<'a>, OutOfBudget> {
        let program = match &expression.program {
            Ok(program) => program,
            Err(error) => return Ok(Err(format!("compilation error: {error}"))),
        };
        let (result, spent) = run(program, &self.variables);
        for cost in [self.composed.spent.take(), spent] {
            self.left = self.left.checked_sub(cost).ok_or(OutOfBudget)?;
        }
        Ok(result.map_err(|error| format!("expression '{}' resulted in error: {error}", expression.text)))
    }
}

fn run<'a>(program: &portcullis_cel::Program, variables: &Variables<'a>) -> (Result<Val<'a>, EvalError>, u64) {
    let mut budget = Budget { per_call: PER_CALL, left: u64::MAX };
    let result = program.run(variables, &mut budget);
    (result, u64::MAX - budget.left)
}

/// A policy's own variables. Each is evaluated when it is first asked for.
#[derive(Debug)]
struct Composed<'a> {
    me: Weak<Self>,
    values: Variables<'a>,
    expressions: &'a [(String, Expression)],
    made: RefCell<HashMap<&'a str, Result<Val<'a>, EvalError>>>,
    spent: Cell<u64>,
}

impl<'a> Late<'a> for Composed<'a> {
    fn member(&self, name: &str) -> Option<Result<Val<'a>, EvalError>> {
        if let Some(made) = self.made.borrow().get(name) {
            return Some(made.clone());
        }
        let (name, expression) = self.expressions.iter().rev().find(|(known, _)| known == name)?;
        let made = match (&expression.program, self.me.upgrade()) {
            (Ok(program), Some(me)) => {
                let (result, spent) = run(program, &self.values.with("variables", Val::Late(me)));
                self.spent.set(self.spent.get().saturating_add(spent));
                result.map_err(|error| {
                    EvalError::failed(format!("composited variable {name:?} fails to evaluate: {error}"))
                })
            }
            (Err(error), _) => {
                Err(EvalError::failed(format!("composited variable {name:?} fails to compile: {error}")))
            }
            (Ok(_), None) => return None,
        };
        self.made.borrow_mut().insert(name, made.clone());
        Some(made)
    }
}

/// Whether the match conditions hold. One that is false decides, even if others cannot be evaluated.
///
/// # Errors
/// The texts of those that cannot be evaluated, if none is false.
pub fn conditions_hold(
    environment: &Environment<'_>,
    compiled: &Compiled,
    parameter: Option<&Value>,
) -> Result<bool, String> {
    if compiled.conditions.is_empty() {
        return Ok(true);
    }
    let sees = Sees { authorizer: true, namespace: false };
    let mut evaluation = Evaluation::new(environment, compiled, parameter, sees, CONDITIONS);
    let (mut failures, mut refused) = (Vec::new(), false);
    for (_, expression) in &compiled.conditions {
        match evaluation.run(expression).map_err(|error| error.to_string())? {
            Ok(Val::Bool(false)) => refused = true,
            Ok(_) => {}
            Err(text) if failures.contains(&text) => {}
            Err(text) => failures.push(text),
        }
    }
    match failures.as_slice() {
        _ if refused => Ok(false),
        [] => Ok(true),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

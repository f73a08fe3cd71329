//! Compiling and running one expression.

use std::fmt;
use std::sync::Arc;

use crate::check::{Checked, check};
use crate::cost::{Range, estimate};
use crate::eval::Evaluator;
use crate::parse::{Parsed, parse};
use crate::types::Type;
use crate::value::Val;

/// Why an evaluation gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// What the expression did cannot be done (`no such key: a`).
    Failed(Arc<str>),
    /// It cost more than it may.
    TooCostly,
}

impl EvalError {
    /// A failure with a text.
    pub fn failed(text: impl AsRef<str>) -> Self {
        Self::Failed(text.as_ref().into())
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) => f.write_str(text),
            Self::TooCostly => f.write_str("operation cancelled: actual cost limit exceeded"),
        }
    }
}

impl std::error::Error for EvalError {}

/// What evaluations may still cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// One expression.
    pub per_call: u64,
    /// All together.
    pub left: u64,
}

impl Default for Budget {
    /// What the reference allows one expression, and all of one object.
    fn default() -> Self {
        Self { per_call: 1_000_000, left: 10_000_000 }
    }
}

/// Values by name.
pub type Variables<'a> = Vec<(String, Result<Val<'a>, EvalError>)>;

/// A compiled expression. It is made once and run often, by any thread.
pub struct Program {
    parsed: Parsed,
    checked: Checked,
    cost: Range,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("result", &self.checked.result)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Compiles an expression over variables of these types.
    ///
    /// # Errors
    /// What is wrong with it, as the reference prints it.
    pub fn compile(source: &str, variables: &[(String, Type)]) -> Result<Self, String> {
        let parsed = parse(source)?;
        let checked = check(&parsed, variables)?;
        let cost = estimate(&parsed.expr, &checked);
        Ok(Self { parsed, checked, cost })
    }

    /// The type of its result.
    pub fn result(&self) -> &Type {
        &self.checked.result
    }

    /// The most that it can cost.
    pub fn max_cost(&self) -> u64 {
        self.cost.max
    }

    /// Whether it names a variable.
    pub fn uses(&self, name: &str) -> bool {
        crate::eval::mentions(&self.parsed.expr, name)
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// If it cannot be evaluated, or costs more than the budget has.
    pub fn run<'a>(&self, variables: Variables<'a>, budget: &mut Budget) -> Result<Val<'a>, EvalError> {
        let limit = budget.per_call.min(budget.left);
        let mut evaluator = Evaluator::new(variables, limit);
        let result = evaluator.value(&self.parsed.expr);
        budget.left = budget.left.saturating_sub(evaluator.spent().min(limit));
        result
    }
}

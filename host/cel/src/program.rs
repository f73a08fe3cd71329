//! Compiling and running one expression.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::check::check;
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

/// Values by name. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Variables<'a>(Rc<Vec<Variable<'a>>>);

/// A name, and the value or why there is none.
type Variable<'a> = (Cow<'static, str>, Result<Val<'a>, EvalError>);

impl<'a> Variables<'a> {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Result<Val<'a>, EvalError>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// These and one more.
    #[must_use]
    pub fn with(&self, name: impl Into<Cow<'static, str>>, value: Val<'a>) -> Self {
        let mut all = (*self.0).clone();
        all.push((name.into(), Ok(value)));
        Self(Rc::new(all))
    }
}

impl<'a> FromIterator<Variable<'a>> for Variables<'a> {
    fn from_iter<I: IntoIterator<Item = Variable<'a>>>(variables: I) -> Self {
        Self(Rc::new(variables.into_iter().collect()))
    }
}

/// What an expression has beside what all have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether it may make patches: the types `Object` (and those below it) and `JSONPatch`, and `jsonpatch.escapeKey`.
    pub patches: bool,
}

impl Options {
    /// Whether a function may be called.
    pub(crate) fn knows(self, name: &str) -> bool {
        self.patches || !name.starts_with("jsonpatch.")
    }

    /// Whether a name is that of a type whose values may be made.
    pub(crate) fn makes(self, name: &str) -> bool {
        self.patches && (name == JSON_PATCH || name == OBJECT || name.starts_with("Object."))
    }
}

/// The type of an operation of a JSON patch.
pub const JSON_PATCH: &str = "JSONPatch";
/// The type of a partial object.
pub const OBJECT: &str = "Object";

/// A compiled expression. It is made once and run often, by any thread.
pub struct Program {
    parsed: Parsed,
    result: Type,
    cost: Range,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("result", &self.result).field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Program {
    /// Compiles an expression over variables of these types.
    ///
    /// # Errors
    /// What is wrong with it, as the reference prints it.
    pub fn compile(source: &str, variables: &[(String, Type)]) -> Result<Self, String> {
        Self::compile_with(source, variables, Options::default())
    }

    /// Compiles an expression that has more than others.
    ///
    /// # Errors
    /// What is wrong with it, as the reference prints it.
    pub fn compile_with(source: &str, variables: &[(String, Type)], options: Options) -> Result<Self, String> {
        let parsed = parse(source, options)?;
        let checked = check(&parsed, variables, options)?;
        let cost = estimate(&parsed.expr, &checked, variables.first().map(|(_, type_)| type_));
        Ok(Self { parsed, result: checked.result, cost })
    }

    /// The type of its result.
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// The most that it can cost.
    pub fn max_cost(&self) -> u64 {
        self.cost.max
    }

    /// The least that it can cost.
    pub fn min_cost(&self) -> u64 {
        self.cost.min
    }

    /// Whether it names a variable.
    pub fn uses(&self, name: &str) -> bool {
        crate::eval::mentions(&self.parsed.expr, name)
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// If it cannot be evaluated, or costs more than the budget has.
    pub fn run<'a>(&self, variables: &Variables<'a>, budget: &mut Budget) -> Result<Val<'a>, EvalError> {
        let limit = budget.per_call.min(budget.left);
        let mut evaluator = Evaluator::new(variables.clone(), limit);
        let result = evaluator.value(&self.parsed.expr);
        budget.left = budget.left.saturating_sub(evaluator.spent().min(limit));
        result
    }
}

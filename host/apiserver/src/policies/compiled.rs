//! A policy's expressions, compiled once for each of its versions.

use portcullis_cel::admission::{Names, Wanted};
use portcullis_cel::{Program, Type};
use portcullis_machinery::{Value, object};

/// An expression.
#[derive(Debug)]
pub struct Expression {
    /// As it was written.
    pub text: String,
    /// Compiled, or why that is not possible.
    pub program: Result<Program, String>,
}

/// One of `spec.validations`.
#[derive(Debug)]
pub struct Validation {
    /// What must hold.
    pub expression: Expression,
    /// What is said otherwise.
    pub message: String,
    /// The same as an expression.
    pub message_expression: Option<Expression>,
    /// The reason of the Status.
    pub reason: String,
}

/// How a mutation says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// A partial object, merged into the whole one.
    Apply,
    /// The operations of a JSON patch.
    Json,
}

/// The expressions of a policy of either kind.
#[derive(Debug)]
pub struct Compiled {
    /// `matchConditions`, with their names.
    pub conditions: Vec<(String, Expression)>,
    /// `variables`, with their names.
    pub variables: Vec<(String, Expression)>,
    /// `validations`.
    pub validations: Vec<Validation>,
    /// `auditAnnotations`, with their keys.
    pub annotations: Vec<(String, Expression)>,
    /// `mutations`.
    pub mutations: Vec<(PatchType, Expression)>,
    /// `reinvocationPolicy: IfNeeded`.
    pub reinvoked: bool,
}

impl Compiled {
    /// Compiles a policy.
    pub fn new(policy: &Value) -> Self {
        let text = |of: &Value, path: &[&str]| object::str_at(of, path).unwrap_or_default().to_owned();
        let list = |key: &str| object::list_at(policy, &["spec", key]);
        let mut names = Names::untyped(object::get_at(policy, &["spec", "paramKind"]).is_some());
        // Conditions come before variables, and do not see them.
        let plain = names.variables(true);
        names.composed = Some(Vec::new());
        let compose = |variable: &Value| {
            let (name, expression) = (text(variable, &["name"]), text(variable, &["expression"]));
            let program = names.compose(&name, &expression).map_err(|error| format!("compilation failed: {error}"));
            (name, Expression { text: expression, program })
        };
        let variables: Vec<(String, Expression)> = list("variables").iter().map(compose).collect();
        let (full, unasked) = (names.variables(true), names.variables(false));
        let expression = |text: String, wanted: Wanted, variables: &[(String, Type)]| Expression {
            program: wanted.compile(&text, variables),
            text,
        };
        let validation = |validation: &Value| {
            let message = text(validation, &["messageExpression"]);
            Validation {
                expression: expression(text(validation, &["expression"]), Wanted::Bool, &full),
                message: text(validation, &["message"]),
                message_expression: (!message.is_empty()).then(|| expression(message, Wanted::String, &unasked)),
                reason: text(validation, &["reason"]),
            }
        };
        let mutation = |mutation: &Value| match object::str_at(mutation, &["patchType"]) {
            Some("JSONPatch") => {
                let text = text(mutation, &["jsonPatch", "expression"]);
                (PatchType::Json, expression(text, Wanted::Operations, &full))
            }
            _ => {
                let text = text(mutation, &["applyConfiguration", "expression"]);
                (PatchType::Apply, expression(text, Wanted::Object, &full))
            }
        };
        let condition = |condition: &Value| {
            (text(condition, &["name"]), expression(text(condition, &["expression"]), Wanted::Bool, &plain))
        };
        let annotation = |annotation: &Value| {
            let text_of_value = text(annotation, &["valueExpression"]);
            (text(annotation, &["key"]), expression(text_of_value, Wanted::StringOrNull, &full))
        };
        Self {
            conditions: list("matchConditions").iter().map(condition).collect(),
            validations: list("validations").iter().map(validation).collect(),
            annotations: list("auditAnnotations").iter().map(annotation).collect(),
            mutations: list("mutations").iter().map(mutation).collect(),
            reinvoked: object::str_at(policy, &["spec", "reinvocationPolicy"]) == Some("IfNeeded"),
            variables,
        }
    }
}

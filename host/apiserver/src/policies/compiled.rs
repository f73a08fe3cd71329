//! A policy's expressions, and their evaluation.

use std::rc::Rc;

use portcullis_cel::library::authz::Query;
use portcullis_cel::types::DYN;
use portcullis_cel::{Budget, EvalError, Kind, Program, Type, Val, Variables};
use portcullis_machinery::{Value, object};

use super::environment::Environment;

/// What a policy says of a request.
pub enum Verdict {
    /// Nothing against it, or that it is not concerned.
    Passed,
    /// It refuses, for a reason (empty for the usual one) and with a message.
    Denied {
        /// The Status' reason.
        reason: String,
        /// The text.
        message: String,
    },
}

/// One of `spec.validations`.
#[derive(Debug)]
struct Validation {
    expression: String,
    program: Result<Program, String>,
    message: String,
    message_program: Option<Program>,
    reason: String,
}

/// See the module.
#[derive(Debug)]
pub struct Compiled {
    conditions: Vec<(String, Result<Program, String>)>,
    variables: Vec<(String, Result<Program, String>)>,
    validations: Vec<Validation>,
}

/// The type of `request`.
fn request_type() -> Type {
    let text = || Type::from(Kind::String);
    let kind = |name: &str, what: &'static str| {
        Type::object(name, vec![("group", text()), ("version", text()), (what, text())])
    };
    let user = Type::object(
        "kubernetes.UserInfo",
        vec![
            ("username", text()),
            ("uid", text()),
            ("groups", Type::list(text())),
            ("extra", Type::map(text(), Type::list(text()))),
        ],
    );
    Type::object(
        "kubernetes.AdmissionRequest",
        vec![
            ("uid", text()),
            ("kind", kind("kubernetes.GroupVersionKind", "kind")),
            ("resource", kind("kubernetes.GroupVersionResource", "resource")),
            ("subResource", text()),
            ("requestKind", kind("kubernetes.GroupVersionKind", "kind")),
            ("requestResource", kind("kubernetes.GroupVersionResource", "resource")),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", user),
            ("dryRun", Kind::Bool.into()),
            ("options", DYN.clone()),
        ],
    )
}

static REQUEST: std::sync::LazyLock<Type> = std::sync::LazyLock::new(request_type);

/// The variables of a policy's expressions. `composed` are those that the policy has defined so far.
pub fn variables(parameters: bool, composed: &[(String, Type)]) -> Vec<(String, Type)> {
    let any = || DYN.clone();
    let mut all: Vec<(String, Type)> = [("object", any()), ("oldObject", any()), ("namespaceObject", any())]
        .into_iter()
        .map(|(name, type_)| (name.to_owned(), type_))
        .collect();
    all.push(("request".to_owned(), REQUEST.clone()));
    all.push(("authorizer".to_owned(), Kind::Opaque("kubernetes.authorization.Authorizer").into()));
    let resource = Kind::Opaque("kubernetes.authorization.ResourceCheck").into();
    all.push(("authorizer.requestResource".to_owned(), resource));
    if parameters {
        all.push(("params".to_owned(), any()));
    }
    if !composed.is_empty() {
        let fields = composed.iter().map(|(name, type_)| (name.as_str(), type_.clone())).collect();
        all.push(("variables".to_owned(), Type::object("kubernetes.variables", fields)));
    }
    all
}

/// The composed variables of a policy, compiled in their order, each over those before it.
pub fn compose(policy: &Value, parameters: bool) -> (Vec<(String, Result<Program, String>)>, Vec<(String, Type)>) {
    let (mut programs, mut types) = (Vec::new(), Vec::new());
    for variable in object::list_at(policy, &["spec", "variables"]) {
        let text = |key: &str| object::str_at(variable, &[key]).unwrap_or_default();
        let program = Program::compile(text("expression"), &variables(parameters, &types));
        let type_ = program.as_ref().map_or_else(|_| DYN.clone(), |program| program.result().clone());
        types.push((text("name").to_owned(), type_));
        programs.push((text("name").to_owned(), program));
    }
    (programs, types)
}

impl Compiled {
    /// Compiles a policy.
    pub fn new(policy: &Value) -> Self {
        let parameters = object::get_at(policy, &["spec", "paramKind"]).is_some();
        let (composed, types) = compose(policy, parameters);
        // Conditions come before variables, and do not see them.
        let (plain, full) = (variables(parameters, &[]), variables(parameters, &types));
        let condition = |condition: &Value| {
            let text = |key: &str| object::str_at(condition, &[key]).unwrap_or_default();
            (text("name").to_owned(), Program::compile(text("expression"), &plain))
        };
        let validation = |validation: &Value| {
            let text = |key: &str| object::str_at(validation, &[key]).unwrap_or_default().to_owned();
            let message = text("messageExpression");
            Validation {
                program: Program::compile(&text("expression"), &full),
                expression: text("expression"),
                message: text("message"),
                message_program: if message.is_empty() { None } else { Program::compile(&message, &full).ok() },
                reason: text("reason"),
            }
        };
        Self {
            conditions: object::list_at(policy, &["spec", "matchConditions"]).iter().map(condition).collect(),
            variables: composed,
            validations: object::list_at(policy, &["spec", "validations"]).iter().map(validation).collect(),
        }
    }

    /// Evaluates the policy on a request. `fails` is whether what cannot be evaluated is refused.
    pub fn decide(&self, environment: &Environment, parameter: Option<&Value>, fails: bool) -> Verdict {
        let mut budget = Budget::default();
        let mut values = values(environment, parameter);
        for (name, program) in &self.conditions {
            match run(program, &values, &mut budget) {
                Ok(Val::Bool(true)) => {}
                Ok(_) => return Verdict::Passed,
                Err(error) if fails => {
                    return denied(String::new(), format!("failed to evaluate match condition '{name}': {error}"));
                }
                Err(_) => return Verdict::Passed,
            }
        }
        for (name, program) in &self.variables {
            let value = run(program, &values, &mut budget);
            values.push((format!("variables.{name}"), value));
        }
        for validation in &self.validations {
            match run(&validation.program, &values, &mut budget) {
                Ok(Val::Bool(true)) => {}
                Ok(_) => {
                    let said = validation.message_program.as_ref().and_then(|program| {
                        match program.run(values.clone(), &mut budget) {
                            Ok(Val::String(text)) => {
                                let text = text.trim().to_owned();
                                (!text.is_empty() && !text.contains('\n')).then_some(text)
                            }
                            _ => None,
                        }
                    });
                    let message = said.unwrap_or_else(|| match validation.message.trim() {
                        "" => format!("failed expression: {}", validation.expression.trim()),
                        message => message.to_owned(),
                    });
                    return denied(validation.reason.clone(), message);
                }
                Err(error) if fails => {
                    let message = format!("expression '{}' resulted in error: {error}", validation.expression);
                    return denied(String::new(), message);
                }
                Err(_) => {}
            }
        }
        Verdict::Passed
    }
}

fn denied(reason: String, message: String) -> Verdict {
    Verdict::Denied { reason, message }
}

fn run<'a>(
    program: &Result<Program, String>,
    values: &Variables<'a>,
    budget: &mut Budget,
) -> Result<Val<'a>, EvalError> {
    match program {
        Ok(program) => program.run(values.clone(), budget),
        Err(error) => Err(EvalError::failed(format!("compilation failed: {error}"))),
    }
}

/// The values of the variables.
pub fn values<'a>(environment: &'a Environment, parameter: Option<&'a Value>) -> Variables<'a> {
    let any = |value: &'a Value| Ok(Val::from_json(value, &DYN));
    let ask = |query: Query| Ok(Val::Query(&environment.authorizer, Rc::new(query)));
    vec![
        ("object".to_owned(), any(&environment.object)),
        ("oldObject".to_owned(), any(&environment.old_object)),
        ("namespaceObject".to_owned(), any(&environment.namespace_object)),
        ("request".to_owned(), Ok(Val::from_json(&environment.request, &REQUEST))),
        ("authorizer".to_owned(), ask(Query::default())),
        ("authorizer.requestResource".to_owned(), ask(environment.request_resource.clone())),
        ("params".to_owned(), parameter.map_or(Ok(Val::Null), any)),
    ]
}

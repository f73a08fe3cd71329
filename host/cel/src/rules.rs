//! `x-kubernetes-validations`: rules at the nodes of a structural schema.
//!
//! [`RuleSet::compile`] mirrors the parts of a schema that have rules below them; [`RuleSet::run`] walks an instance
//! with it, and the stored version of an update beside it. Rules that look at `oldSelf` hold for changes only. A value
//! that an update leaves as it was may break a rule that came later: that is a warning and no failure.
//! [`definition::check`] is what a definition is told about its rules when it is written.

pub mod definition;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::structural::{Additional, Rule, Structural, correlated, member_path};
use serde_json::Value as Json;

use crate::program::{Budget, EvalError, Program, Variables};
use crate::types::{Type, of_schema};
use crate::value::Val;

/// The value that a rule is about.
const SELF: &str = "self";
/// Its value in the stored object.
const OLD_SELF: &str = "oldSelf";
/// The longest message.
const LONGEST_MESSAGE: usize = 5 * 1024;

/// What the rules say of an instance.
#[derive(Debug, Default)]
pub struct Findings {
    /// Rules that are broken.
    pub causes: Vec<Cause>,
    /// Rules that are broken by values which the update did not touch.
    pub warnings: Vec<String>,
}

/// The rules of a schema and of what is below it.
#[derive(Debug)]
pub struct RuleSet {
    type_: Type,
    rules: Vec<Compiled>,
    properties: BTreeMap<String, RuleSet>,
    additional: Option<Box<RuleSet>>,
    items: Option<Box<RuleSet>>,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    program: Result<Program, String>,
    message: Option<Program>,
    transition: bool,
}

/// The variables of a rule.
fn variables(type_: &Type, rule: &Rule) -> Vec<(String, Type)> {
    let old = if rule.optional_old_self == Some(true) { Type::optional(type_.clone()) } else { type_.clone() };
    vec![(SELF.to_owned(), type_.clone()), (OLD_SELF.to_owned(), old)]
}

impl Compiled {
    fn new(rule: &Rule, type_: &Type) -> Self {
        let variables = variables(type_, rule);
        let program = Program::compile(&rule.rule, &variables);
        let transition = program.as_ref().is_ok_and(|program| program.uses(OLD_SELF));
        let message = match rule.message_expression.as_str() {
            "" => None,
            text => Program::compile(text, &variables).ok(),
        };
        Self { rule: rule.clone(), program, message, transition }
    }
}

impl RuleSet {
    /// The compiled rules of a schema, if it has any. `root` is whether its values are whole objects.
    pub fn compile(schema: &Structural, root: bool) -> Option<Self> {
        if !schema.has_rules() {
            return None;
        }
        let type_ = of_schema(schema, root).unwrap_or_else(|| crate::types::DYN.clone());
        let properties = schema.properties.iter();
        Some(Self {
            rules: schema.rules.iter().map(|rule| Compiled::new(rule, &type_)).collect(),
            type_,
            properties: properties.filter_map(|(key, p)| Some((key.clone(), Self::compile(p, false)?))).collect(),
            additional: match &schema.additional {
                Additional::Schema(values) => Self::compile(values, false).map(Box::new),
                _ => None,
            },
            items: schema.items.as_ref().and_then(|items| Self::compile(items, false)).map(Box::new),
        })
    }

    /// Runs the rules on an instance; `old` is the stored version of an update.
    pub fn run(&self, instance: &Json, old: Option<&Json>, schema: &Structural) -> Findings {
        let mut walk = Walk { findings: Findings::default(), budget: Budget::default(), over: false };
        walk.node(self, instance, old, schema, "");
        walk.findings
    }
}

struct Walk {
    findings: Findings,
    budget: Budget,
    /// Whether the budget is spent, so that nothing further is run.
    over: bool,
}

impl Walk {
    fn node(&mut self, set: &RuleSet, value: &Json, old: Option<&Json>, schema: &Structural, path: &str) {
        if self.over || value.is_null() {
            return;
        }
        let unchanged = old.is_some_and(|old| old == value);
        for compiled in &set.rules {
            self.rule(set, compiled, value, old, unchanged, path);
            if self.over {
                return;
            }
        }
        match value {
            Json::Object(members) => {
                for (key, value) in members {
                    let Some(child) = schema.member(key) else { continue };
                    // A path tells a property from an entry of a map.
                    let (below, place) = match schema.properties.contains_key(key) {
                        true => (set.properties.get(key), member_path(path, key)),
                        false => (set.additional.as_deref(), format!("{path}[{key}]")),
                    };
                    if let Some(below) = below {
                        let before = old.and_then(|old| old.get(key));
                        self.node(below, value, before, child, &place);
                    }
                }
            }
            Json::Array(list) => {
                let (Some(below), Some(items)) = (&set.items, &schema.items) else { return };
                for (index, item) in list.iter().enumerate() {
                    let before = correlated(schema, item, old);
                    self.node(below, item, before, items, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn rule(
        &mut self,
        set: &RuleSet,
        compiled: &Compiled,
        value: &Json,
        old: Option<&Json>,
        unchanged: bool,
        path: &str,
    ) {
        let rule = &compiled.rule;
        let optional = rule.optional_old_self == Some(true);
        if compiled.transition && old.is_none() && !optional {
            return;
        }
        let old_value = || old.map(|old| Val::from_json(old, &set.type_));
        let variables = || {
            let before = if optional { Some(Val::Optional(old_value().map(Into::into))) } else { old_value() };
            let own = (SELF.into(), Ok(Val::from_json(value, &set.type_)));
            [own].into_iter().chain(before.map(|before| (OLD_SELF.into(), Ok(before)))).collect::<Variables<'_>>()
        };
        let place = if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() };
        let cause = match &compiled.program {
            Err(text) => invalid(place, &format!("rule compiler initialization error: {text}")),
            Ok(program) => match program.run(&variables(), &mut self.budget) {
                Ok(Val::Bool(true)) => return,
                Ok(Val::Bool(false)) => {
                    let text = compiled.message.as_ref().and_then(|message| self.message(message, &variables()));
                    failure(rule, &place, text)
                }
                Ok(_) => invalid(place, &format!("no such overload evaluating rule: {}", told(rule))),
                Err(EvalError::TooCostly) => {
                    self.over = true;
                    let detail = if self.budget.left == 0 {
                        "validation failed due to running out of cost budget, no further validation rules will be run"
                            .to_owned()
                    } else {
                        format!(
                            "'{}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                            EvalError::TooCostly,
                            told(rule)
                        )
                    };
                    invalid(place, &detail)
                }
                Err(EvalError::Failed(text)) if text.starts_with("no such overload") => invalid(
                    place,
                    &format!(
                        "'{text}': call arguments did not match a supported operator, function or macro signature for \
                         rule: {}",
                        told(rule)
                    ),
                ),
                Err(EvalError::Failed(text)) => invalid(place, &format!("{text} evaluating rule: {}", told(rule))),
            },
        };
        if unchanged && !compiled.transition {
            self.findings.warnings.push(format!("{}: {}", cause.field, cause.message));
        } else {
            self.findings.causes.push(cause);
        }
    }

    /// What a message's expression says, if it says something that can be shown.
    fn message(&mut self, program: &Program, variables: &Variables<'_>) -> Option<String> {
        match program.run(variables, &mut self.budget) {
            Ok(Val::String(text)) => {
                let text = text.trim().to_owned();
                let shown = !text.is_empty() && !text.contains('\n') && text.len() <= LONGEST_MESSAGE;
                shown.then_some(text)
            }
            _ => None,
        }
    }
}

fn invalid(place: String, detail: &str) -> Cause {
    Cause::field(FieldErrorType::Invalid, place, "", detail)
}

/// How messages name a rule.
fn told(rule: &Rule) -> &str {
    if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() }
}

fn failure(rule: &Rule, place: &str, message: Option<String>) -> Cause {
    let kind = match rule.reason.as_str() {
        "FieldValueForbidden" => FieldErrorType::Forbidden,
        "FieldValueRequired" => FieldErrorType::Required,
        "FieldValueDuplicate" => FieldErrorType::Duplicate,
        _ => FieldErrorType::Invalid,
    };
    let text = message.unwrap_or_else(|| {
        if rule.message.trim().is_empty() {
            format!("failed rule: {}", rule.rule.trim())
        } else {
            rule.message.trim().to_owned()
        }
    });
    let field = below(place, &rule.field_path);
    Cause::field(kind, field, "", &text)
}

/// A field below a place, from a simple path (`.a.b`, `['a.b']`).
fn below(place: &str, path: &str) -> String {
    let mut field = if place == "<nil>" { String::new() } else { place.to_owned() };
    let mut rest = path;
    while !rest.is_empty() {
        if let Some((key, after)) = rest.strip_prefix("['").and_then(|inside| inside.split_once("']")) {
            field.push_str(&format!("[{key}]"));
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let end = rest.find(['.', '[']).unwrap_or(rest.len()).max(1).min(rest.len());
        field = member_path(&field, &rest[..end]);
        rest = &rest[end..];
    }
    if field.is_empty() { place.to_owned() } else { field }
}

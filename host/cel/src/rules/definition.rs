//! What a definition is told about its rules: that they do not compile, give no truth value, look at the old value
//! where there is no telling which it was, or can cost too much.

use portcullis_machinery::schema::ListType;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::structural::{Additional, Rule, Structural};
use serde_json::{Value as Json, json};

use super::{OLD_SELF, variables};
use crate::program::Program;
use crate::types::{Kind, Type, most_items, most_members, of_schema};

/// The most that one expression may be estimated to cost.
const ONE: u64 = 10_000_000;
/// The most that all of a schema may.
const ALL: u64 = 100_000_000;
/// What to do about it.
const HINT: &str = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and \
     strings are declared)";

/// How many of the costliest expressions are named where all together cost too much.
const NAMED: usize = 4;

/// What is wrong with the rules of a schema at a place in the definition. Rules at or above a place that is `broken` are
/// not looked at: what they would be told goes away once it is mended.
pub fn check(schema: &Structural, place: &str, broken: &[&str]) -> Vec<Cause> {
    let mut walk = Walk { causes: Vec::new(), total: 0, costly: Vec::new(), broken };
    walk.node(schema, place, &At { many: 1, uncorrelated: None, root: true });
    if walk.total > ALL {
        // Expressions that take a good part of the whole are named.
        walk.costly.retain(|(_, cost)| *cost >= ALL / 100);
        walk.costly.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (field, _) in walk.costly.iter().take(NAMED) {
            let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            walk.causes.push(Cause::field(FieldErrorType::Forbidden, field.clone(), "", detail));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        let detail = format!("{what} exceeds budget by factor of {} {HINT}", factor(walk.total, ALL));
        walk.causes.push(Cause::field(FieldErrorType::Forbidden, place, "", &detail));
    }
    walk.causes
}

fn factor(cost: u64, limit: u64) -> String {
    let times = cost as f64 / limit as f64;
    match times {
        times if times > 100.0 => "more than 100x".to_owned(),
        // Where it is close, "1.0x" would say nothing.
        times if times < 1.5 => format!("{times:.6}x"),
        times => format!("{times:.1}x"),
    }
}

/// Where in a schema a rule is.
#[derive(Clone)]
struct At {
    /// How often the value can be in one object.
    many: u64,
    /// The innermost list whose items cannot be told apart between versions.
    uncorrelated: Option<String>,
    root: bool,
}

struct Walk<'a> {
    broken: &'a [&'a str],
    causes: Vec<Cause>,
    total: u64,
    costly: Vec<(String, u64)>,
}

/// A rule as the reference prints it.
fn printed(rule: &Rule) -> String {
    let text = |text: &str| {
        let quoted = Json::from(text).to_string();
        quoted.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    };
    let reason = if rule.reason.is_empty() { "null".to_owned() } else { text(&rule.reason) };
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{reason},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        text(&rule.rule),
        text(&rule.message),
        text(&rule.message_expression),
        text(&rule.field_path),
        json!(rule.optional_old_self)
    )
}

impl Walk<'_> {
    fn node(&mut self, schema: &Structural, place: &str, at: &At) {
        let mended = !self.broken.iter().any(|field| field.starts_with(place));
        if let Some(type_) = of_schema(schema, at.root).filter(|_| mended) {
            for (index, rule) in schema.rules.iter().enumerate() {
                self.rule(rule, &type_, &format!("{place}.x-kubernetes-validations[{index}]"), at);
            }
        }
        for (key, property) in &schema.properties {
            self.node(property, &format!("{place}.properties[{key}]"), &At { root: false, ..at.clone() });
        }
        if let Additional::Schema(values) = &schema.additional {
            let most = schema.property_count.1.unwrap_or_else(|| most_members(values));
            let at = At { many: at.many.saturating_mul(most), root: false, ..at.clone() };
            self.node(values, &format!("{place}.additionalProperties"), &at);
        }
        if let Some(items) = &schema.items {
            let most = schema.item_count.1.unwrap_or_else(|| most_items(items));
            let uncorrelated = match schema.list_type {
                Some(ListType::Map) => at.uncorrelated.clone(),
                _ => at.uncorrelated.clone().or_else(|| Some(place.to_owned())),
            };
            let at = At { many: at.many.saturating_mul(most), uncorrelated, root: false };
            self.node(items, &format!("{place}.items"), &at);
        }
    }

    fn rule(&mut self, rule: &Rule, type_: &Type, place: &str, at: &At) {
        if rule.rule.trim().is_empty() {
            return;
        }
        let variables = variables(type_, rule);
        let field = format!("{place}.rule");
        match Program::compile(&rule.rule, &variables) {
            Err(error) => self.invalid(&field, &printed(rule), &format!("compilation failed: {error}")),
            Ok(program) if !matches!(program.result().kind, Kind::Bool) => {
                self.invalid(&field, &printed(rule), "cel expression must evaluate to a bool");
            }
            Ok(program) => {
                self.cost(&program, &field, "rule", at);
                if let (true, Some(list)) = (program.uses(OLD_SELF), &at.uncorrelated) {
                    let detail =
                        format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
                    self.invalid(&field, &Json::from(rule.rule.as_str()).to_string(), &detail);
                }
            }
        }
        if rule.message_expression.trim().is_empty() {
            return;
        }
        let field = format!("{place}.messageExpression");
        match Program::compile(&rule.message_expression, &variables) {
            Err(error) => {
                self.invalid(&field, &printed(rule), &format!("messageExpression compilation failed: {error}"));
            }
            Ok(program) if !matches!(program.result().kind, Kind::String) => {
                self.invalid(&field, &printed(rule), "messageExpression must evaluate to a string");
            }
            Ok(program) => self.cost(&program, &field, "messageExpression", at),
        }
    }

    fn invalid(&mut self, field: &str, value: &str, detail: &str) {
        self.causes.push(Cause::field(FieldErrorType::Invalid, field, value, detail));
    }

    fn cost(&mut self, program: &Program, field: &str, what: &str, at: &At) {
        let cost = program.max_cost().saturating_mul(at.many);
        self.total = self.total.saturating_add(cost);
        self.costly.push((field.to_owned(), cost));
        if cost > ONE {
            let detail = format!("estimated {what} cost exceeds budget by factor of {} {HINT}", factor(cost, ONE));
            self.causes.push(Cause::field(FieldErrorType::Forbidden, field, "", &detail));
        }
    }
}

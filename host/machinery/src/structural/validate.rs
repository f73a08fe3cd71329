//! The keywords of a schema, checked in the order and words of the reference's validator.
//!
//! Two things tell this from an ordinary JSON-schema validator. A value that an update leaves as it was is not checked
//! again, so that a schema may become stricter without making stored objects unchangeable. And failures of composed
//! schemas (`allOf`, `anyOf`, `oneOf`, `not`) and of number formats have no field: the reference reports them at `<nil>`.

use serde_json::{Map, Number, Value};

use super::{Additional, Structural, Type, correlated, formats, member_path};
use crate::status::{Cause, FieldErrorType};

/// The path of failures that the reference ties to no field.
const NOWHERE: &str = "<nil>";

/// What came of a value and a schema.
#[derive(Default)]
struct Outcome {
    causes: Vec<Cause>,
    /// How many checks were made: of several failed alternatives, the one with most is reported.
    checks: usize,
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        self.causes.extend(other.causes);
        self.checks += other.checks;
    }

    fn fail(&mut self, kind: FieldErrorType, field: &str, value: &str, detail: &str) {
        self.causes.push(Cause::field(kind, field, value, detail));
    }

    fn fail_nowhere(&mut self, detail: String) {
        self.causes.push(Cause::field(FieldErrorType::Invalid, NOWHERE, "\"\"", &detail));
    }
}

/// What is wrong with an instance. `old` is the stored version of an update.
pub fn validate(object: &Value, old: Option<&Value>, schema: &Structural) -> Vec<Cause> {
    check(object, old, schema, "", true).causes
}

/// A number as the messages print it: whole ones without a point.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e21 { format!("{number:.0}") } else { number.to_string() }
}

/// The name and the format that a value has by itself.
fn described(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_f64() => ("number", "double"),
        Value::Number(_) => ("integer", "int64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn check(value: &Value, old: Option<&Value>, schema: &Structural, path: &str, root: bool) -> Outcome {
    // An unchanged value is not looked at again.
    if old.is_some_and(|old| old == value) {
        return Outcome { causes: Vec::new(), checks: 1 };
    }
    let mut outcome = Outcome { causes: Vec::new(), checks: 1 };
    check_type(value, schema, path, &mut outcome);
    if value.is_null() {
        check_enum(value, schema, path, &mut outcome);
        return outcome;
    }
    composed(value, old, schema, path, &mut outcome);
    match value {
        Value::String(text) => check_text(text, schema, path, &mut outcome),
        Value::Number(number) => check_number(number, schema, path, &mut outcome),
        Value::Array(items) => check_items(items, old, schema, path, &mut outcome),
        _ => {}
    }
    check_enum(value, schema, path, &mut outcome);
    if let Value::Object(members) = value {
        check_members(members, old, schema, path, root, &mut outcome);
    }
    outcome
}

fn check_type(value: &Value, schema: &Structural, path: &str, outcome: &mut Outcome) {
    let wanted: &[Type] = match schema.type_ {
        Type::Unset if schema.int_or_string => &[Type::Integer, Type::String],
        Type::Unset => &[],
        ref one => std::slice::from_ref(one),
    };
    let refuse = |outcome: &mut Outcome, wanted: &str, found: &str| {
        let place = if path.is_empty() { "<nil>" } else { path };
        let detail = format!("{path} in body must be of type {wanted}: \"{found}\"");
        outcome.fail(FieldErrorType::TypeInvalid, place, &Value::from(found).to_string(), &detail);
    };
    let words = || wanted.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(",");
    if wanted.is_empty() {
        return;
    }
    outcome.checks += 1;
    let (name, format) = described(value);
    if value.is_null() {
        if !schema.nullable {
            refuse(outcome, &words(), name);
        }
        return;
    }
    let whole = matches!(value, Value::Number(n) if n.as_f64().is_some_and(|n| n.fract() == 0.0));
    let fits = wanted.iter().any(|one| {
        one.as_str() == name || (*one == Type::Number && value.is_number()) || (*one == Type::Integer && whole)
    });
    if fits {
        return;
    }
    // With a format, a value that is neither text nor a list is called by its format.
    let called = !schema.format.is_empty() && !matches!(value, Value::String(_) | Value::Array(_));
    let numeric = wanted.iter().any(|one| matches!(one, Type::Integer | Type::Number));
    match called {
        true => refuse(outcome, &schema.format, format),
        // Text and lists of another type than wanted are left to the format's own check.
        false if !schema.format.is_empty() && !numeric => {}
        false => refuse(outcome, &words(), name),
    }
}

fn composed(value: &Value, old: Option<&Value>, schema: &Structural, path: &str, outcome: &mut Outcome) {
    let run = |schema: &Structural| check(value, old, schema, path, false);
    if !schema.any_of.is_empty() {
        let (best, valid) = best_of(&schema.any_of, run);
        if valid == 0 {
            outcome.fail_nowhere(format!("\"{path}\" must validate at least one schema (anyOf)"));
            outcome.merge(best);
        }
    }
    if !schema.one_of.is_empty() {
        let (best, valid) = best_of(&schema.one_of, run);
        if valid != 1 {
            let found =
                if valid == 0 { "Found none valid".to_owned() } else { format!("Found {valid} valid alternatives") };
            outcome.fail_nowhere(format!("\"{path}\" must validate one and only one schema (oneOf). {found}"));
        }
        if valid == 0 {
            outcome.merge(best);
        }
    }
    if !schema.all_of.is_empty() {
        let mut valid = 0;
        for part in &schema.all_of {
            let result = run(part);
            valid += usize::from(result.causes.is_empty());
            outcome.merge(result);
        }
        if valid != schema.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            outcome.fail_nowhere(format!("\"{path}\" must validate all the schemas (allOf){none}"));
        }
    }
    if let Some(not) = &schema.not
        && run(not).causes.is_empty()
    {
        outcome.fail_nowhere(format!("\"{path}\" must not validate the schema (not)"));
    }
    outcome.checks += 1;
}

/// The failure of the alternative that came furthest, and how many are met.
fn best_of(alternatives: &[Structural], run: impl Fn(&Structural) -> Outcome) -> (Outcome, usize) {
    let mut best: Option<Outcome> = None;
    let mut valid = 0;
    for alternative in alternatives {
        let result = run(alternative);
        if result.causes.is_empty() {
            valid += 1;
        } else if best.as_ref().is_none_or(|best| result.checks > best.checks) {
            best = Some(result);
        }
    }
    (best.unwrap_or_default(), valid)
}

fn check_text(text: &str, schema: &Structural, path: &str, outcome: &mut Outcome) {
    let value = || Value::from(text).to_string();
    let length = text.chars().count() as u64;
    outcome.checks += 1;
    // The first of these that fails hides the others.
    if let Some(longest) = schema.length.1.filter(|longest| length > *longest) {
        outcome.fail(FieldErrorType::TooLong, path, "", &format!("may not be more than {longest} bytes"));
    } else if let Some(shortest) = schema.length.0.filter(|shortest| length < *shortest) {
        let detail = format!("{path} in body should be at least {shortest} chars long");
        outcome.fail(FieldErrorType::Invalid, path, &value(), &detail);
    } else if let Some((pattern, Some(regex))) = &schema.pattern
        && !regex.is_match(text)
    {
        outcome.fail(FieldErrorType::Invalid, path, &value(), &format!("{path} in body should match '{pattern}'"));
    }
    if !schema.format.is_empty() && !formats::matches(&schema.format, text) {
        let detail = format!("{path} in body must be of type {}: {}", schema.format, value());
        outcome.fail(FieldErrorType::TypeInvalid, path, &value(), &detail);
    }
}

fn check_number(number: &Number, schema: &Structural, path: &str, outcome: &mut Outcome) {
    let Some(value) = number.as_f64() else { return };
    let text = number.to_string();
    outcome.checks += 1;
    let in_range = match (schema.type_, schema.format.as_str()) {
        (Type::Integer, "int32") => (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value),
        (Type::Integer, "uint32") => (0.0..=f64::from(u32::MAX)).contains(&value),
        (Type::Integer, "uint64") => {
            number.as_u64().is_some() || (number.is_f64() && value >= 0.0 && value < 2f64.powi(64))
        }
        (Type::Integer, _) => number.as_i64().is_some() || (number.is_f64() && value.abs() < 2f64.powi(63)),
        (Type::Number, "float") => value.abs() <= f64::from(f32::MAX),
        _ => true,
    };
    if !in_range {
        let (kind, format) = (schema.type_.as_str(), schema.format.as_str());
        outcome.fail_nowhere(format!("Checked value must be of type {kind} with format {format} in {path}"));
    }
    if let Some(factor) = schema.multiple_of.filter(|factor| *factor != 0.0) {
        let times = value / factor;
        if (times - times.round()).abs() > 1e-9 {
            let detail = format!("{path} in body should be a multiple of {}", number_text(factor));
            outcome.fail(FieldErrorType::Invalid, path, &text, &detail);
        }
    }
    if let Some((limit, exclusive)) = schema.maximum
        && (value > limit || (exclusive && value >= limit))
    {
        let words = if exclusive { "less than" } else { "less than or equal to" };
        let detail = format!("{path} in body should be {words} {}", number_text(limit));
        outcome.fail(FieldErrorType::Invalid, path, &text, &detail);
    }
    if let Some((limit, exclusive)) = schema.minimum
        && (value < limit || (exclusive && value <= limit))
    {
        let words = if exclusive { "greater than" } else { "greater than or equal to" };
        let detail = format!("{path} in body should be {words} {}", number_text(limit));
        outcome.fail(FieldErrorType::Invalid, path, &text, &detail);
    }
}

/// `must have at most 1 item`.
fn at_most(limit: u64) -> String {
    format!("must have at most {limit} item{}", if limit == 1 { "" } else { "s" })
}

fn check_items(items: &[Value], old: Option<&Value>, schema: &Structural, path: &str, outcome: &mut Outcome) {
    outcome.checks += 1;
    if let Some(of_items) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            let before = correlated(schema, item, old);
            outcome.merge(check(item, before, of_items, &format!("{path}[{index}]"), false));
        }
    }
    let count = items.len() as u64;
    if let Some(fewest) = schema.item_count.0.filter(|fewest| count < *fewest) {
        let detail = format!("{path} in body should have at least {fewest} items");
        outcome.fail(FieldErrorType::Invalid, path, &count.to_string(), &detail);
    }
    if let Some(most) = schema.item_count.1.filter(|most| count > *most) {
        outcome.fail(FieldErrorType::TooMany, path, &count.to_string(), &at_most(most));
    }
}

/// Whether two values are the same for `enum`: numbers by what they are worth.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn check_enum(value: &Value, schema: &Structural, path: &str, outcome: &mut Outcome) {
    if schema.enumeration.is_empty() {
        return;
    }
    outcome.checks += 1;
    if schema.enumeration.iter().any(|known| same(known, value)) {
        return;
    }
    let known: Vec<String> = schema
        .enumeration
        .iter()
        .map(|known| match known {
            Value::String(_) => known.to_string(),
            other => Value::from(other.to_string()).to_string(),
        })
        .collect();
    let detail = format!("supported values: {}", known.join(", "));
    outcome.fail(FieldErrorType::NotSupported, path, &value.to_string(), &detail);
}

fn check_members(
    members: &Map<String, Value>,
    old: Option<&Value>,
    schema: &Structural,
    path: &str,
    root: bool,
    outcome: &mut Outcome,
) {
    outcome.checks += 1;
    let count = members.len() as u64;
    if let Some(fewest) = schema.property_count.0.filter(|fewest| count < *fewest) {
        let detail = format!("{path} in body should have at least {fewest} properties");
        outcome.fail(FieldErrorType::Invalid, path, &count.to_string(), &detail);
        return;
    }
    if let Some(most) = schema.property_count.1.filter(|most| count > *most) {
        outcome.fail(FieldErrorType::TooMany, path, &count.to_string(), &at_most(most));
        return;
    }
    let before = |key: &str| old.and_then(|old| old.get(key));
    for (key, value) in members {
        // What every object has is checked by its own rules.
        if root && key == "metadata" || schema.properties.contains_key(key) {
            continue;
        }
        match &schema.additional {
            Additional::Schema(values) => {
                outcome.merge(check(value, before(key), values, &member_path(path, key), false));
            }
            Additional::Allowed(false) if !(root && matches!(key.as_str(), "apiVersion" | "kind")) => {
                let detail = format!("{path}.{key} in body is a forbidden property");
                outcome.fail(FieldErrorType::Invalid, path, "\"\"", &detail);
            }
            _ => {}
        }
    }
    for (key, property) in &schema.properties {
        if let Some(value) = members.get(key) {
            outcome.merge(check(value, before(key), property, &member_path(path, key), false));
        }
    }
    for key in &schema.required {
        if !members.contains_key(key) {
            outcome.fail(FieldErrorType::Required, &member_path(path, key), "", "");
        }
    }
}

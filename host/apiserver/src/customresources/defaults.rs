//! The defaults in a definition's schemas: each must be a value of its own schema.

use portcullis_cel::rules::RuleSet;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::structural::{Structural, prune, validate};
use portcullis_machinery::{Value, structural::member_path};
use serde_json::json;

/// The member under which a default is looked at as a part of an object.
const PART: &str = "x";

/// What is wrong with the defaults of a schema at a place in the definition. Those of metadata are not looked at: few
/// are allowed, and those are names.
pub fn check(schema: &Structural, place: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, place, true, &mut causes);
    causes
}

fn walk(schema: &Structural, place: &str, whole: bool, causes: &mut Vec<Cause>) {
    if let Some(default) = &schema.default {
        one(schema, default, &format!("{place}.default"), causes);
    }
    if let Some(items) = &schema.items {
        walk(items, &format!("{place}.items"), false, causes);
    }
    for (key, property) in &schema.properties {
        if !((whole || schema.embedded) && matches!(key.as_str(), "metadata" | "apiVersion" | "kind")) {
            walk(property, &format!("{place}.properties[{key}]"), false, causes);
        }
    }
}

fn one(schema: &Structural, default: &Value, place: &str, causes: &mut Vec<Cause>) {
    let mut outer = Structural::default();
    outer.properties.insert(PART.to_owned(), schema.clone());
    let mut pruned = json!({PART: default});
    if prune::prune(&mut pruned, &outer).is_err() || pruned.get(PART) != Some(default) {
        let detail = "must not have unknown fields";
        causes.push(Cause::field(FieldErrorType::Invalid, place, &default.to_string(), detail));
    }
    let before = causes.len();
    let here = |cause: Cause| Cause { field: at(place, &cause.field), ..cause };
    causes.extend(validate::validate(default, None, schema).into_iter().map(here));
    if causes.len() > before {
        return;
    }
    // As the value of a new object, and as one that an update leaves as it was.
    let Some(rules) = RuleSet::compile(schema, false) else { return };
    let mut broken = rules.run(default, Some(default), schema).causes;
    if broken.is_empty() {
        broken = rules.run(default, None, schema).causes;
    }
    causes.extend(broken.into_iter().map(here));
}

/// A field of a default, whose own place is `place`.
fn at(place: &str, field: &str) -> String {
    match field {
        "" | "<nil>" => place.to_owned(),
        field if field.starts_with('[') => format!("{place}{field}"),
        field => member_path(place, field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_a_value_of_its_schema() {
        let check = |schema: Value, expected: &[(&str, &str)]| {
            let found = check(&Structural::read(&schema), "s");
            let found: Vec<(&str, &str)> = found.iter().map(|c| (c.field.as_str(), c.message.as_str())).collect();
            assert_eq!(found, expected, "{schema}");
        };
        let of = |property: Value| json!({"type": "object", "properties": {"a": property}});
        check(of(json!({"type": "string", "default": "x"})), &[]);
        let wrong = "Invalid value: \"integer\": s.properties[a].default in body must be of type string: \"integer\"";
        let found = super::check(&Structural::read(&of(json!({"type": "string", "default": 1}))), "s");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].field, "s.properties[a].default", "{wrong}");
        check(
            of(json!({"type": "object", "properties": {"b": {"type": "string"}}, "default": {"c": 1}})),
            &[("s.properties[a].default", "Invalid value: {\"c\":1}: must not have unknown fields")],
        );
        let ruled = json!({"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self > 1"}]});
        let found = super::check(&Structural::read(&of(ruled)), "s");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

//! Schemas: what of OpenAPI may be used, and the extensions of it.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::structural;
use crate::shown::Nothing;
use crate::{Errors, Field};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const LIST_TYPE: &str = "x-kubernetes-list-type";
const MAP_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";
const RULES: &str = "x-kubernetes-validations";
/// Members that are not supported at all.
const NOT_SUPPORTED: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

/// A whole schema; `with_status` if its kind has a status of its own.
pub(super) fn check(at: &Field, root: ValueRef, with_status: bool, errors: &mut Errors) {
    let before = errors.len();
    let kind = root.get("type").str_or_empty();
    if with_status && !matches!(kind, "" | "object") {
        let detail = "only \"object\" is allowed as the type at the root of the schema if the status subresource is \
                      enabled";
        errors.invalid(at.child("type"), kind, detail);
    }
    if root.get("nullable").as_bool() == Some(true) {
        errors.forbidden(at.child("nullable"), "nullable cannot be true at the root");
    }
    node(at, root, errors);
    // What is not well formed is not asked whether it is structural; the root's type is.
    let plain = errors.len() == before || with_status && kind != "object" && errors.len() == before + 1;
    if plain {
        structural::check(at, root, errors);
    }
}

/// The schemas below this one, with their places.
fn below(at: &Field, schema: ValueRef, mut visit: impl FnMut(&Field, ValueRef)) {
    for member in ["properties", "definitions", "patternProperties"] {
        let place = at.child(member);
        for (key, value) in schema.get(member).entries() {
            visit(&place.key(key), value);
        }
    }
    for member in ["additionalProperties", "items", "not"] {
        let value = schema.get(member);
        if !value.is_empty() || matches!(value.kind(), portcullis_sdk::tape::Kind::Object) {
            visit(&at.child(member), value);
        }
    }
    for member in ["allOf", "oneOf", "anyOf"] {
        let place = at.child(member);
        for (index, value) in schema.get(member).iter().enumerate() {
            visit(&place.index(index), value);
        }
    }
}

fn node(at: &Field, schema: ValueRef, errors: &mut Errors) {
    for member in NOT_SUPPORTED {
        if !crate::values::is_blank(schema.get(member)) {
            errors.forbidden(at.child(member), format!("{member} is not supported"));
        }
    }
    let kind = schema.get("type").str_or_empty();
    if kind == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        errors.forbidden(at.child("type"), detail);
    } else if !kind.is_empty() {
        errors.one_of(at.child("type"), kind, &TYPES);
    }
    if schema.get("uniqueItems").as_bool() == Some(true) {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(at.child("uniqueItems"), detail);
    }
    let pattern = schema.get("pattern").str_or_empty();
    if let Some(wrong) = unclosed(pattern) {
        let detail = format!("must be a valid regular expression, but isn't: error parsing regexp: {wrong}");
        errors.invalid(at.child("pattern"), pattern, detail);
    }
    let more = schema.get("additionalProperties");
    if !more.is_none() && more.as_bool() != Some(true) && !schema.get("properties").is_empty() {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.forbidden(at.child("additionalProperties"), detail);
    }
    if let Some(false) = schema.get("x-kubernetes-preserve-unknown-fields").as_bool() {
        let place = at.child("x-kubernetes-preserve-unknown-fields");
        errors.invalid(place, &false, "must be true or undefined");
    }
    map_type(at, schema, errors);
    list_type(at, schema, errors);
    rules(at, schema, errors);
    below(at, schema, |at, schema| node(at, schema, errors));
}

/// The commonest mistakes in a pattern: brackets that do not match, and nothing to repeat.
fn unclosed(pattern: &str) -> Option<String> {
    let (mut depth, mut class, mut escaped) = (0usize, None, false);
    for (index, c) in pattern.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            ']' if class.is_some_and(|start| index > start + 1) => class = None,
            _ if class.is_some() => {}
            '[' => class = Some(index),
            '(' => depth += 1,
            ')' if depth == 0 => return Some(format!("unexpected ): `{pattern}`")),
            ')' => depth -= 1,
            '*' | '+' | '?' if index == 0 => {
                return Some(format!("missing argument to repetition operator: `{c}`"));
            }
            _ => {}
        }
    }
    match (class, depth, escaped) {
        (Some(start), ..) => Some(format!("missing closing ]: `{}`", &pattern[start..])),
        (None, 1.., _) => Some(format!("missing closing ): `{pattern}`")),
        (None, 0, true) => Some("trailing backslash at end of expression: ``".to_owned()),
        _ => None,
    }
}

fn needs_type(at: &Field, schema: ValueRef, wanted: &str, member: &str, errors: &mut Errors) {
    let detail = format!("must be {wanted} if {member} is specified");
    match schema.get("type").str_or_empty() {
        "" => errors.required(at.child("type"), detail),
        kind if kind != wanted => errors.invalid(at.child("type"), kind, detail),
        _ => {}
    }
}

fn map_type(at: &Field, schema: ValueRef, errors: &mut Errors) {
    if let Some(kind) = schema.get(MAP_TYPE).as_str() {
        needs_type(at, schema, "object", MAP_TYPE, errors);
        errors.one_of(at.child(MAP_TYPE), kind, &["atomic", "granular"]);
    }
}

fn list_type(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let (kind, keys) = (schema.get(LIST_TYPE).as_str(), schema.get(MAP_KEYS));
    let Some(kind) = kind else {
        if !keys.is_empty() {
            errors.required(at.child(LIST_TYPE), "must be map if x-kubernetes-list-map-keys is non-empty");
        }
        return;
    };
    needs_type(at, schema, "array", LIST_TYPE, errors);
    errors.one_of(at.child(LIST_TYPE), kind, &["atomic", "set", "map"]);
    if kind != "map" && !keys.is_empty() {
        errors.invalid(at.child(LIST_TYPE), kind, "must be map if x-kubernetes-list-map-keys is non-empty");
    }
    let (items, place) = (schema.get("items"), at.child("items"));
    match kind {
        "map" => map_keys(at, schema, errors),
        "set" if items.get("type").is_str("object") && !items.get(MAP_TYPE).is_str("atomic") => {
            let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
            match items.get(MAP_TYPE).as_str() {
                None => errors.invalid(place.child(MAP_TYPE), &Nothing, detail),
                Some(kind) => errors.invalid(place.child(MAP_TYPE), kind, detail),
            }
        }
        "set"
            if items.get("type").is_str("array")
                && items.get(LIST_TYPE).as_str().is_some_and(|kind| kind != "atomic") =>
        {
            let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
            errors.invalid(place.child(LIST_TYPE), items.get(LIST_TYPE).str_or_empty(), detail);
        }
        "set" if items.get("nullable").as_bool() == Some(true) => {
            errors.forbidden(place.child("nullable"), "cannot be nullable when x-kubernetes-list-type is set");
        }
        _ => {}
    }
}

/// What the items of a list are known by.
fn map_keys(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let (keys, items, place) = (schema.get(MAP_KEYS), schema.get("items"), at.child("items"));
    if keys.is_empty() {
        return errors.required(at.child(MAP_KEYS), "must not be empty if x-kubernetes-list-type is map");
    }
    if items.is_none() {
        return errors.required(place, "must have a schema if x-kubernetes-list-type is map");
    }
    let kind = items.get("type").str_or_empty();
    if kind != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        return errors.invalid(place.child("type"), kind, detail);
    }
    let properties = place.child("properties");
    let mut seen = BTreeSet::new();
    let mut unknown = false;
    for (index, key) in keys.iter().enumerate() {
        let key = key.str_or_empty();
        let property = items.get("properties").get(key);
        if !seen.insert(key) {
            errors.duplicate(at.child(MAP_KEYS).index(index), key);
        }
        if property.is_none() {
            unknown = true;
            continue;
        }
        let (here, kind) = (properties.key(key), property.get("type").str_or_empty());
        if matches!(kind, "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.invalid(here.child("type"), kind, detail);
        }
        if property.get("nullable").as_bool() == Some(true) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.forbidden(here.child("nullable"), detail);
        }
        let required = items.get("required").iter().any(|one| one.is_str(key));
        if !required && property.get("default").is_absent() {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                          property";
            errors.required(here.child("default"), detail);
        }
    }
    if unknown {
        errors.invalid(at.child(MAP_KEYS), &keys, "entries must all be names of item properties");
    }
}

/// The texts beside the rules in CEL.
fn rules(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let list = at.child(RULES);
    let reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
    for (index, rule) in schema.get(RULES).iter().enumerate() {
        let at = list.index(index);
        let text = |name| rule.get(name).str_or_empty();
        if text("rule").trim().is_empty() {
            errors.required(at.child("rule"), "rule is not specified");
        }
        let message = text("message");
        if !message.is_empty() && message.trim().is_empty() {
            errors.invalid(at.child("message"), message, "message must be non-empty if specified");
        } else if message.trim().contains(['\n', '\r']) {
            errors.invalid(at.child("message"), message, "must not contain line breaks");
        } else if message.is_empty() && text("rule").trim().contains(['\n', '\r']) {
            errors.required(at.child("message"), "message must be specified if rule contains line breaks");
        }
        let expression = text("messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            errors.required(at.child("messageExpression"), detail);
        }
        errors.may_be_one_of(at.child("reason"), rule.get("reason"), &reasons);
        let path = text("fieldPath");
        if !path.is_empty() && !leads_somewhere(path, schema) {
            errors.invalid(at.child("fieldPath"), path, "must be a valid path");
        }
        if !rule.get("optionalOldSelf").is_none() && !text("rule").contains("oldSelf") {
            let detail = "may not be set if oldSelf is not used in rule";
            errors.invalid(at.child("optionalOldSelf"), &rule.get("optionalOldSelf"), detail);
        }
    }
}

/// Whether a path such as `.a['b'].c` names a field of the schema.
fn leads_somewhere(path: &str, schema: ValueRef) -> bool {
    let (mut rest, mut at) = (path, schema);
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            match quoted.split_once("']") {
                Some(parts) => parts,
                None => return false,
            }
        } else if let Some(dotted) = rest.strip_prefix('.') {
            let end = dotted.find(['.', '[']).unwrap_or(dotted.len());
            dotted.split_at(end)
        } else {
            return false;
        };
        let property = at.get("properties").get(name);
        at = if property.is_none() { at.get("additionalProperties") } else { property };
        if at.is_none() {
            return false;
        }
        rest = after;
    }
    true
}

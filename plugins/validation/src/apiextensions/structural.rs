//! Structural schemas: every field has a type of its own, and what only restricts values (`anyOf` and the like) names
//! no new ones.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field};

const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
/// Members that say what a value is, and not only how it is restricted.
const DEFINING: [&str; 7] =
    ["description", "type", "additionalProperties", "title", "nullable", "default", "x-kubernetes-list-type"];
const EXTENSIONS: [&str; 4] = [PRESERVE, EMBEDDED, INT_OR_STRING, "x-kubernetes-map-type"];

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Property,
    Item,
}

/// A whole schema.
pub(super) fn check(at: &Field, root: ValueRef, errors: &mut Errors) {
    node(at, root, Level::Root, errors);
}

fn flag(schema: ValueRef, name: &str) -> bool {
    schema.get(name).as_bool() == Some(true)
}

fn node(at: &Field, schema: ValueRef, level: Level, errors: &mut Errors) {
    let kind = schema.get("type").str_or_empty();
    if schema.get("items").is_none() && kind == "array" {
        errors.required(at.child("items"), "must be specified");
    }
    let place = at.child("type");
    if kind.is_empty() && !flag(schema, INT_OR_STRING) && !flag(schema, PRESERVE) {
        match level {
            Level::Root => errors.required(place, "must not be empty at the root"),
            Level::Property => errors.required(place, "must not be empty for specified object fields"),
            Level::Item => errors.required(place, "must not be empty for specified array items"),
        }
    }
    if level == Level::Root && !matches!(kind, "" | "object") {
        errors.invalid(place, kind, "must be object at the root");
    }
    if flag(schema, EMBEDDED) && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        if kind.is_empty() {
            errors.required(place, detail);
        } else {
            errors.invalid(place, kind, detail);
        }
    }
    if flag(schema, EMBEDDED) && !flag(schema, PRESERVE) && schema.get("properties").is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.required(at.child("properties"), detail);
    }
    if flag(schema, INT_OR_STRING) && !kind.is_empty() {
        errors.forbidden(place, "type must be empty if x-kubernetes-int-or-string is true");
    }
    if level == Level::Root {
        metadata(at, schema, errors);
    }
    restrictions(at, schema, flag(schema, INT_OR_STRING), errors);
    let list = at.child("properties");
    for (name, property) in schema.get("properties").entries() {
        node(&list.key(name), property, Level::Property, errors);
    }
    let items = schema.get("items");
    if !items.is_none() {
        node(&at.child("items"), items, Level::Item, errors);
    }
    let more = schema.get("additionalProperties");
    if more.as_bool().is_none() && !more.is_none() {
        node(&at.child("additionalProperties"), more, Level::Property, errors);
    }
}

/// Of metadata, only names can be restricted.
fn metadata(at: &Field, root: ValueRef, errors: &mut Errors) {
    let metadata = root.get("properties").get("metadata");
    if metadata.is_none() {
        return;
    }
    let place = at.child("properties");
    let place = place.key("metadata");
    if !metadata.get("type").is_str("object") {
        errors.invalid(place.child("type"), metadata.get("type").str_or_empty(), "must be object");
    }
    let inner = metadata.get("properties").entries().all(|(name, _)| matches!(name, "name" | "generateName"));
    let outer = metadata
        .entries()
        .all(|(name, _)| matches!(name, "type" | "description" | "properties" | "x-kubernetes-validations"));
    if !inner || !outer {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.forbidden(place, detail);
    }
}

/// The schemas that only restrict.
fn restrictions(at: &Field, schema: ValueRef, int_or_string: bool, errors: &mut Errors) {
    for member in ["allOf", "anyOf", "oneOf"] {
        let list = at.child(member);
        for (index, one) in schema.get(member).iter().enumerate() {
            restricts(&list.index(index), one, schema, int_or_string && member != "oneOf", errors);
        }
    }
    let not = schema.get("not");
    if !not.is_none() {
        restricts(&at.child("not"), not, schema, false, errors);
    }
}

fn restricts(at: &Field, one: ValueRef, beside: ValueRef, either: bool, errors: &mut Errors) {
    // An integer or a string is written as a choice of the two.
    let choice = |one: ValueRef| matches!(one.get("type").str_or_empty(), "integer" | "string");
    let spelled = either && (choice(one) || one.get("anyOf").iter().all(choice) && !one.get("anyOf").is_empty());
    for member in DEFINING.iter().chain(&EXTENSIONS) {
        if *member == "type" && spelled {
            continue;
        }
        if !crate::values::is_blank(one.get(member)) {
            errors.forbidden(at.child(member), "must be empty to be structural");
        }
    }
    if spelled && one.get("type").is_none() {
        return;
    }
    restrictions(at, one, false, errors);
    let list = at.child("properties");
    for (name, property) in one.get("properties").entries() {
        let own = beside.get("properties").get(name);
        let place = list.key(name);
        if own.is_none() && beside.get("additionalProperties").is_none() && !flag(beside, PRESERVE) {
            let outer = format!("{place}");
            let detail = "because it is defined in ".to_owned() + &outer;
            errors.required(missing(&outer, name), detail);
        }
        restricts(&place, property, own, false, errors);
    }
    let items = one.get("items");
    if !items.is_none() {
        restricts(&at.child("items"), items, beside.get("items"), false, errors);
    }
}

/// Where a property must be defined that a restriction speaks of: outside of the restriction.
fn missing(restriction: &str, name: &str) -> String {
    let outer = [".allOf[", ".anyOf[", ".oneOf[", ".not."].iter().filter_map(|part| restriction.find(part)).min();
    let outer = outer.map_or(restriction, |at| &restriction[..at]);
    format!("{outer}.properties[{name}]")
}

//! Structural schemas: every field has a type of its own, and what only restricts values (`anyOf` and the like) names
//! no new ones.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field};

const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";

/// What a restriction must not say, since it would say what a value is, and how that is told.
const DEFINING: [(&str, &str); 12] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (INT_OR_STRING, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];

/// The members of a schema that hold schemas which only restrict.
const RESTRICTING: [&str; 3] = ["allOf", "anyOf", "oneOf"];

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Property,
    Item,
}

/// A whole schema. The errors are in the order of their texts.
pub(super) fn check(at: &Field, root: ValueRef, errors: &mut Errors) {
    let mut found = Errors::new();
    node(at, root, Level::Root, &mut found);
    for (member, place, one) in restrictions(root) {
        match place {
            Some(index) => complete(at, &at.child(member).index(index), one, root, &mut found),
            None => complete(at, &at.child(member), one, root, &mut found),
        }
    }
    errors.extend_sorted(found);
}

/// Whether a schema is not structural.
pub(super) fn is_structural(root: ValueRef) -> bool {
    let mut found = Errors::new();
    check(&Field::new(""), root, &mut found);
    found.is_empty()
}

pub(super) fn flag(schema: ValueRef, name: &str) -> bool {
    schema.get(name).as_bool() == Some(true)
}

/// The restricting schemas of a schema: the member that each is in, and its place there.
fn restrictions<'a>(schema: ValueRef<'a>) -> impl Iterator<Item = (&'static str, Option<usize>, ValueRef<'a>)> {
    let listed = RESTRICTING.into_iter().flat_map(move |member| {
        schema.get(member).iter().enumerate().map(move |(index, one)| (member, Some(index), one))
    });
    let not = schema.get("not");
    listed.chain((!not.is_none()).then_some(("not", None, not)))
}

fn node(at: &Field, schema: ValueRef, level: Level, errors: &mut Errors) {
    let kind = schema.get("type").str_or_empty();
    let items = schema.get("items");
    if kind == "array" && items.is_none() {
        errors.required(at.child("items"), "must be specified");
    }
    if !items.is_none() {
        node(&at.child("items"), items, Level::Item, errors);
    }
    let properties = at.child("properties");
    for (name, property) in schema.get("properties").entries() {
        node(&properties.key(name), property, Level::Property, errors);
    }
    let (more, place) = (schema.get("additionalProperties"), at.child("additionalProperties"));
    if !more.is_none() {
        if level == Level::Root {
            errors.forbidden(place, "must not be used at the root");
        }
        if more.as_bool().is_none() {
            node(&place, more, Level::Property, errors);
        }
    }
    let (either, embedded, open) = (flag(schema, INT_OR_STRING), flag(schema, EMBEDDED), flag(schema, PRESERVE));
    for (set, member) in [(open, PRESERVE), (embedded, EMBEDDED)] {
        if either && set {
            errors.invalid(at.child(member), &true, "must be false if x-kubernetes-int-or-string is true");
        }
    }
    restricted(at, schema, is_choice(schema), schema.get("allOf").iter().next().is_some_and(is_choice), errors);
    types(at, schema, level, errors);
    if embedded && !more.is_none() {
        errors.forbidden(place, "must not be used if x-kubernetes-embedded-resource is set");
    }
    if level == Level::Root && !matches!(kind, "" | "object") {
        errors.invalid(at.child("type"), kind, "must be object at the root");
    }
    whole_objects(at, schema, level, errors);
    if embedded && !open && schema.get("properties").is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.required(properties, detail);
    }
}

fn types(at: &Field, schema: ValueRef, level: Level, errors: &mut Errors) {
    let (kind, place) = (schema.get("type").str_or_empty(), at.child("type"));
    if flag(schema, EMBEDDED) && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        if kind.is_empty() {
            errors.required(place, detail);
        } else {
            errors.invalid(place, kind, detail);
        }
    } else if kind.is_empty() && !flag(schema, INT_OR_STRING) && !flag(schema, PRESERVE) {
        errors.required(
            place,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Property => "must not be empty for specified object fields",
                Level::Item => "must not be empty for specified array items",
            },
        );
    }
}

/// Of what every whole object has, the root's and that of embedded ones, little can be said.
fn whole_objects(at: &Field, schema: ValueRef, level: Level, errors: &mut Errors) {
    if level != Level::Root && !flag(schema, EMBEDDED) {
        return;
    }
    let list = at.child("properties");
    for name in ["kind", "apiVersion"] {
        let property = schema.get("properties").get(name);
        if !property.is_none() && !property.get("type").is_str("string") {
            let place = list.key(name);
            errors.invalid(place.child("type"), property.get("type").str_or_empty(), "must be string");
        }
    }
    let metadata = schema.get("properties").get("metadata");
    if metadata.is_none() {
        return;
    }
    let place = list.key("metadata");
    if !metadata.get("type").is_str("object") {
        errors.invalid(place.child("type"), metadata.get("type").str_or_empty(), "must be object");
    }
    if level != Level::Root {
        return;
    }
    let properties = metadata.get("properties");
    let names = properties.entries().all(|(name, _)| matches!(name, "name" | "generateName"));
    let nothing_else = metadata
        .entries()
        .all(|(name, value)| matches!(name, "type" | "properties" | "default") || crate::values::is_blank(value));
    if !names || !nothing_else {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.forbidden(place, detail);
    }
}

/// Whether `anyOf` is a choice of an integer and a string, and nothing else: how such a value is spelled out.
fn is_choice(schema: ValueRef) -> bool {
    let only = |one: ValueRef, kind: &str| one.len() == 1 && one.get("type").is_str(kind);
    let any = schema.get("anyOf");
    any.len() == 2 && only(any.index(0), "integer") && only(any.index(1), "string")
}

/// The restrictions of a schema. `choice` and `first_choice` are whether `anyOf`, and that of the first of `allOf`, only
/// spell out an integer or a string.
fn restricted(at: &Field, schema: ValueRef, choice: bool, first_choice: bool, errors: &mut Errors) {
    for (member, index, one) in restrictions(schema) {
        if choice && member == "anyOf" {
            continue;
        }
        match index {
            Some(index) => {
                let spelled = first_choice && member == "allOf" && index == 0;
                restriction(&at.child(member).index(index), one, spelled, errors);
            }
            None => restriction(&at.child(member), one, false, errors),
        }
    }
    let pattern = schema.get("pattern").str_or_empty();
    if let Some(wrong) = super::pattern::wrong(pattern) {
        let detail = format!("must be a valid regular expression, but isn't: error parsing regexp: {wrong}");
        errors.invalid(at.child("pattern"), pattern, detail);
    }
}

fn restriction(at: &Field, one: ValueRef, choice: bool, errors: &mut Errors) {
    restricted(at, one, choice, false, errors);
    let items = one.get("items");
    if !items.is_none() {
        restriction(&at.child("items"), items, false, errors);
    }
    let list = at.child("properties");
    for (name, property) in one.get("properties").entries() {
        restriction(&list.key(name), property, false, errors);
    }
    for (member, detail) in DEFINING {
        let value = one.get(member);
        let set = match member {
            // A default may be any value, even an empty one.
            "default" => !value.is_none(),
            "additionalProperties" => !value.is_none() && value.as_bool() != Some(false),
            _ => !crate::values::is_blank(value),
        };
        if set {
            errors.forbidden(at.child(member), detail);
        }
    }
    if !one.get("x-kubernetes-validations").is_empty() {
        errors.forbidden(at.child("x-kubernetes-validations"), "must be empty to be structural");
    }
    if !one.get("properties").get("metadata").is_none() {
        errors.forbidden(list.key("metadata"), "must not be specified in a nested context");
    }
}

/// What the root's restrictions speak of is defined outside of them.
fn complete(outside: &Field, at: &Field, one: ValueRef, schema: ValueRef, errors: &mut Errors) {
    for (member, index, inner) in restrictions(one) {
        match index {
            Some(index) => complete(outside, &at.child(member).index(index), inner, schema, errors),
            None => complete(outside, &at.child(member), inner, schema, errors),
        }
    }
    let missing = |place: &Field, at: &Field, errors: &mut Errors| {
        errors.required(place, format!("because it is defined in {at}"));
    };
    let items = one.get("items");
    if !items.is_none() {
        let (place, at, defined) = (outside.child("items"), at.child("items"), schema.get("items"));
        match defined.is_none() {
            true => missing(&place, &at, errors),
            false => complete(&place, &at, items, defined, errors),
        }
    }
    let (places, list) = (outside.child("properties"), at.child("properties"));
    for (name, property) in one.get("properties").entries() {
        let (place, at, defined) = (places.key(name), list.key(name), schema.get("properties").get(name));
        match defined.is_none() {
            true => missing(&place, &at, errors),
            false => complete(&place, &at, property, defined, errors),
        }
    }
}

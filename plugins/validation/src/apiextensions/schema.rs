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

/// What an update need not put right, because it was so before the rule was there.
#[derive(Clone, Copy, Default)]
pub(super) struct Tolerated {
    /// Types that there are not.
    pub types: bool,
    /// Sets whose items are no single values.
    pub sets: bool,
    /// Keys of lists that may be missing, and items that may be null.
    pub keys: bool,
    /// Schemas that are not structural.
    pub structure: bool,
}

impl Tolerated {
    /// What the schemas of a definition have that is not allowed any more.
    pub fn of(spec: ValueRef) -> Self {
        let mut found = Self::default();
        for version in spec.get("versions").iter() {
            let root = version.get("schema").get("openAPIV3Schema");
            if root.is_none() {
                continue;
            }
            found.structure |= !structural::is_structural(root);
            visit(root, &mut |schema| {
                let kind = schema.get("type").str_or_empty();
                found.types |= !kind.is_empty() && !TYPES.contains(&kind);
                let at = Field::new("");
                let wrong = |check: fn(&Field, ValueRef, &mut Errors)| {
                    let mut errors = Errors::new();
                    check(&at, schema, &mut errors);
                    !errors.is_empty()
                };
                found.sets |= wrong(atomic_items);
                found.keys |= wrong(present_keys);
            });
        }
        found
    }
}

fn visit(schema: ValueRef, act: &mut impl FnMut(ValueRef)) {
    act(schema);
    // The closure is one, whatever the depth.
    let mut children = Vec::new();
    below(&Field::new(""), schema, |_, child| children.push(child));
    for child in children {
        visit(child, act);
    }
}

/// What the place of a schema forbids below it.
#[derive(Clone, Copy, Default)]
struct Context {
    /// Why no default may be given.
    no_defaults: Option<&'static str>,
    /// Within the metadata, kind or version of a whole object.
    in_metadata: bool,
    tolerated: Tolerated,
}

/// A whole schema; `with_status` if its kind has a status of its own.
pub(super) fn check(at: &Field, root: ValueRef, with_status: bool, tolerated: Tolerated, errors: &mut Errors) {
    if with_status {
        at_root(at, root, errors);
    }
    if root.get("nullable").as_bool() == Some(true) {
        errors.forbidden(at.child("nullable"), "nullable cannot be true at the root");
    }
    // What cannot be read is not asked whether it is structural.
    if readable(root) && !tolerated.structure {
        structural::check(at, root, errors);
    }
    node(at, root, true, Context { tolerated, ..Context::default() }, errors);
}

/// What the root of a schema may say if the status is validated apart.
const AT_ROOT: [(&str, &str); 22] = [
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];

fn at_root(at: &Field, root: ValueRef, errors: &mut Errors) {
    let kind = root.get("type").str_or_empty();
    if !matches!(kind, "" | "object") {
        let detail = "only \"object\" is allowed as the type at the root of the schema if the status subresource is \
                      enabled";
        return errors.invalid(at.child("type"), kind, detail);
    }
    let known = |name: &str| AT_ROOT.iter().any(|(allowed, _)| *allowed == name);
    // A flag that is false is not set, and neither is an empty text; an empty list is.
    let set = |value: ValueRef| value.as_bool() != Some(false) && !value.is_none() && !value.is_str("");
    if root.entries().any(|(name, value)| name != "nullable" && set(value) && !known(name)) || is_nullable(root) {
        let names: Vec<&str> = AT_ROOT.iter().map(|(_, name)| *name).collect();
        let detail = format!(
            "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
            names.join(" ")
        );
        errors.invalid(at, &root, detail);
    }
}

fn is_nullable(schema: ValueRef) -> bool {
    schema.get("nullable").as_bool() == Some(true)
}

/// Whether a schema says only what schemas may say.
fn readable(schema: ValueRef) -> bool {
    let plain = NOT_SUPPORTED.iter().all(|member| crate::values::is_blank(schema.get(member)))
        && schema.get("items").index(0).is_none()
        && schema.get("x-kubernetes-preserve-unknown-fields").as_bool() != Some(false);
    let mut all = plain;
    below(&Field::new(""), schema, |_, child| all = all && readable(child));
    all
}

/// The schemas below this one, with their places.
fn below<'a>(at: &Field, schema: ValueRef<'a>, mut visit: impl FnMut(&Field, ValueRef<'a>)) {
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

fn node(at: &Field, schema: ValueRef, root: bool, context: Context, errors: &mut Errors) {
    supported(at, schema, context, errors);
    if schema.get("uniqueItems").as_bool() == Some(true) {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(at.child("uniqueItems"), detail);
    }
    let more = schema.get("additionalProperties");
    if !more.is_none() && more.as_bool() != Some(true) && !schema.get("properties").is_empty() {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.forbidden(at.child("additionalProperties"), detail);
    }
    let embedded = structural::flag(schema, "x-kubernetes-embedded-resource");
    below(at, schema, |place, child| {
        let mut context = context;
        let member = |name: &str| place.is_child_of(at, name);
        if member("additionalProperties") && context.in_metadata {
            context.no_defaults = Some("inside additionalProperties applying to object metadata");
        }
        for (name, why) in [
            ("metadata", "in top-level metadata"),
            ("kind", "in top-level kind"),
            ("apiVersion", "in top-level apiVersion"),
        ] {
            if (root || embedded) && place.is_property_of(at, name) {
                context.in_metadata = true;
                context.no_defaults = if root { Some(why) } else { context.no_defaults };
            }
        }
        node(place, child, false, context, errors);
    });
    if let Some(false) = schema.get("x-kubernetes-preserve-unknown-fields").as_bool() {
        let place = at.child("x-kubernetes-preserve-unknown-fields");
        errors.invalid(place, &false, "must be true or undefined");
    }
    map_type(at, schema, errors);
    list_type(at, schema, context.tolerated, errors);
    if !context.tolerated.keys {
        present_keys(at, schema, errors);
    }
    rules(at, schema, errors);
}

fn supported(at: &Field, schema: ValueRef, context: Context, errors: &mut Errors) {
    let kind = schema.get("type").str_or_empty();
    if !kind.is_empty() && !context.tolerated.types {
        errors.one_of(at.child("type"), kind, &TYPES);
    }
    if let Some(why) = context.no_defaults.filter(|_| !schema.get("default").is_none()) {
        errors.forbidden(at.child("default"), format!("must not be set {why}"));
    }
    for member in NOT_SUPPORTED {
        if !crate::values::is_blank(schema.get(member)) {
            errors.forbidden(at.child(member), format!("{member} is not supported"));
        }
    }
    if kind == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        errors.forbidden(at.child("type"), detail);
    }
    if !schema.get("items").index(0).is_none() {
        errors.forbidden(at.child("items"), "items must be a schema object and not an array");
    }
    if context.in_metadata && structural::flag(schema, "x-kubernetes-embedded-resource") {
        errors.forbidden(at.child("x-kubernetes-embedded-resource"), "must not be used inside of resource meta");
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

fn list_type(at: &Field, schema: ValueRef, tolerated: Tolerated, errors: &mut Errors) {
    let (kind, keys) = (schema.get(LIST_TYPE).as_str(), schema.get(MAP_KEYS));
    let Some(kind) = kind else {
        if !keys.is_empty() {
            errors.required(at.child(LIST_TYPE), "must be map if x-kubernetes-list-map-keys is non-empty");
        }
        return;
    };
    needs_type(at, schema, "array", LIST_TYPE, errors);
    if schema.get("type").is_str("array") && !tolerated.sets {
        atomic_items(at, schema, errors);
    }
    errors.one_of(at.child(LIST_TYPE), kind, &["atomic", "set", "map"]);
    if kind != "map" && !keys.is_empty() {
        errors.invalid(at.child(LIST_TYPE), kind, "must be map if x-kubernetes-list-map-keys is non-empty");
    }
    if kind == "map" {
        map_keys(at, schema, errors);
    }
}

/// The items of a set are single values.
fn atomic_items(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let (items, place) = (schema.get("items"), at.child("items"));
    if !schema.get(LIST_TYPE).is_str("set") {
        return;
    }
    let list = items.get(LIST_TYPE);
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    match items.get("type").str_or_empty() {
        "array" if list.as_str().is_some_and(|kind| kind != "atomic") => {
            errors.invalid(place.child(LIST_TYPE), list.str_or_empty(), detail);
        }
        // The value that is shown is that of the list type, in the reference too.
        "object" if !items.get(MAP_TYPE).is_str("atomic") => match list.as_str() {
            None => errors.invalid(place.child(MAP_TYPE), &Nothing, detail),
            Some(kind) => errors.invalid(place.child(MAP_TYPE), kind, detail),
        },
        _ => {}
    }
}

/// What the items of a list are known by.
fn map_keys(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let (keys, items, place) = (schema.get(MAP_KEYS), schema.get("items"), at.child("items"));
    if keys.is_empty() {
        errors.required(at.child(MAP_KEYS), "must not be empty if x-kubernetes-list-type is map");
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
    for key in keys.iter() {
        let key = key.str_or_empty();
        let property = items.get("properties").get(key);
        if property.is_none() {
            errors.invalid(at.child(MAP_KEYS), &keys, "entries must all be names of item properties");
        } else if matches!(property.get("type").str_or_empty(), "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            let here = properties.key(key);
            errors.invalid(here.child("type"), kind, detail);
        }
        if !seen.insert(key) {
            errors.invalid(at.child(MAP_KEYS), &keys, "must not contain duplicate entries");
        }
    }
}

/// Items that are told apart are there, and so is what tells them apart.
fn present_keys(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let (kind, items, place) = (schema.get(LIST_TYPE).str_or_empty(), schema.get("items"), at.child("items"));
    if !matches!(kind, "set" | "map") || items.is_none() {
        return;
    }
    if is_nullable(items) {
        errors.forbidden(place.child("nullable"), format!("cannot be nullable when x-kubernetes-list-type is {kind}"));
    }
    if kind == "set" {
        return;
    }
    let properties = place.child("properties");
    for key in schema.get(MAP_KEYS).iter() {
        let key = key.str_or_empty();
        let (property, here) = (items.get("properties").get(key), properties.key(key));
        if property.is_none() {
            continue;
        }
        let required = items.get("required").iter().any(|one| one.is_str(key));
        if !required && property.get("default").is_none() {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                          property";
            errors.required(here.child("default"), detail);
        }
        if is_nullable(property) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.forbidden(here.child("nullable"), detail);
        }
    }
}

/// The texts beside the rules in CEL.
fn rules(at: &Field, schema: ValueRef, errors: &mut Errors) {
    let list = at.child(RULES);
    let reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
    for (index, rule) in schema.get(RULES).iter().enumerate() {
        let at = list.index(index);
        let text = |name| rule.get(name).str_or_empty();
        let message = text("message");
        if text("rule").trim().is_empty() {
            errors.required(at.child("rule"), "rule is not specified");
        } else if !message.is_empty() && message.trim().is_empty() {
            errors.invalid(at.child("message"), message, "must be non-empty if specified");
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
        if !path.is_empty() && path.trim().is_empty() {
            errors.invalid(at.child("fieldPath"), path, "must be non-empty if specified");
        }
        if path.contains(['\n', '\r']) {
            errors.invalid(at.child("fieldPath"), path, "must not contain line breaks");
        }
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

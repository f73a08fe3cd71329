//! Structural schemas: the types of custom resources, as their definitions give them (API reference,
//! `JSONSchemaProps`; "structural schema" in the documentation of custom resources).
//!
//! A [`Structural`] is read once from the JSON of a definition's version. Everything that the server does to an instance
//! is a walk over the value with the schema beside it, each in a module of its own: [`prune`] drops what the schema does
//! not know, [`defaults`] fills in what was left out, [`validate`] checks keywords, [`lists`] and [`embedded`] what the
//! extensions promise, [`meta`] the metadata. [`graph`] makes the type graph that field ownership works on.
//!
//! The validator is the project's own. Clients and their tests read the reference's words, its `<nil>` paths of composed
//! schemas, its choice between reasons (`FieldValueTypeInvalid`, `FieldValueTooMany`, …), and rely on unchanged values
//! passing a schema that became stricter; a general JSON-schema crate decides all of that on its own, and none keeps the
//! old value beside the new one.

pub mod defaults;
pub mod embedded;
pub mod formats;
pub mod graph;
pub mod lists;
pub mod meta;
pub mod prune;
#[cfg(test)]
mod tests;
pub mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::schema::ListType;

/// The deepest nesting of a schema that is looked at; deeper parts count as unknown.
const DEEPEST: usize = 100;

/// `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// None given: `x-kubernetes-int-or-string`, `x-kubernetes-preserve-unknown-fields`, or part of a composition.
    #[default]
    Unset,
    /// An object.
    Object,
    /// A list.
    Array,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

impl Type {
    fn read(text: &str) -> Self {
        match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => Self::Unset,
        }
    }

    /// The word in schemas and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// `additionalProperties`.
#[derive(Clone, Debug, Default)]
pub enum Additional {
    /// Not given.
    #[default]
    Unset,
    /// `true` or `false`.
    Allowed(bool),
    /// A schema of all values.
    Schema(Box<Structural>),
}

/// One rule of `x-kubernetes-validations`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// The expression.
    pub rule: String,
    /// What is said if it fails; empty for the expression itself.
    pub message: String,
    /// An expression for the message; empty if there is none.
    pub message_expression: String,
    /// The reason of the failure; empty for `FieldValueInvalid`.
    pub reason: String,
    /// The field that the failure is about, below the rule's own; empty for that one.
    pub field_path: String,
    /// Whether `oldSelf` is an optional value, so that the rule holds for new objects too.
    pub optional_old_self: Option<bool>,
}

/// A schema.
#[derive(Clone, Debug, Default)]
pub struct Structural {
    /// `type`.
    pub type_: Type,
    /// `properties`.
    pub properties: BTreeMap<String, Structural>,
    /// `additionalProperties`.
    pub additional: Additional,
    /// `items`.
    pub items: Option<Box<Structural>>,
    /// `nullable`.
    pub nullable: bool,
    /// `default`.
    pub default: Option<Value>,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-list-type`.
    pub list_type: Option<ListType>,
    /// `x-kubernetes-list-map-keys`.
    pub map_keys: Vec<String>,
    /// `x-kubernetes-map-type: atomic`.
    pub atomic_map: bool,
    /// `x-kubernetes-validations`.
    pub rules: Vec<Rule>,
    /// `required`.
    pub required: Vec<String>,
    /// `enum`.
    pub enumeration: Vec<Value>,
    /// `format`.
    pub format: String,
    /// `pattern`, and its compiled form unless it is one that cannot be read.
    pub pattern: Option<(String, Option<Regex>)>,
    /// `maximum`, and whether it is exclusive.
    pub maximum: Option<(f64, bool)>,
    /// `minimum`, and whether it is exclusive.
    pub minimum: Option<(f64, bool)>,
    /// `multipleOf`.
    pub multiple_of: Option<f64>,
    /// `minLength` and `maxLength`.
    pub length: (Option<u64>, Option<u64>),
    /// `minItems` and `maxItems`.
    pub item_count: (Option<u64>, Option<u64>),
    /// `minProperties` and `maxProperties`.
    pub property_count: (Option<u64>, Option<u64>),
    /// `allOf`.
    pub all_of: Vec<Structural>,
    /// `anyOf`.
    pub any_of: Vec<Structural>,
    /// `oneOf`.
    pub one_of: Vec<Structural>,
    /// `not`.
    pub not: Option<Box<Structural>>,
}

impl Structural {
    /// Reads a schema from its JSON. What is malformed counts as not given: definitions are validated before they are
    /// stored.
    pub fn read(schema: &Value) -> Self {
        Self::at(schema, 0)
    }

    fn at(schema: &Value, depth: usize) -> Self {
        if depth > DEEPEST {
            return Self { preserve_unknown: true, ..Self::default() };
        }
        let get = |key: &str| schema.get(key);
        let text = |key: &str| get(key).and_then(Value::as_str).unwrap_or_default();
        let flag = |key: &str| get(key).and_then(Value::as_bool).unwrap_or(false);
        let number = |key: &str| get(key).and_then(Value::as_f64);
        let count = |key: &str| get(key).and_then(Value::as_u64);
        let texts = |key: &str| -> Vec<String> {
            let list = get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let below = |schema: &Value| Self::at(schema, depth + 1);
        let many =
            |key: &str| -> Vec<Self> { get(key).and_then(Value::as_array).into_iter().flatten().map(below).collect() };
        let properties = get("properties").and_then(Value::as_object).into_iter().flatten();
        let pattern = text("pattern");
        Self {
            type_: Type::read(text("type")),
            properties: properties.map(|(key, schema)| (key.clone(), below(schema))).collect(),
            additional: match get("additionalProperties") {
                Some(Value::Bool(allowed)) => Additional::Allowed(*allowed),
                Some(schema @ Value::Object(_)) => Additional::Schema(Box::new(below(schema))),
                _ => Additional::Unset,
            },
            items: get("items").filter(|items| items.is_object()).map(|items| Box::new(below(items))),
            nullable: flag("nullable"),
            default: get("default").filter(|default| !default.is_null()).cloned(),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            list_type: match text("x-kubernetes-list-type") {
                "map" => Some(ListType::Map),
                "set" => Some(ListType::Set),
                "atomic" => Some(ListType::Atomic),
                _ => None,
            },
            map_keys: texts("x-kubernetes-list-map-keys"),
            atomic_map: text("x-kubernetes-map-type") == "atomic",
            rules: get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten().map(rule).collect(),
            required: texts("required"),
            enumeration: get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            format: text("format").to_owned(),
            pattern: (!pattern.is_empty()).then(|| (pattern.to_owned(), Regex::new(pattern).ok())),
            maximum: number("maximum").map(|limit| (limit, flag("exclusiveMaximum"))),
            minimum: number("minimum").map(|limit| (limit, flag("exclusiveMinimum"))),
            multiple_of: number("multipleOf"),
            length: (count("minLength"), count("maxLength")),
            item_count: (count("minItems"), count("maxItems")),
            property_count: (count("minProperties"), count("maxProperties")),
            all_of: many("allOf"),
            any_of: many("anyOf"),
            one_of: many("oneOf"),
            not: get("not").filter(|not| not.is_object()).map(|not| Box::new(below(not))),
        }
    }

    /// The schema of a member of an object, if the schema has one for it.
    pub fn member(&self, key: &str) -> Option<&Self> {
        self.properties.get(key).or(match &self.additional {
            Additional::Schema(schema) => Some(schema),
            _ => None,
        })
    }

    /// Whether there is a rule in the schema or below it.
    pub fn has_rules(&self) -> bool {
        let additional = match &self.additional {
            Additional::Schema(schema) => schema.has_rules(),
            _ => false,
        };
        additional
            || !self.rules.is_empty()
            || self.properties.values().any(Self::has_rules)
            || self.items.as_ref().is_some_and(|items| items.has_rules())
    }

    /// Whether there is a default in the schema or below it.
    pub fn has_defaults(&self) -> bool {
        let additional = match &self.additional {
            Additional::Schema(schema) => schema.has_defaults(),
            _ => false,
        };
        additional
            || self.default.is_some()
            || self.properties.values().any(Self::has_defaults)
            || self.items.as_ref().is_some_and(|items| items.has_defaults())
    }
}

fn rule(rule: &Value) -> Rule {
    let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Rule {
        rule: text("rule"),
        message: text("message"),
        message_expression: text("messageExpression"),
        reason: text("reason"),
        field_path: text("fieldPath"),
        optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
    }
}

/// The path of a member, below a path that may be empty.
pub fn member_path(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The item of `old` that is the same as `new[index]`: only lists that are maps tell.
pub fn correlated<'o>(schema: &Structural, item: &Value, old: Option<&'o Value>) -> Option<&'o Value> {
    if schema.list_type != Some(ListType::Map) {
        return None;
    }
    let same = |candidate: &&Value| {
        schema.map_keys.iter().all(|key| item.get(key).is_some() && candidate.get(key) == item.get(key))
    };
    let mut found = old?.as_array()?.iter().filter(same);
    let first = found.next()?;
    // Two items with one key cannot be told apart.
    found.next().is_none().then_some(first)
}

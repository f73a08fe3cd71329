//! Rules in CEL: on instances, and on the definitions that carry them.

use std::sync::Arc;

use portcullis_cel::rules::{RuleSet, definition};
use portcullis_machinery::schema::CustomType;
use portcullis_machinery::status::Cause;
use portcullis_machinery::structural::Structural;
use portcullis_machinery::{Value, object};

use crate::context::RequestContext;

/// The rules of a type, compiled when they are first needed.
fn rules_of(custom: &CustomType) -> Option<Arc<Option<RuleSet>>> {
    custom.derived(|schema| RuleSet::compile(schema, true))
}

/// Whether a type has rules.
pub fn any(custom: &CustomType) -> bool {
    rules_of(custom).is_some_and(|rules| rules.is_some())
}

/// What an instance's rules say; broken rules that the write did not bring about are warnings.
pub fn check(cx: &RequestContext, custom: &CustomType, instance: &Value, old: Option<&Value>) -> Vec<Cause> {
    let Some(rules) = rules_of(custom) else { return Vec::new() };
    let Some(rules) = &*rules else { return Vec::new() };
    let found = rules.run(instance, old, custom.structural());
    found.warnings.into_iter().for_each(|warning| cx.warn(warning));
    found.causes
}

/// The schemas of a definition's versions, by the versions' names.
fn schemas(crd: &Value) -> Vec<(&str, &Value)> {
    let versions = object::list_at(crd, &["spec", "versions"]).iter();
    let schema = |version| object::get_at(version, &["schema", "openAPIV3Schema"]).unwrap_or(&Value::Null);
    versions.map(|version| (object::str_at(version, &["name"]).unwrap_or_default(), schema(version))).collect()
}

/// What is wrong with the defaults and the rules of a definition that is written; `found` is what else is. A schema that
/// an update leaves as it was is not checked again.
pub fn check_definition(crd: &Value, old: Option<&Value>, found: &[Cause]) -> Vec<Cause> {
    let (new, old) = (schemas(crd), old.map(schemas).unwrap_or_default());
    // One schema of all versions is reported where older definitions had it.
    let same = new.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let mut causes = Vec::new();
    for (index, version) in new.iter().enumerate().take(if same { 1 } else { usize::MAX }) {
        if old.contains(version) {
            continue;
        }
        let place = if same { "spec.validation".to_owned() } else { format!("spec.versions[{index}].schema") };
        let place = format!("{place}.openAPIV3Schema");
        let schema = Structural::read(version.1);
        let broken: Vec<&str> =
            found.iter().map(|cause| cause.field.as_str()).filter(|field| field.starts_with(&place)).collect();
        let defaults = super::defaults::check(&schema, &place);
        // Rules rely on what comes before them.
        if defaults.is_empty() {
            causes.extend(definition::check(&schema, &place, &broken));
        }
        causes.extend(defaults);
    }
    causes
}

/// Warns of formats that a definition's schemas name, that nobody knows, and that were not there before.
pub fn warn_of_formats(cx: &RequestContext, crd: &Value, old: Option<&Value>) {
    let formats = |crd: &Value| -> Vec<String> {
        let mut found = Vec::new();
        schemas(crd).iter().for_each(|(_, schema)| unknown_formats(schema, &mut found));
        found
    };
    let had = old.map(formats).unwrap_or_default();
    for format in formats(crd).into_iter().filter(|format| !had.contains(format)) {
        cx.warn(format!("unrecognized format {format:?}"));
    }
}

/// The formats of text that the reference knows, written without hyphens.
const TEXT_FORMATS: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// Adds the formats in a schema that nobody knows.
fn unknown_formats(schema: &Value, found: &mut Vec<String>) {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let known = match (text("type"), text("format")) {
        (_, "") => true,
        ("" | "string", format) => TEXT_FORMATS.contains(&format.replace('-', "").as_str()),
        ("integer", format) => matches!(format, "int32" | "int64"),
        ("number", format) => matches!(format, "float" | "double"),
        _ => false,
    };
    if !known {
        found.push(text("format").to_owned());
    }
    let one = ["items", "additionalProperties", "not"].into_iter().filter_map(|key| schema.get(key));
    let several = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    let named = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|members| members.values());
    one.chain(several).chain(named).filter(|child| child.is_object()).for_each(|child| unknown_formats(child, found));
}

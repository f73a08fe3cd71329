//! The types of custom resources, as their definitions give them.

use serde_json::{Map, Value, json};

/// What every resource has.
const HEAD: [(&str, &str); 2] = [
    ("apiVersion", "APIVersion defines the schema that the object is written in."),
    ("kind", "Kind says what the object is."),
];

/// Keywords that OpenAPI 2 does not have, or that its readers take wrongly.
const NOT_IN_V2: [&str; 6] = ["allOf", "anyOf", "oneOf", "not", "nullable", "default"];

/// The document of a kind. `metadata` is the reference to the metadata's type.
pub(super) fn document(schema: &Value, metadata: Option<Value>, v2: bool) -> Value {
    let mut document = schema.clone();
    // Readers of OpenAPI 2 would take the properties that are told for all that there are.
    let open = v2 && schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if open {
        return json!({"type": "object"});
    }
    if !document.is_object() {
        document = json!({"type": "object"});
    }
    embedded(&mut document, metadata.as_ref());
    if v2 {
        simplify(&mut document);
    }
    head(&mut document, metadata.as_ref());
    document
}

fn head(schema: &mut Value, metadata: Option<&Value>) {
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let Some(properties) = schema["properties"].as_object_mut() else { return };
    for (name, description) in HEAD {
        properties.insert(name.to_owned(), json!({"type": "string", "description": description}));
    }
    if let Some(metadata) = metadata {
        properties.insert("metadata".to_owned(), metadata.clone());
    }
}

/// Every schema below this one.
fn each_child(schema: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(&mut *visit);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child @ Value::Object(_)) = schema.get_mut(key) {
            visit(child);
        }
    }
}

/// Embedded resources have what every resource has.
fn embedded(schema: &mut Value, metadata: Option<&Value>) {
    if schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
        head(schema, metadata);
    }
    each_child(schema, &mut |child| {
        if child.get("$ref").is_none() {
            embedded(child, metadata);
        }
    });
}

fn simplify(schema: &mut Value) {
    let flag = |schema: &Value, key: &str| schema.get(key) == Some(&Value::Bool(true));
    let (preserve, nullable) = (flag(schema, "x-kubernetes-preserve-unknown-fields"), flag(schema, "nullable"));
    let int_or_string = flag(schema, "x-kubernetes-int-or-string");
    let Some(members) = schema.as_object_mut() else { return };
    NOT_IN_V2.iter().for_each(|key| drop(members.remove(*key)));
    // Readers of OpenAPI 2 refuse what a type does not say; where more is allowed there must be none.
    if preserve || nullable || int_or_string {
        retain_annotations(members, preserve || nullable);
    }
    each_child(schema, &mut simplify);
}

fn retain_annotations(members: &mut Map<String, Value>, all: bool) {
    members.remove("type");
    if all {
        members.remove("items");
        members.remove("properties");
    }
}

//! The types of custom resources, as their definitions give them.

use serde_json::{Map, Value, json};

/// What every resource has, ready to be put into documents.
pub(super) struct Head {
    /// `apiVersion`, `kind` and, where its type is known, `metadata`.
    pub(super) properties: Vec<(&'static str, Value)>,
}

impl Head {
    fn add_to(&self, schema: &mut Value) {
        if !schema["properties"].is_object() {
            schema["properties"] = json!({});
        }
        let Some(properties) = schema["properties"].as_object_mut() else { return };
        properties.extend(self.properties.iter().map(|(name, property)| ((*name).to_owned(), property.clone())));
    }

    /// In a resource within another the same texts begin with the fields' names, and both names must be given.
    fn add_to_embedded(&self, schema: &mut Value) {
        self.add_to(schema);
        for (name, _) in self.properties.iter().filter(|(name, _)| *name != "metadata") {
            if let Some(Value::String(text)) = schema["properties"][*name].get_mut("description")
                && text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            {
                text.replace_range(..name.len(), name);
            }
        }
        if !schema["required"].is_array() {
            schema["required"] = json!([]);
        }
        let Some(required) = schema["required"].as_array_mut() else { return };
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| known == name) {
                required.push(name.into());
            }
        }
    }
}

/// Keywords that OpenAPI 2 does not have, or that its readers take wrongly.
const NOT_IN_V2: [&str; 6] = ["allOf", "anyOf", "oneOf", "not", "nullable", "default"];

/// The document of a kind.
pub(super) fn document(schema: &Value, head: &Head, v2: bool) -> Value {
    let mut document = schema.clone();
    // Readers of OpenAPI 2 would take the properties that are told for all that there are.
    let open = v2 && schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if open {
        return json!({"type": "object"});
    }
    if !document.is_object() {
        document = json!({"type": "object"});
    }
    embedded(&mut document, head);
    if v2 {
        simplify(&mut document);
    }
    head.add_to(&mut document);
    document
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
fn embedded(schema: &mut Value, head: &Head) {
    if schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
        head.add_to_embedded(schema);
    }
    each_child(schema, &mut |child| {
        if child.get("$ref").is_none() {
            embedded(child, head);
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

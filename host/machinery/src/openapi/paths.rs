//! The paths of resources.

use serde_json::{Map, Value, json};

use super::document::{Form, gvk, list_name};
use crate::definition::ResourceDefinition;

/// The paths of a resource: what clients look up there is which verbs and which query parameters a kind knows.
pub(super) fn add_paths(paths: &mut Map<String, Value>, definition: &ResourceDefinition, form: Form) {
    let root = if definition.group.is_empty() {
        format!("/api/{}", definition.version)
    } else {
        format!("/apis/{}/{}", definition.group, definition.version)
    };
    let base = if definition.namespaced { format!("{root}/namespaces/{{namespace}}") } else { root };
    let collection = format!("{base}/{}", definition.plural);
    let single = format!("{collection}/{{name}}");
    let group_version_kind = gvk(definition, &definition.kind);
    let mut add = |path: &str, verb: &str, action: &str, method: &str, body: bool| {
        if !definition.has_verb(verb) {
            return;
        }
        let operation = operation(definition, &group_version_kind, action, body, form);
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method] = operation;
    };
    add(&collection, "list", "list", "get", false);
    add(&collection, "create", "post", "post", true);
    add(&collection, "deletecollection", "deletecollection", "delete", false);
    add(&single, "get", "get", "get", false);
    add(&single, "update", "put", "put", true);
    add(&single, "patch", "patch", "patch", true);
    add(&single, "delete", "delete", "delete", false);
}

fn operation(definition: &ResourceDefinition, kind: &Value, action: &str, body: bool, form: Form) -> Value {
    let name = if action == "list" { list_name(definition) } else { definition.schema.name.to_string() };
    let reference = form.reference(&name);
    let writes = matches!(action, "post" | "put" | "patch");
    let names: &[&str] = if writes { &["dryRun", "fieldManager", "fieldValidation", "pretty"] } else { &["pretty"] };
    let parameter = |name: &&str| match form {
        Form::V3 => json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}),
        Form::V2 => json!({"name": name, "in": "query", "type": "string", "uniqueItems": true}),
    };
    let mut parameters: Vec<Value> = names.iter().map(parameter).collect();
    let mut operation = json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind});
    match form {
        Form::V3 => {
            operation["responses"] =
                json!({"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}});
            if body {
                operation["requestBody"] = json!({"required": true, "content": {"*/*": {"schema": reference}}});
            }
        }
        Form::V2 => {
            operation["responses"] = json!({"200": {"description": "OK", "schema": reference}});
            if body {
                parameters.push(json!({"name": "body", "in": "body", "required": true, "schema": reference}));
            }
        }
    }
    operation["parameters"] = json!(parameters);
    operation
}

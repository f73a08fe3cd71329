//! The documents themselves, built from definitions and schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Descriptions, info};
use crate::definition::{Registry, ResourceDefinition, plugins};
use crate::schema::{Field, ListType, Schema, SchemaRef, Shape};

/// Where a document keeps its types.
#[derive(Clone, Copy)]
enum Form {
    V3,
    V2,
}

impl Form {
    fn reference(self, name: &str) -> Value {
        let at = match self {
            Form::V3 => "#/components/schemas/",
            Form::V2 => "#/definitions/",
        };
        json!({"$ref": format!("{at}{name}")})
    }
}

/// The types that the documents' objects reach, by name.
#[derive(Default)]
struct Types {
    seen: BTreeSet<String>,
    queue: Vec<SchemaRef>,
}

impl Types {
    fn add(&mut self, schema: &SchemaRef) {
        if !schema.name.is_empty() && self.seen.insert(schema.name.to_string()) {
            self.queue.push(schema.clone());
        }
    }
}

/// The definition of one version of a group.
pub(super) fn v3(registry: &Registry, descriptions: &dyn Descriptions, group: &str, version: &str) -> Value {
    let definitions: Vec<&ResourceDefinition> = registry.in_version(group, version).map(|d| &**d).collect();
    let schemas = types(&definitions, descriptions, Form::V3);
    let mut paths = Map::new();
    for definition in &definitions {
        add_paths(&mut paths, definition, Form::V3);
    }
    json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas}})
}

/// A type and all that it is made of.
pub(super) fn v3_types(root: &SchemaRef, descriptions: &dyn Descriptions) -> Value {
    let mut types = Types::default();
    types.add(root);
    let mut schemas = Map::new();
    while let Some(schema) = types.queue.pop() {
        let document = object(&schema, &mut types, descriptions, Form::V3);
        schemas.insert(schema.name.to_string(), document);
    }
    Value::Object(schemas)
}

/// The definition of everything.
pub(super) fn v2(registry: &Registry, descriptions: &dyn Descriptions) -> Value {
    let definitions: Vec<&ResourceDefinition> = registry.all().iter().map(|d| &**d).collect();
    let schemas = types(&definitions, descriptions, Form::V2);
    let mut paths = Map::new();
    for definition in &definitions {
        add_paths(&mut paths, definition, Form::V2);
    }
    json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": schemas})
}

fn types(definitions: &[&ResourceDefinition], descriptions: &dyn Descriptions, form: Form) -> Map<String, Value> {
    let mut types = Types::default();
    let mut schemas = Map::new();
    for definition in definitions {
        types.add(&definition.schema);
        let list = list_name(definition);
        let kind = json!([gvk(definition, &definition.list_kind)]);
        schemas.insert(
            list,
            json!({"type": "object", "required": ["items"], "x-kubernetes-group-version-kind": kind, "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "items": {"type": "array", "items": form.reference(&definition.schema.name)},
            }}),
        );
    }
    while let Some(schema) = types.queue.pop() {
        let document = object(&schema, &mut types, descriptions, form);
        schemas.insert(schema.name.to_string(), document);
    }
    for definition in definitions {
        if let Some(document) = schemas.get_mut(&*definition.schema.name) {
            document["x-kubernetes-group-version-kind"] = json!([gvk(definition, &definition.kind)]);
        }
    }
    schemas
}

fn list_name(definition: &ResourceDefinition) -> String {
    format!("{}List", definition.schema.name)
}

fn gvk(definition: &ResourceDefinition, kind: &str) -> Value {
    json!({"group": definition.group, "version": definition.version, "kind": kind})
}

fn object(schema: &Schema, types: &mut Types, descriptions: &dyn Descriptions, form: Form) -> Value {
    if let Some(custom) = schema.custom() {
        let metadata = schema.field("metadata").map(|field| value(&field.schema, types, form));
        return super::custom::document(custom.json(), metadata, matches!(form, Form::V2));
    }
    let mut properties = Map::new();
    for field in schema.fields() {
        let mut property = value(&field.schema, types, form);
        let own = || plugins::description(&schema.name, &field.name);
        describe(&mut property, descriptions.of_field(&schema.name, &field.name).or_else(own));
        extend(&mut property, field);
        properties.insert(field.name.to_string(), property);
    }
    let mut document = json!({"type": "object", "properties": properties});
    let required: Vec<&str> = schema.fields().iter().filter(|field| field.required).map(|field| &*field.name).collect();
    if !required.is_empty() {
        document["required"] = json!(required);
    }
    if matches!(&schema.shape, Shape::Object(shape) if shape.atomic) {
        document["x-kubernetes-map-type"] = json!("atomic");
    }
    let own = || plugins::description(&schema.name, "");
    describe(&mut document, descriptions.of_type(&schema.name).or_else(own));
    document
}

/// Adds a description; beside a reference it stands in a document of its own, as OpenAPI 3.0 wants it.
fn describe(document: &mut Value, description: Option<&str>) {
    let Some(description) = description else { return };
    if document.get("$ref").is_some() {
        *document = json!({"allOf": [document.take()]});
    }
    document["description"] = json!(description);
}

fn extend(property: &mut Value, field: &Field) {
    if property.get("$ref").is_some() {
        if field.default.is_none() {
            return;
        }
        *property = json!({"allOf": [property.take()]});
    }
    if let Some(default) = &field.default {
        property["default"] = default.clone();
    }
    if let Some(list) = field.schema.list() {
        match list.list_type {
            ListType::Set => property["x-kubernetes-list-type"] = json!("set"),
            ListType::Atomic => property["x-kubernetes-list-type"] = json!("atomic"),
            ListType::Map => {
                property["x-kubernetes-list-type"] = json!("map");
                property["x-kubernetes-list-map-keys"] = json!(list.map_keys);
            }
        }
    }
    let strategy = [(field.patch_strategy.merge, "merge"), (field.patch_strategy.retain_keys, "retainKeys")];
    let strategy: Vec<&str> = strategy.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    if !strategy.is_empty() {
        property["x-kubernetes-patch-strategy"] = json!(strategy.join(","));
    }
    if let Some(key) = &field.patch_merge_key {
        property["x-kubernetes-patch-merge-key"] = json!(key);
    }
}

fn value(schema: &SchemaRef, types: &mut Types, form: Form) -> Value {
    if !schema.name.is_empty() && matches!(schema.shape, Shape::Object(_)) {
        types.add(schema);
        return form.reference(&schema.name);
    }
    match &schema.shape {
        Shape::Object(_) | Shape::RawObject => json!({"type": "object"}),
        Shape::Map(values) => json!({"type": "object", "additionalProperties": value(values, types, form)}),
        Shape::List(list) => json!({"type": "array", "items": value(&list.items, types, form)}),
        Shape::String | Shape::Duration => json!({"type": "string"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Number => json!({"type": "number", "format": "double"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::IntOrString => match form {
            Form::V3 => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
            Form::V2 => json!({"type": "string", "format": "int-or-string"}),
        },
        Shape::Quantity => match form {
            Form::V3 => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Form::V2 => json!({"type": "string"}),
        },
        Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Any => json!({}),
    }
}

/// The paths of a resource: what clients look up there is which verbs and which query parameters a kind knows.
fn add_paths(paths: &mut Map<String, Value>, definition: &ResourceDefinition, form: Form) {
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

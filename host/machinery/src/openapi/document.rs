//! The documents themselves, built from definitions and schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::paths::add_paths;
use super::{Descriptions, Part, enums, info, scalars};
use crate::definition::{Registry, ResourceDefinition, plugins};
use crate::schema::{Field, ListType, Schema, SchemaRef, Shape, builtin};

/// Where a document keeps its types.
#[derive(Clone, Copy)]
pub(super) enum Form {
    V3,
    V2,
}

impl Form {
    pub(super) fn reference(self, name: &str) -> Value {
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
    /// Those that are no objects.
    scalars: BTreeSet<&'static str>,
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
    let mut schemas = Map::new();
    types(&definitions, descriptions, Form::V3, &mut |name, schema| drop(schemas.insert(name.to_owned(), schema)));
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
    for name in types.scalars {
        schemas.insert(name.to_owned(), scalars::document(name, descriptions, Form::V3));
    }
    Value::Object(schemas)
}

/// The types of the definition of everything.
pub(super) fn v2_types(registry: &Registry, descriptions: &dyn Descriptions, each: &mut dyn FnMut(Part<'_>)) {
    let definitions: Vec<&ResourceDefinition> = registry.all().iter().map(|d| &**d).collect();
    types(&definitions, descriptions, Form::V2, &mut |name, schema| each(Part::Definition(name, &schema)));
}

/// Its paths.
pub(super) fn v2_paths(registry: &Registry, each: &mut dyn FnMut(Part<'_>)) {
    for definition in registry.all() {
        let mut paths = Map::new();
        add_paths(&mut paths, definition, Form::V2);
        paths.iter().for_each(|(path, item)| each(Part::Path(path, item)));
    }
}

/// The types of kinds and of their lists, with all that they are made of, one after the other.
fn types(
    definitions: &[&ResourceDefinition],
    descriptions: &dyn Descriptions,
    form: Form,
    each: &mut dyn FnMut(&str, Value),
) {
    let mut types = Types::default();
    let mut kinds: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for definition in definitions {
        types.add(&definition.schema);
        let kinds = kinds.entry(&definition.schema.name).or_default();
        let kind = gvk(definition, &definition.kind);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        if definition.has_verb("list") {
            each(&list_name(definition), list(definition, &mut types, descriptions, form));
        }
    }
    while let Some(schema) = types.queue.pop() {
        let mut document = object(&schema, &mut types, descriptions, form);
        if let Some(kinds) = kinds.get(&*schema.name) {
            document["x-kubernetes-group-version-kind"] = json!(kinds);
        }
        each(&schema.name, document);
    }
    for name in types.scalars {
        each(name, scalars::document(name, descriptions, form));
    }
}

/// What stands for all lists among the described types.
const LIST: &str = "io.k8s.List";

/// What stands for all resources among them: what it says of its head holds for custom resources too.
const RESOURCE: &str = "io.k8s.api.core.v1.ConfigMap";

fn list(definition: &ResourceDefinition, types: &mut Types, descriptions: &dyn Descriptions, form: Form) -> Value {
    let owner = &definition.schema.name;
    let mut properties = Map::new();
    let mut add = |name: &str, mut property: Value, described: Option<&str>| {
        describe(&mut property, described, form);
        properties.insert(name.to_owned(), property);
    };
    for name in ["apiVersion", "kind"] {
        let described = descriptions.of_field(owner, name).or_else(|| descriptions.of_field(LIST, name));
        add(name, json!({"type": "string"}), described);
    }
    let metadata = match builtin::schema("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta") {
        Some(schema) => value(&schema, types, form),
        None => json!({"type": "object"}),
    };
    add("metadata", metadata, descriptions.of_field(LIST, "metadata"));
    let items = json!({"type": "array", "items": form.reference(owner)});
    add("items", items, descriptions.of_field(LIST, "items"));
    let mut document = json!({
        "type": "object", "required": ["items"], "properties": properties,
        "x-kubernetes-group-version-kind": [gvk(definition, &definition.list_kind)],
    });
    describe(&mut document, descriptions.of_type(LIST), form);
    document
}

pub(super) fn list_name(definition: &ResourceDefinition) -> String {
    format!("{}List", definition.schema.name)
}

pub(super) fn gvk(definition: &ResourceDefinition, kind: &str) -> Value {
    json!({"group": definition.group, "version": definition.version, "kind": kind})
}

fn object(schema: &Schema, types: &mut Types, descriptions: &dyn Descriptions, form: Form) -> Value {
    if let Some(custom) = schema.custom() {
        let metadata = schema.field("metadata").map(|field| value(&field.schema, types, form));
        let text = || json!({"type": "string"});
        let mut properties: Vec<_> = vec![("apiVersion", text()), ("kind", text())];
        properties.extend(metadata.map(|metadata| ("metadata", metadata)));
        for (name, property) in &mut properties {
            describe(property, descriptions.of_field(RESOURCE, name), form);
        }
        return super::custom::document(custom.json(), &super::custom::Head { properties }, matches!(form, Form::V2));
    }
    let mut properties = Map::new();
    for field in schema.fields() {
        let mut property = value(&field.schema, types, form);
        let own = || plugins::description(&schema.name, &field.name);
        enums::restrict(&mut property, &schema.name, &field.name);
        describe(&mut property, descriptions.of_field(&schema.name, &field.name).or_else(own), form);
        extend(&mut property, field, form);
        properties.insert(field.name.to_string(), property);
    }
    let mut document = json!({"type": "object"});
    // A type without fields is one of which nothing is known.
    if !properties.is_empty() {
        document["properties"] = Value::Object(properties);
    }
    let required: Vec<&str> = schema.fields().iter().filter(|field| field.required).map(|field| &*field.name).collect();
    if !required.is_empty() {
        document["required"] = json!(required);
    }
    if matches!(&schema.shape, Shape::Object(shape) if shape.atomic) {
        document["x-kubernetes-map-type"] = json!("atomic");
    }
    let own = || plugins::description(&schema.name, "");
    describe(&mut document, descriptions.of_type(&schema.name).or_else(own), form);
    document
}

/// Adds a description. Beside a reference it stands in a document of its own, as OpenAPI 3.0 wants it; readers of
/// OpenAPI 2 take it beside the reference.
pub(super) fn describe(document: &mut Value, description: Option<&str>, form: Form) {
    let Some(description) = description.filter(|text| !text.is_empty()) else { return };
    if document.get("$ref").is_some() && matches!(form, Form::V3) {
        *document = json!({"allOf": [document.take()]});
    }
    document["description"] = json!(description);
}

fn extend(property: &mut Value, field: &Field, form: Form) {
    let mut more = Map::new();
    // Defaults are not published in OpenAPI 2.
    if let (Some(default), Form::V3) = (&field.default, form) {
        more.insert("default".to_owned(), default.clone());
    }
    if let Some(list) = field.schema.list() {
        let list_type = match list.list_type {
            ListType::Set => "set",
            ListType::Atomic => "atomic",
            ListType::Map => {
                more.insert("x-kubernetes-list-map-keys".to_owned(), json!(list.map_keys));
                "map"
            }
        };
        more.insert("x-kubernetes-list-type".to_owned(), json!(list_type));
    }
    let strategy = [(field.patch_strategy.merge, "merge"), (field.patch_strategy.retain_keys, "retainKeys")];
    let strategy: Vec<&str> = strategy.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    if !strategy.is_empty() {
        more.insert("x-kubernetes-patch-strategy".to_owned(), json!(strategy.join(",")));
    }
    if let Some(key) = &field.patch_merge_key {
        more.insert("x-kubernetes-patch-merge-key".to_owned(), json!(key));
    }
    if more.is_empty() {
        return;
    }
    if property.get("$ref").is_some() && matches!(form, Form::V3) {
        *property = json!({"allOf": [property.take()]});
    }
    if let Some(members) = property.as_object_mut() {
        members.extend(more);
    }
}

fn value(schema: &SchemaRef, types: &mut Types, form: Form) -> Value {
    if !schema.name.is_empty() && matches!(schema.shape, Shape::Object(_)) {
        types.add(schema);
        return form.reference(&schema.name);
    }
    let mut scalar = |name: &'static str| {
        types.scalars.insert(name);
        form.reference(name)
    };
    match &schema.shape {
        Shape::Object(_) => json!({"type": "object"}),
        Shape::RawObject if &*schema.go_type == "v1.FieldsV1" => scalar(scalars::FIELDS),
        Shape::RawObject => scalar(scalars::RAW),
        Shape::Map(values) => json!({"type": "object", "additionalProperties": value(values, types, form)}),
        Shape::List(list) => json!({"type": "array", "items": value(&list.items, types, form)}),
        Shape::String => json!({"type": "string"}),
        Shape::Duration => scalar(scalars::DURATION),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Number => json!({"type": "number", "format": "double"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::IntOrString => scalar(scalars::INT_OR_STRING),
        Shape::Quantity => scalar(scalars::QUANTITY),
        Shape::Time => scalar(scalars::TIME),
        Shape::MicroTime => scalar(scalars::MICRO_TIME),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Any => json!({}),
    }
}

//! The type graph of a custom resource, for what works on graphs: field ownership and merging.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Additional, Structural, Type};
use crate::schema::{
    CustomType, Emit, Field, ListShape, ListType, ObjectShape, PatchStrategy, Schema, SchemaRef, Shape, builtin,
};

/// The type of a kind, by its published name, from the JSON of its schema.
pub fn schema(name: &str, json: &Value) -> SchemaRef {
    let structural = Arc::new(Structural::read(json));
    let mut fields: BTreeMap<String, Field> =
        structural.properties.iter().map(|(key, value)| (key.clone(), field(key, value, &structural))).collect();
    let text = || Schema::plain(Shape::String);
    let metadata = builtin::schema(&builtin::published("meta.ObjectMeta")).unwrap_or_else(text);
    for (key, schema) in [("apiVersion", text()), ("kind", text()), ("metadata", metadata)] {
        fields.insert(key.to_owned(), plain_field(key, schema, false, None));
    }
    let custom = CustomType::new(structural.clone(), json.clone());
    let shape = ObjectShape {
        preserve_unknown: structural.preserve_unknown,
        custom: Some(Arc::new(custom)),
        ..ObjectShape::default()
    };
    shape.set_fields(fields.into_values().collect());
    Arc::new(Schema { name: Arc::from(name), go_type: Arc::from(""), shape: Shape::Object(shape) })
}

fn plain_field(name: &str, schema: SchemaRef, required: bool, default: Option<Value>) -> Field {
    Field {
        name: Arc::from(name),
        schema,
        required,
        default,
        emit: Emit::IfPresent,
        go_pointer: true,
        patch_strategy: PatchStrategy::default(),
        patch_merge_key: None,
    }
}

fn field(key: &str, schema: &Structural, owner: &Structural) -> Field {
    let required = owner.required.iter().any(|required| required == key);
    plain_field(key, node(schema), required, schema.default.clone())
}

fn node(schema: &Structural) -> SchemaRef {
    let shape = match schema.type_ {
        Type::Object => match &schema.additional {
            // A map that is one value reads best as an object without fields of its own.
            Additional::Schema(values) if !schema.atomic_map => Shape::Map(node(values)),
            _ => object(schema),
        },
        Type::Array => Shape::List(ListShape {
            items: schema.items.as_ref().map_or_else(|| Schema::plain(Shape::Any), |items| node(items)),
            list_type: schema.list_type.unwrap_or(ListType::Atomic),
            map_keys: schema.map_keys.iter().map(|key| Arc::from(key.as_str())).collect(),
        }),
        Type::String => Shape::String,
        Type::Integer => Shape::Int64,
        Type::Number => Shape::Number,
        Type::Boolean => Shape::Bool,
        Type::Unset if schema.int_or_string => Shape::IntOrString,
        Type::Unset => Shape::Any,
    };
    Schema::plain(shape)
}

fn object(schema: &Structural) -> Shape {
    let mut fields: Vec<Field> = schema.properties.iter().map(|(key, value)| field(key, value, schema)).collect();
    if schema.embedded {
        let text = || Schema::plain(Shape::String);
        let metadata = builtin::schema(&builtin::published("meta.ObjectMeta")).unwrap_or_else(text);
        for (key, schema) in [("apiVersion", text()), ("kind", text()), ("metadata", metadata)] {
            fields.retain(|field| *field.name != *key);
            fields.push(plain_field(key, schema, false, None));
        }
    }
    let shape = ObjectShape {
        preserve_unknown: schema.preserve_unknown || matches!(schema.additional, Additional::Allowed(true)),
        atomic: schema.atomic_map,
        ..ObjectShape::default()
    };
    shape.set_fields(fields);
    Shape::Object(shape)
}

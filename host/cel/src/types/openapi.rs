//! The types of served kinds, whole with their metadata, as the API publishes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_machinery::schema::{SchemaRef, Shape};

use super::{DYN, Kind, ObjectType, Type, escape};

/// The type of a kind's objects. Of parts whose type is not published nothing is known.
pub fn of_kind(schema: &SchemaRef, kind: &str) -> Type {
    of(schema, kind, &mut Vec::new())
}

fn of<'s>(schema: &'s SchemaRef, name: &str, within: &mut Vec<&'s SchemaRef>) -> Type {
    match &schema.shape {
        Shape::Bool => Kind::Bool.into(),
        Shape::Int32 | Shape::Int64 => Kind::Int.into(),
        Shape::Number => Kind::Double.into(),
        Shape::String | Shape::Duration => Kind::String.into(),
        Shape::Time | Shape::MicroTime => Kind::Timestamp.into(),
        Shape::Bytes => Kind::Bytes.into(),
        Shape::List(list) => Type::list(of(&list.items, &format!("{name}.@idx"), within)),
        Shape::Map(values) => Type::map(Kind::String.into(), of(values, &format!("{name}.@elem"), within)),
        Shape::Object(object) => {
            // A type may contain itself; then the inner one is left open, and so is one whose fields are not all known.
            let again = within.iter().any(|outer| Arc::ptr_eq(outer, schema));
            if again || object.preserve_unknown || object.fields().is_empty() {
                return DYN.clone();
            }
            within.push(schema);
            let mut fields = BTreeMap::new();
            for field in object.fields() {
                if let Some(escaped) = escape(&field.name) {
                    let type_ = of(&field.schema, &format!("{name}.{}", field.name), within);
                    fields.insert(escaped, (field.name.to_string(), type_));
                }
            }
            within.pop();
            Kind::Object(Arc::new(ObjectType { name: name.to_owned(), fields })).into()
        }
        _ => DYN.clone(),
    }
}

//! What an answer makes of objects: nothing, metadata only, or the rows of a table.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use http::Response;
use parking_lot::RwLock;
use portcullis_descriptions::Descriptions;
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{Status, Value, openapi, table};
use serde_json::json;

use super::Scope;
use crate::negotiation::{Output, Transform};
use crate::request_info::first;
use crate::respond;
use crate::strategy::prepare::TEMPLATE_GENERATION;

/// The type of every object's metadata.
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// How much of the object a table's row carries (`includeObject=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// The metadata.
    Metadata,
    /// Everything.
    Object,
    /// Nothing.
    None,
}

/// Reads `includeObject=`.
///
/// # Errors
/// 400 for another word.
pub fn include(scope: &Scope) -> Result<Include, Status> {
    match first(&scope.query, "includeObject").unwrap_or("") {
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        "None" => Ok(Include::None),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', \
             'Object', 'None', or empty",
            Value::from(other)
        ))),
    }
}

/// A PartialObjectMetadata of an object.
pub fn partial(output: &Output, object: &Value) -> Value {
    let mut metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    // This annotation is a field in the reference's own form of the kind, from which it takes the metadata.
    if object.get("kind").and_then(Value::as_str) == Some("DaemonSet")
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(TEMPLATE_GENERATION);
        if annotations.is_empty() {
            portcullis_machinery::object::remove_at(&mut metadata, &["annotations"]);
        }
    }
    json!({"kind": "PartialObjectMetadata", "apiVersion": output.meta_version(), "metadata": metadata})
}

/// A Table of objects. `metadata` is the list's; `columns` is whether the column definitions are to be given.
pub fn table<'a>(
    scope: &Scope,
    objects: impl IntoIterator<Item = &'a Value>,
    metadata: Value,
    columns: bool,
    include: Include,
) -> Value {
    let now = jiff::Timestamp::now();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let mut row = json!({"cells": table::row_cells(&scope.definition, object, now)});
            row["object"] = match include {
                Include::Metadata => partial(&scope.output, object),
                Include::Object => object.clone(),
                Include::None => Value::Null,
            };
            row
        })
        .collect();
    let definitions = if columns { column_definitions(&scope.definition) } else { Value::Null };
    json!({
        "kind": "Table",
        "apiVersion": scope.output.meta_version(),
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The texts that columns of custom resources take from their metadata. All others are the definition's own, so that no
/// more than these two are unpacked and kept.
struct MetadataTexts {
    name: String,
    created: String,
}

impl openapi::Descriptions for MetadataTexts {
    fn of_type(&self, _: &str) -> Option<&str> {
        None
    }

    fn of_field(&self, type_name: &str, field: &str) -> Option<&str> {
        match (type_name, field) {
            (OBJECT_META, "name") => Some(&self.name),
            (OBJECT_META, "creationTimestamp") => Some(&self.created),
            _ => None,
        }
    }
}

static METADATA_TEXTS: LazyLock<MetadataTexts> = LazyLock::new(|| {
    let descriptions = Descriptions::default();
    let text =
        |field| openapi::Descriptions::of_field(&descriptions, OBJECT_META, field).unwrap_or_default().to_owned();
    MetadataTexts { name: text("name"), created: text("creationTimestamp") }
});

/// The columns of a resource's tables. Those of built-in kinds are made once, as their descriptions have to be unpacked.
fn column_definitions(definition: &ResourceDefinition) -> Value {
    static BUILT_IN: LazyLock<RwLock<HashMap<(String, String), Value>>> = LazyLock::new(RwLock::default);
    let made = |columns| serde_json::to_value::<Vec<table::Column>>(columns).unwrap_or_default();
    if !definition.builtin {
        return made(table::columns(definition, &*METADATA_TEXTS));
    }
    let key = (definition.group.clone(), definition.kind.clone());
    if let Some(known) = BUILT_IN.read().get(&key) {
        return known.clone();
    }
    let made = made(table::columns(definition, &Descriptions::default()));
    BUILT_IN.write().insert(key, made.clone());
    made
}

/// The answer with one object.
///
/// # Errors
/// 406 if the client asked for a list.
pub fn respond_object(scope: &Scope, code: u16, object: &Value) -> Result<Response<Body>, Status> {
    let is_status = object.get("kind").and_then(Value::as_str) == Some("Status");
    match scope.output.transform {
        _ if is_status => Ok(respond::value(code, &scope.output, object)),
        Transform::None => Ok(respond::value(code, &scope.output, object)),
        Transform::Partial => Ok(respond::value(code, &scope.output, &partial(&scope.output, object))),
        Transform::PartialList => Err(Status::failure(
            406,
            "NotAcceptable",
            format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{}.{})",
                go_package(scope),
                scope.definition.kind
            ),
        )),
        Transform::Table => {
            let version = portcullis_machinery::object::resource_version(object);
            let metadata = if version.is_empty() { json!({}) } else { json!({"resourceVersion": version}) };
            let table = table(scope, [object], metadata, true, include(scope)?);
            Ok(respond::value(code, &scope.output, &table))
        }
    }
}

/// The name of the reference's package for the group, which some of its messages show.
pub fn go_package(scope: &Scope) -> &str {
    let group = scope.definition.storage.group.as_str();
    if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) }
}

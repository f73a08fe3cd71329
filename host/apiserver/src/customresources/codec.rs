//! Stored instances, in the form of the version that is stored now.
//!
//! What is in the store may have been written under an older definition: in another version, with fields that are gone,
//! without defaults that are new. The cache's codec settles that once for each object, so that readers are still served
//! slices of shared bytes.

use portcullis_machinery::definition::{CustomResource, FieldSelectorPath, ResourceDefinition, api_version};
use portcullis_machinery::schema::SchemaRef;
use portcullis_machinery::{Value, codec, object, structural};
use portcullis_storage::KeyValue;
use portcullis_storage::cache::{CachedObject, JsonCodec, ObjectCodec, SelectableField};

/// See the module.
pub struct CustomCodec {
    inner: JsonCodec,
    api_version: String,
    schema: SchemaRef,
}

impl CustomCodec {
    /// The codec of a custom resource's stored objects.
    pub fn new(definition: &ResourceDefinition, custom: &CustomResource) -> Self {
        let selectable = |field: &FieldSelectorPath| SelectableField {
            name: field.joined().into(),
            path: field.path.clone(),
            fallback: field.fallback.clone(),
            absent: field.absent.as_str().into(),
        };
        Self {
            inner: JsonCodec::new(&custom.indexed.iter().map(selectable).collect::<Vec<_>>()),
            api_version: api_version(&definition.storage.group, &definition.storage.version),
            schema: custom.stored_schema.clone(),
        }
    }
}

/// Gives an object the form of a version: conversion between versions changes nothing but the name of the version.
pub fn convert(value: &mut Value, api_version: &str, schema: &SchemaRef) {
    if object::api_version(value) != api_version {
        object::set_at(value, &["apiVersion"], api_version);
    }
    if let Some(custom) = schema.custom() {
        // Metadata that does not fit its type was refused when it was written.
        let _ = structural::prune::prune(value, custom.structural());
        structural::defaults::apply(value, custom.structural());
    }
}

impl ObjectCodec for CustomCodec {
    fn decode(&self, kv: &KeyValue) -> Result<CachedObject, String> {
        let stored: Value = serde_json::from_slice(&kv.value).map_err(|error| error.to_string())?;
        let mut value = stored.clone();
        convert(&mut value, &self.api_version, &self.schema);
        if value == stored {
            return self.inner.decode(kv);
        }
        self.inner.decode(&KeyValue { value: codec::encode(&value), ..kv.clone() })
    }
}

//! Stored instances, in the form of the present definition.
//!
//! What is in the store may have been written under an older definition: in another version, with fields that are gone,
//! without defaults that are new. The cache's codec settles that once for each object, so that readers are still served
//! slices of shared bytes. An object stays in the version that it was stored in; those who read another get forms of it
//! (see [`super::conversion`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_machinery::definition::{CustomResource, FieldSelectorPath, split_api_version};
use portcullis_machinery::schema::SchemaRef;
use portcullis_machinery::{Value, codec, object, structural};
use portcullis_storage::KeyValue;
use portcullis_storage::cache::{CachedObject, JsonCodec, ObjectCodec, SelectableField};

/// See the module.
pub struct CustomCodec {
    inner: JsonCodec,
    types: Arc<BTreeMap<String, SchemaRef>>,
}

/// Fields as a codec indexes them.
pub fn selectable(fields: &[FieldSelectorPath]) -> Vec<SelectableField> {
    let field = |field: &FieldSelectorPath| SelectableField {
        name: field.joined().into(),
        path: field.path.clone(),
        fallback: field.fallback.clone(),
        absent: field.absent.as_str().into(),
    };
    fields.iter().map(field).collect()
}

impl CustomCodec {
    /// The codec of a custom resource's objects.
    pub fn new(custom: &CustomResource) -> Self {
        Self { inner: JsonCodec::new(&selectable(&custom.indexed)), types: Arc::clone(&custom.types) }
    }

    fn type_of(&self, object: &Value) -> Option<&SchemaRef> {
        self.types.get(split_api_version(object::api_version(object)).1)
    }
}

/// Gives an object the form of its version's type: fields that it does not know are gone, defaults are there.
pub fn fill(value: &mut Value, schema: Option<&SchemaRef>) {
    if let Some(custom) = schema.and_then(|schema| schema.custom()) {
        // Metadata that does not fit its type was refused when it was written.
        let _ = structural::prune::prune(value, custom.structural());
        structural::defaults::apply(value, custom.structural());
    }
}

impl ObjectCodec for CustomCodec {
    fn decode(&self, kv: &KeyValue) -> Result<CachedObject, String> {
        let stored: Value = serde_json::from_slice(&kv.value).map_err(|error| error.to_string())?;
        let mut value = stored.clone();
        let schema = self.type_of(&value).cloned();
        fill(&mut value, schema.as_ref());
        if value == stored {
            return self.inner.decode(kv);
        }
        self.inner.decode(&KeyValue { value: codec::encode(&value), ..kv.clone() })
    }
}

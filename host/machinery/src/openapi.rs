//! OpenAPI documents: what `kubectl explain`, client-side validation and code generators read.

use crate::Value;
use crate::definition::Registry;

/// Descriptions of types and fields, injected by the caller so that this crate need not carry them.
pub trait Descriptions: Send + Sync {
    /// A type's description; `type_name` is the published name (`io.k8s.api.core.v1.Pod`).
    fn of_type(&self, type_name: &str) -> Option<&str>;
    /// A field's description.
    fn of_field(&self, type_name: &str, field: &str) -> Option<&str>;
}

/// No descriptions at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDescriptions;

impl Descriptions for NoDescriptions {
    fn of_type(&self, _: &str) -> Option<&str> {
        None
    }
    fn of_field(&self, _: &str, _: &str) -> Option<&str> {
        None
    }
}

/// `GET /openapi/v3`: path (`apis/apps/v1`) to `{"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=…"}`. The hash is
/// [`document_hash`] of each document, taken from the registry's content so that documents need not be built for it.
pub fn v3_index(registry: &Registry) -> Value {
    let _ = registry;
    unimplemented!()
}

/// `GET /openapi/v3/<path>`, where path is `api/v1` or `apis/<group>/<version>` (also `api`, `apis`, `apis/<group>`,
/// `version`), if it is served.
pub fn v3_document(registry: &Registry, descriptions: &dyn Descriptions, path: &str) -> Option<Value> {
    let _ = (registry, descriptions, path);
    unimplemented!()
}

/// The hash in the index for a document, which is also its `ETag`.
pub fn document_hash(registry: &Registry, path: &str) -> Option<String> {
    let _ = (registry, path);
    unimplemented!()
}

/// `GET /openapi/v2`: one Swagger document of everything.
pub fn v2_document(registry: &Registry, descriptions: &dyn Descriptions) -> Value {
    let _ = (registry, descriptions);
    unimplemented!()
}

//! OpenAPI documents: what `kubectl explain`, client-side validation and code generators read.

mod custom;
mod document;
mod unversioned;

use serde_json::json;
use sha2::{Digest as _, Sha512};

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
    let of_versions = versions(registry).map(|(group, version)| path_of(group, version));
    let paths: serde_json::Map<String, Value> = of_versions
        .chain(unversioned::paths(registry))
        .filter_map(|path| {
            let hash = document_hash(registry, &path)?;
            Some((path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")})))
        })
        .collect();
    json!({"paths": paths})
}

fn versions(registry: &Registry) -> impl Iterator<Item = (&str, &str)> {
    registry
        .groups()
        .iter()
        .flat_map(|group| group.versions.iter().map(|version| (group.name.as_str(), version.as_str())))
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The group and version of a document's path, if they are served.
fn served<'a>(registry: &'a Registry, path: &str) -> Option<(&'a str, &'a str)> {
    versions(registry).find(|(group, version)| path_of(group, version) == path)
}

/// `GET /openapi/v3/<path>`, where path is `api/v1` or `apis/<group>/<version>`, if it is served.
pub fn v3_document(registry: &Registry, descriptions: &dyn Descriptions, path: &str) -> Option<Value> {
    match served(registry, path) {
        Some((group, version)) => Some(document::v3(registry, descriptions, group, version)),
        None => unversioned::document(registry, descriptions, path),
    }
}

/// The hash in the index for a document, which is also its `ETag`.
pub fn document_hash(registry: &Registry, path: &str) -> Option<String> {
    let mut hash = Sha512::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    let Some((group, version)) = served(registry, path) else {
        // What these documents say does not change with what is served, beyond whether they are there.
        unversioned::paths(registry).any(|known| known == path).then_some(())?;
        hash.update(path);
        return Some(hash.finalize().iter().take(32).map(|byte| format!("{byte:02X}")).collect());
    };
    for definition in registry.in_version(group, version) {
        // The types of built-in kinds come with the crate's version, and some of them contain themselves; those of
        // custom resources are finite and change with the definition.
        hash.update(format!("{} {} {:?}", definition.plural, definition.kind, definition.verbs));
        if !definition.builtin {
            hash.update(format!("{:?}", definition.schema));
        }
    }
    Some(hash.finalize().iter().take(32).map(|byte| format!("{byte:02X}")).collect())
}

/// `GET /openapi/v2`: one Swagger document of everything.
pub fn v2_document(registry: &Registry, descriptions: &dyn Descriptions) -> Value {
    document::v2(registry, descriptions)
}

/// The heading of the documents.
fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.2"})
}

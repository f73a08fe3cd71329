//! OpenAPI documents: what `kubectl explain`, client-side validation and code generators read.

mod custom;
mod document;
mod enums;
pub mod gnostic;
mod paths;
mod scalars;
mod unversioned;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::json;
use sha2::{Digest as _, Sha512};

use crate::Value;
use crate::definition::{Registry, ResourceDefinition};

/// Descriptions of types and fields, injected by the caller so that this crate need not carry them.
pub trait Descriptions: Send + Sync {
    /// A type's description; `type_name` is the published name (`io.k8s.api.core.v1.Pod`).
    fn of_type(&self, type_name: &str) -> Option<&str>;
    /// A field's description.
    fn of_field(&self, type_name: &str, field: &str) -> Option<&str>;
    /// Changes when the texts do.
    fn version(&self) -> &str {
        ""
    }
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

/// `GET /openapi/v3`: path (`apis/apps/v1`) to `{"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=…"}`, of the
/// documents' paths and hashes ([`document_hashes`]).
pub fn v3_index<'a>(hashes: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let entry = |(path, hash): (&str, &str)| {
        (path.to_owned(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}))
    };
    json!({"paths": hashes.map(entry).collect::<serde_json::Map<String, Value>>()})
}

/// The paths of all documents of [`v3_document`], each with its hash: that in the index, which is also its `ETag`. It is
/// taken from the registry's content, so that documents need not be built for it.
pub fn document_hashes(registry: &Registry, descriptions: &dyn Descriptions) -> BTreeMap<String, String> {
    let begin = || Sha512::new().chain_update(&*TABLES).chain_update(descriptions.version());
    let text = |hash: Sha512| hash.finalize().iter().take(32).map(|byte| format!("{byte:02X}")).collect::<String>();
    let of_versions = versions(registry).map(|(group, version)| {
        let mut hash = begin();
        registry.in_version(group, version).for_each(|definition| add(&mut hash, definition));
        (path_of(group, version), text(hash))
    });
    // What the others say does not change with what is served, beyond whether they are there.
    let others = unversioned::paths(registry).map(|path| {
        let hash = text(begin().chain_update(&path));
        (path, hash)
    });
    of_versions.chain(others).collect()
}

/// What the built-in types are, as a hash of the tables that say so.
static TABLES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let hash = Sha512::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(crate::schema::builtin::TYPES);
    hash.chain_update(enums::ENUMS).finalize().to_vec()
});

/// The types of built-in kinds come with the tables, and some of them contain themselves; those of custom resources are
/// finite and change with the definition.
fn add(hash: &mut Sha512, definition: &ResourceDefinition) {
    hash.update(format!("{} {} {:?}", definition.plural, definition.kind, definition.verbs));
    if !definition.builtin {
        match definition.schema.custom() {
            Some(custom) => hash.update(custom.hash()),
            None => hash.update(format!("{:?}", definition.schema)),
        }
    }
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
    let (group, version) = match path.strip_prefix("apis/") {
        Some(rest) => rest.split_once('/')?,
        None => ("", path.strip_prefix("api/")?),
    };
    let group = registry.group(group)?;
    let version = group.versions.iter().find(|served| *served == version)?;
    Some((&group.name, version))
}

/// `GET /openapi/v3/<path>`, where path is `api/v1` or `apis/<group>/<version>`, if it is served.
pub fn v3_document(registry: &Registry, descriptions: &dyn Descriptions, path: &str) -> Option<Value> {
    match served(registry, path) {
        Some((group, version)) => Some(document::v3(registry, descriptions, group, version)),
        None => unversioned::document(registry, descriptions, path),
    }
}

/// A part of the document of everything.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A path, and what can be done there.
    Path(&'a str, &'a Value),
    /// A type's name, and what it is.
    Definition(&'a str, &'a Value),
}

/// The types of `GET /openapi/v2`, one Swagger document of everything. It is large, so that it is handed out piece by
/// piece to be written as it comes.
pub fn v2_types(registry: &Registry, descriptions: &dyn Descriptions, each: &mut dyn FnMut(Part<'_>)) {
    document::v2_types(registry, descriptions, each);
}

/// The paths of the same document.
pub fn v2_paths(registry: &Registry, each: &mut dyn FnMut(Part<'_>)) {
    document::v2_paths(registry, each);
}

/// The heading of the documents.
pub fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.2"})
}

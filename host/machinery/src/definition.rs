//! What the server serves: one definition for each resource and version, and the registry that finds them.
//!
//! Built-in and custom resources have the same form; what a definition says is all that the generic handlers know of a
//! resource.

pub mod builtin;
pub mod custom;
pub mod plugins;
mod registry;

pub use custom::{Conversion, CustomResource, ScalePaths};
pub use registry::{Group, Registry, RuntimeConfig};

use std::sync::Arc;

use crate::schema::SchemaRef;

/// Every built-in resource in every version, served or not.
pub fn builtin_definitions() -> &'static [Arc<ResourceDefinition>] {
    &builtin::DEFINITIONS
}

/// The eight verbs of an ordinary resource, sorted.
pub const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A resource in one version.
#[derive(Clone, Debug)]
pub struct ResourceDefinition {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind of one object.
    pub kind: String,
    /// The kind of a list: usually the kind and `List`.
    pub list_kind: String,
    /// The name in URLs.
    pub plural: String,
    /// The name of one, for clients.
    pub singular: String,
    /// Short names for clients.
    pub short_names: Vec<String>,
    /// Categories such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// The verbs served, sorted.
    pub verbs: Vec<String>,
    /// The subresources, sorted by name.
    pub subresources: Vec<SubresourceDefinition>,
    /// The objects' type.
    pub schema: SchemaRef,
    /// Where and as what objects are stored.
    pub storage: Storage,
    /// The fields that field selectors may name, beside `metadata.name` and (if namespaced) `metadata.namespace`.
    pub field_selectors: Vec<FieldSelectorPath>,
    /// The columns of a custom resource's table; empty for built-ins, whose columns are in [`crate::table`].
    pub columns: Vec<ColumnDefinition>,
    /// Whether the resource ships with the server.
    pub builtin: bool,
    /// Whether PUT to a name that is not there makes the object.
    pub allow_create_on_update: bool,
    /// Whether PUT without a resourceVersion is taken.
    pub allow_unconditional_update: bool,
    /// Whether `metadata.generation` counts changes of what is desired.
    pub generation: bool,
    /// Whether deletion is graceful (pods).
    pub graceful_deletion: bool,
    /// Whether it is not served unless asked for by `--runtime-config`: beta and alpha versions.
    pub off_by_default: bool,
    /// What a custom resource has beside all this.
    pub custom: Option<CustomResource>,
}

/// A subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubresourceDefinition {
    /// The last part of the URL, such as `status`.
    pub name: String,
    /// The kind of the body; may differ from the resource's.
    pub kind: String,
    /// The kind's group where it differs from the resource's, else the resource's.
    pub group: String,
    /// The kind's version where it differs from the resource's, else the resource's.
    pub version: String,
    /// The verbs served, sorted.
    pub verbs: Vec<String>,
}

/// Where a resource's objects are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The key prefix without a trailing slash, such as `/registry/pods` or `/registry/services/specs`; the object's key
    /// is `<prefix>/<namespace>/<name>` or `<prefix>/<name>`. Empty if the resource is not stored (reviews).
    pub prefix: String,
    /// The version objects are stored in.
    pub version: String,
    /// The version that is advertised as the one that objects are stored in, which only the hash in discovery shows.
    pub advertised: String,
    /// The group objects are stored in; it differs for `events` of `events.k8s.io`, which are stored as core events.
    pub group: String,
}

/// A field that selectors may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSelectorPath {
    /// The name in the selector, such as `spec.nodeName`.
    pub label: String,
    /// The stored object's field, as keys. Numbers and booleans count as their JSON text.
    pub path: Vec<String>,
    /// The field that is read in its place if it is absent; empty for none.
    pub fallback: Vec<String>,
    /// What the field counts as if it is absent.
    pub absent: String,
}

impl FieldSelectorPath {
    /// The path with dots between its keys.
    pub fn joined(&self) -> String {
        self.path.join(".")
    }
}

/// One column of a table, as CRDs give it.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDefinition {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub type_: String,
    /// An OpenAPI format, or empty.
    pub format: String,
    /// What it means.
    pub description: String,
    /// 0 is always shown, higher only in wide output.
    pub priority: i32,
    /// A simple JSON path (`.spec.stage`).
    pub json_path: String,
}

impl ResourceDefinition {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// `pods` or `deployments.apps`.
    pub fn group_resource(&self) -> String {
        crate::status::group_resource(&self.group, &self.plural)
    }

    /// Whether `verb` is served on the resource itself.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// The name under which a field of selectors is known of stored objects; the name itself if it is none.
    pub fn stored_field(&self, label: &str) -> String {
        self.field_selectors.iter().find(|field| field.label == label).map_or_else(|| label.to_owned(), |f| f.joined())
    }

    /// A subresource by name.
    pub fn subresource(&self, name: &str) -> Option<&SubresourceDefinition> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Whether it has a `status` subresource.
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// Whether objects are stored at all.
    pub fn is_stored(&self) -> bool {
        !self.storage.prefix.is_empty()
    }

    /// The key of one object; `namespace` is ignored if the resource has none.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced {
            format!("{}/{namespace}/{name}", self.storage.prefix)
        } else {
            format!("{}/{name}", self.storage.prefix)
        }
    }

    /// The prefix of all objects, or of a namespace's, with a trailing slash.
    pub fn key_prefix(&self, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) if self.namespaced => format!("{}/{namespace}/", self.storage.prefix),
            _ => format!("{}/", self.storage.prefix),
        }
    }
}

/// `v1` or `apps/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The group and version of an `apiVersion`.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The priority of a group among the groups and of a version in its group, as discovery orders them, highest first.
/// Those of custom resources are all the same.
pub fn priority(group: &str, version: &str) -> (i64, i64) {
    match group {
        plugins::GROUP => (15_700, 9),
        _ => builtin::priority(group, version).unwrap_or((1_000, 100)),
    }
}

//! What the server serves: one definition for each resource and version, and the registry that finds them.
//!
//! Built-in and custom resources have the same form; what a definition says is all that the generic handlers know of a
//! resource.

pub mod builtin;
pub mod custom;
pub mod plugins;

pub use custom::{Conversion, CustomResource, ScalePaths};

use crate::schema::SchemaRef;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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

/// A group, with its versions in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name; empty for the core group.
    pub name: String,
    /// The versions served, the preferred one first.
    pub versions: Vec<String>,
    /// Whether it is made of custom resources only.
    pub custom: bool,
}

/// The priority of a group among the groups and of a version in its group, as discovery orders them, highest first.
/// Those of custom resources are all the same.
pub fn priority(group: &str, version: &str) -> (i64, i64) {
    match group {
        plugins::GROUP => (15_700, 9),
        _ => builtin::priority(group, version).unwrap_or((1_000, 100)),
    }
}

/// What `--runtime-config` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Serve everything, as `api/all=true` does.
    pub all: bool,
    /// Single switches: `group/version` or `group/version/resource` to on or off.
    pub switches: BTreeMap<String, bool>,
}

/// All that is served at one moment; immutable, shared, replaced as a whole when a definition comes or goes.
#[derive(Clone, Debug)]
pub struct Registry {
    definitions: Vec<Arc<ResourceDefinition>>,
    groups: Vec<Group>,
    by_resource: HashMap<(String, String, String), Arc<ResourceDefinition>>,
    by_kind: HashMap<(String, String, String), Arc<ResourceDefinition>>,
}

impl Registry {
    /// The built-in resources that a server with this configuration serves.
    ///
    /// A version that is stored as another one is served only once there is a conversion between the two; until then it
    /// is left out rather than answered wrongly.
    pub fn builtin(config: &RuntimeConfig) -> Self {
        let wanted = |definition: &ResourceDefinition| {
            let version = format!("{}/{}", definition.group, definition.version);
            let resource = format!("{version}/{}", definition.plural);
            let switch = config.switches.get(&resource).or_else(|| config.switches.get(&version));
            switch.copied().unwrap_or(config.all || !definition.off_by_default)
        };
        let convertible = |definition: &ResourceDefinition| {
            // The API server converts these two kinds; other versions than the stored one need their own conversions.
            matches!(definition.kind.as_str(), "Event" | "HorizontalPodAutoscaler")
                || (definition.storage.version == definition.version && definition.storage.group == definition.group)
        };
        let all = builtin::DEFINITIONS.iter().filter(|definition| wanted(definition) && convertible(definition));
        Self::of(all.cloned().collect())
    }

    /// This registry and custom resources: groups by name, versions by their preference. A version of a group that is
    /// built in is served as it is built in.
    pub fn with_custom(&self, mut custom: Vec<Arc<ResourceDefinition>>) -> Self {
        custom.retain(|d| self.in_version(&d.group, &d.version).next().is_none());
        custom.sort_by_cached_key(|d| {
            (d.group.clone(), std::cmp::Reverse(custom::version_priority(&d.version)), d.plural.clone())
        });
        let mut definitions = self.definitions.clone();
        definitions.extend(custom);
        Self::of(definitions)
    }

    fn of(definitions: Vec<Arc<ResourceDefinition>>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for definition in &definitions {
            let at = groups.iter().position(|group| group.name == definition.group).unwrap_or_else(|| {
                let (name, custom) = (definition.group.clone(), true);
                groups.push(Group { name, versions: Vec::new(), custom });
                groups.len() - 1
            });
            groups[at].custom &= !definition.builtin;
            if !groups[at].versions.contains(&definition.version) {
                groups[at].versions.push(definition.version.clone());
            }
        }
        let key = |d: &ResourceDefinition, last: &str| (d.group.clone(), d.version.clone(), last.to_owned());
        let by_resource = definitions.iter().map(|d| (key(d, &d.plural), Arc::clone(d))).collect();
        // Reviews of another scope share a kind's group; the first definition of a kind is the one that is meant.
        let mut by_kind = HashMap::new();
        for definition in &definitions {
            by_kind.entry(key(definition, &definition.kind)).or_insert_with(|| Arc::clone(definition));
        }
        Self { definitions, groups, by_resource, by_kind }
    }

    /// The definition of a resource by its plural name.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ResourceDefinition>> {
        self.by_resource.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The definition of a resource in its preferred version.
    pub fn preferred_resource(&self, group: &str, plural: &str) -> Option<&Arc<ResourceDefinition>> {
        let group = self.group(group)?;
        group.versions.iter().find_map(|version| self.resource(&group.name, version, plural))
    }

    /// The definition of a kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<ResourceDefinition>> {
        self.by_kind.get(&(group.to_owned(), version.to_owned(), kind.to_owned()))
    }

    /// All definitions, by group and version in order of preference, then by plural name.
    pub fn all(&self) -> &[Arc<ResourceDefinition>] {
        &self.definitions
    }

    /// The groups in order of preference, the core group first.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// One group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The definitions of one group and version.
    pub fn in_version<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Arc<ResourceDefinition>> {
        self.definitions.iter().filter(move |d| d.group == group && d.version == version)
    }
}

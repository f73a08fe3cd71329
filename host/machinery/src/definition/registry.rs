//! All that is served at one moment.
//!
//! A definition that comes or goes makes a new registry of the old one's built-in part and all custom resources, so that
//! is kept cheap: the built-in part is shared, and a lookup is by group, then version, then name, without a copy of any
//! of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{ResourceDefinition, builtin, custom};

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

/// What `--runtime-config` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Serve everything, as `api/all=true` does.
    pub all: bool,
    /// Single switches: `group/version` or `group/version/resource` to on or off.
    pub switches: BTreeMap<String, bool>,
}

/// The definitions of a group's version.
#[derive(Clone, Debug, Default)]
struct Version {
    all: Vec<Arc<ResourceDefinition>>,
    by_resource: HashMap<String, usize>,
    by_kind: HashMap<String, usize>,
}

impl Version {
    fn add(&mut self, definition: &Arc<ResourceDefinition>) {
        let at = self.all.len();
        self.all.push(Arc::clone(definition));
        self.by_resource.insert(definition.plural.clone(), at);
        // Reviews of another scope share a kind's group; the first definition of a kind is the one that is meant.
        self.by_kind.entry(definition.kind.clone()).or_insert(at);
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    definitions: Vec<Arc<ResourceDefinition>>,
    groups: Vec<Group>,
    places: HashMap<String, usize>,
    versions: HashMap<String, HashMap<String, Arc<Version>>>,
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
        let mut registry = Self::default();
        let all = builtin::DEFINITIONS.iter().filter(|definition| wanted(definition) && convertible(definition));
        all.for_each(|definition| registry.add(definition));
        registry
    }

    /// This registry and custom resources: groups by name, versions by their preference. A version of a group that is
    /// built in is served as it is built in.
    pub fn with_custom(&self, mut custom: Vec<Arc<ResourceDefinition>>) -> Self {
        custom.retain(|d| self.version(&d.group, &d.version).is_none());
        custom.sort_by(|a, b| {
            let priority = |d: &ResourceDefinition| std::cmp::Reverse(custom::version_priority(&d.version));
            a.group.cmp(&b.group).then_with(|| {
                if a.version == b.version { a.plural.cmp(&b.plural) } else { priority(a).cmp(&priority(b)) }
            })
        });
        let mut registry = Self {
            definitions: self.definitions.clone(),
            groups: self.groups.clone(),
            places: self.places.clone(),
            versions: self.versions.clone(),
        };
        custom.iter().for_each(|definition| registry.add(definition));
        registry
    }

    fn add(&mut self, definition: &Arc<ResourceDefinition>) {
        let place = match self.places.get(&definition.group) {
            Some(place) => *place,
            None => {
                self.groups.push(Group { name: definition.group.clone(), versions: Vec::new(), custom: true });
                self.places.insert(definition.group.clone(), self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        if let Some(group) = self.groups.get_mut(place) {
            group.custom &= !definition.builtin;
            if !group.versions.contains(&definition.version) {
                group.versions.push(definition.version.clone());
            }
        }
        if !self.versions.contains_key(&definition.group) {
            self.versions.insert(definition.group.clone(), HashMap::new());
        }
        if let Some(versions) = self.versions.get_mut(&definition.group) {
            Arc::make_mut(versions.entry(definition.version.clone()).or_default()).add(definition);
        }
        self.definitions.push(Arc::clone(definition));
    }

    fn version(&self, group: &str, version: &str) -> Option<&Version> {
        self.versions.get(group)?.get(version).map(|version| &**version)
    }

    /// The definition of a resource by its plural name.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ResourceDefinition>> {
        let version = self.version(group, version)?;
        version.all.get(*version.by_resource.get(plural)?)
    }

    /// The definition of a resource in its preferred version.
    pub fn preferred_resource(&self, group: &str, plural: &str) -> Option<&Arc<ResourceDefinition>> {
        let group = self.group(group)?;
        group.versions.iter().find_map(|version| self.resource(&group.name, version, plural))
    }

    /// The definition of a kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<ResourceDefinition>> {
        let version = self.version(group, version)?;
        version.all.get(*version.by_kind.get(kind)?)
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
        self.groups.get(*self.places.get(name)?)
    }

    /// The definitions of one group and version.
    pub fn in_version<'a>(
        &'a self,
        group: &str,
        version: &str,
    ) -> impl Iterator<Item = &'a Arc<ResourceDefinition>> + use<'a> {
        self.version(group, version).map_or(&[][..], |version| &version.all).iter()
    }
}

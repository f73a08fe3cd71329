//! Which requests a policy or a binding is about.

use std::sync::Arc;

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Value, object};

use crate::admission::{AdmissionAttributes, GroupVersionName};
use crate::server::ApiServer;

/// `MatchResources`, read once for a policy's or binding's version.
#[derive(Debug)]
pub struct Matcher {
    namespaces: Option<LabelSelector>,
    objects: Option<LabelSelector>,
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    equivalent: bool,
}

/// As what a request is matched.
#[derive(Clone, Debug)]
pub enum Match {
    /// As itself.
    Itself,
    /// As a request for the same objects in another version.
    Equivalent(Arc<ResourceDefinition>),
}

/// `NamedRuleWithOperations`.
#[derive(Debug)]
struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<(String, String)>,
    names: Vec<String>,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Any,
    Namespaced,
    Cluster,
}

impl Matcher {
    /// Reads `MatchResources`.
    pub fn read(resources: &Value) -> Self {
        // An empty selector, and none, select everything. Objects with one that cannot be read are not stored.
        let selector = |key: &str| {
            let selector = LabelSelector::from_object(resources.get(key)).ok();
            selector.filter(|selector| resources.get(key).is_some() && !selector.is_everything())
        };
        let rules = |key: &str| object::list_at(resources, &[key]).iter().map(Rule::read).collect();
        Self {
            namespaces: selector("namespaceSelector"),
            objects: selector("objectSelector"),
            rules: rules("resourceRules"),
            excluded: rules("excludeResourceRules"),
            equivalent: object::str_at(resources, &["matchPolicy"]) != Some("Exact"),
        }
    }

    /// The resources (without subresources) that the rules name; `None` if they may be any.
    pub fn plurals(&self) -> Option<Vec<&str>> {
        let named = self.rules.iter().flat_map(|rule| &rule.resources).map(|(resource, _)| resource.as_str());
        let named: Vec<&str> = named.collect();
        (!named.is_empty() && !named.contains(&"*")).then_some(named)
    }

    /// Whether a request is meant, and as what. Without rules every request is.
    pub fn matches(&self, server: &ApiServer, attributes: &AdmissionAttributes, object: &Value) -> Option<Match> {
        if !self.namespace_matches(attributes, object) || !self.object_matches(attributes, object) {
            return None;
        }
        if self.any(&self.excluded, server, attributes).is_some() {
            return None;
        }
        if self.rules.is_empty() {
            return Some(Match::Itself);
        }
        self.any(&self.rules, server, attributes)
    }

    fn any(&self, rules: &[Rule], server: &ApiServer, attributes: &AdmissionAttributes) -> Option<Match> {
        if rules.is_empty() {
            return None;
        }
        if rules.iter().any(|rule| rule.matches(attributes, &attributes.resource)) {
            return Some(Match::Itself);
        }
        if !self.equivalent {
            return None;
        }
        let equivalents = equivalents(server, attributes);
        let found = rules
            .iter()
            .find_map(|rule| equivalents.iter().find(|definition| rule.matches(attributes, &resource_of(definition))));
        found.cloned().map(Match::Equivalent)
    }

    fn namespace_matches(&self, attributes: &AdmissionAttributes, object: &Value) -> bool {
        let Some(selector) = &self.namespaces else { return true };
        if is_namespace(attributes) {
            let old = attributes.old_object.as_deref();
            // A subresource's object need not be the namespace itself.
            let own = object.is_object() && attributes.subresource.is_empty();
            return selector.matches_object(if own { object } else { old.unwrap_or(object) });
        }
        match (&attributes.namespace_object, attributes.namespace.is_empty()) {
            (Some(namespace), _) => selector.matches_object(namespace),
            // Objects outside of namespaces are not narrowed by them.
            (None, outside) => outside,
        }
    }

    fn object_matches(&self, attributes: &AdmissionAttributes, object: &Value) -> bool {
        let Some(selector) = &self.objects else { return true };
        let old = attributes.old_object.as_deref();
        (object.is_object() && selector.matches_object(object)) || old.is_some_and(|old| selector.matches_object(old))
    }
}

/// Whether a request is about a Namespace.
pub fn is_namespace(attributes: &AdmissionAttributes) -> bool {
    attributes.resource.group.is_empty() && attributes.resource.name == "namespaces"
}

/// The resources that have the same objects as the request's, in other versions or groups.
fn equivalents(server: &ApiServer, attributes: &AdmissionAttributes) -> Vec<Arc<ResourceDefinition>> {
    let registry = server.registry.load();
    let GroupVersionName { group, version, name } = &attributes.resource;
    let Some(own) = registry.resource(group, version, name) else { return Vec::new() };
    let other = |definition: &&Arc<ResourceDefinition>| {
        definition.is_stored()
            && definition.storage.prefix == own.storage.prefix
            && (definition.group != own.group || definition.version != own.version)
            && (attributes.subresource.is_empty() || definition.subresource(&attributes.subresource).is_some())
    };
    registry.all().iter().filter(other).cloned().collect()
}

/// The name of a definition's resource.
pub fn resource_of(definition: &ResourceDefinition) -> GroupVersionName {
    GroupVersionName {
        group: definition.group.clone(),
        version: definition.version.clone(),
        name: definition.plural.clone(),
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let texts = |key: &str| -> Vec<String> {
            object::list_at(rule, &[key]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let parts = |one: String| match one.split_once('/') {
            Some((resource, sub)) => (resource.to_owned(), sub.to_owned()),
            None => (one, String::new()),
        };
        Self {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources").into_iter().map(parts).collect(),
            names: texts("resourceNames"),
            scope: match object::str_at(rule, &["scope"]) {
                Some("Namespaced") => Scope::Namespaced,
                Some("Cluster") => Scope::Cluster,
                _ => Scope::Any,
            },
        }
    }

    fn matches(&self, attributes: &AdmissionAttributes, resource: &GroupVersionName) -> bool {
        let any = |of: &[String], wanted: &str| of.iter().any(|one| one == "*" || one == wanted);
        let namespaced = !attributes.namespace.is_empty() && !is_namespace(attributes);
        let sub = attributes.subresource.as_str();
        any(&self.operations, attributes.operation.as_str())
            && any(&self.groups, &resource.group)
            && any(&self.versions, &resource.version)
            && self
                .resources
                .iter()
                .any(|(name, of)| (name == "*" || *name == resource.name) && (of == "*" || of == sub))
            && (self.names.is_empty() || self.names.contains(&attributes.name))
            && match self.scope {
                Scope::Any => true,
                Scope::Namespaced => namespaced,
                Scope::Cluster => !namespaced,
            }
    }
}

//! Which requests a plugin sees.
//!
//! A plugin's rules are compiled once for each version of it. The part that depends on the kind of request alone
//! (operation, group, version, resource, subresource) is remembered by [`crate::table::StageTable`], so that a request
//! pays for selectors only.

use portcullis_machinery::{Value, selector::LabelSelector};

use crate::spec::{MatchSpec, SpecError};

/// The part of a request that decides whether a plugin's rules may match at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKind<'a> {
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: &'a str,
    /// Empty for the core group.
    pub group: &'a str,
    /// `v1`.
    pub version: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
}

/// What selectors look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The request's namespace; empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// The object's Namespace object, if there is one.
    pub namespace_object: Option<&'a Value>,
    /// The object as it would be stored.
    pub object: Option<&'a Value>,
    /// The stored object.
    pub old_object: Option<&'a Value>,
}

/// A plugin's compiled rules.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<(String, String)>,
    namespaces: Vec<String>,
    exclude_namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
    object_selector: Option<LabelSelector>,
}

fn any_or_contains(list: &[String], value: &str) -> bool {
    list.is_empty() || list.iter().any(|entry| entry == "*" || entry == value)
}

impl Matcher {
    /// Compiles the rules.
    ///
    /// # Errors
    /// [`SpecError::Field`] for a malformed selector.
    pub fn new(spec: &MatchSpec) -> Result<Self, SpecError> {
        let selector = |field: &'static str, value: &Option<Value>| match value {
            None => Ok(None),
            Some(value) => {
                LabelSelector::from_object(Some(value)).map(Some).map_err(|message| SpecError::Field { field, message })
            }
        };
        let mut operations = spec.operations.clone();
        if operations.is_empty() {
            operations = vec!["CREATE".into(), "UPDATE".into()];
        }
        let resources = spec
            .resources
            .iter()
            .map(|entry| match entry.split_once('/') {
                Some((resource, subresource)) => (resource.to_owned(), subresource.to_owned()),
                None => (entry.clone(), String::new()),
            })
            .collect();
        Ok(Self {
            operations,
            groups: spec.api_groups.clone(),
            versions: spec.api_versions.clone(),
            resources,
            namespaces: spec.namespaces.clone(),
            exclude_namespaces: spec.exclude_namespaces.clone(),
            namespace_selector: selector("spec.match.namespaceSelector", &spec.namespace_selector)?,
            object_selector: selector("spec.match.objectSelector", &spec.object_selector)?,
        })
    }

    /// Whether requests of this kind can match; selectors are not looked at.
    ///
    /// No rule matches a Plugin: a policy that refused every write could otherwise never be taken away again (as the
    /// reference exempts webhook configurations from webhooks).
    pub fn matches_kind(&self, kind: &RequestKind<'_>) -> bool {
        kind.group != crate::spec::GROUP
            && any_or_contains(&self.operations, kind.operation)
            && any_or_contains(&self.groups, kind.group)
            && any_or_contains(&self.versions, kind.version)
            && self.matches_resource(kind)
    }

    /// Whether the rules let a resource through, whatever is done with it.
    pub fn matches_resource_of(&self, group: &str, resource: &str) -> bool {
        let kind = RequestKind { operation: "", group, version: "", resource, subresource: "" };
        group != crate::spec::GROUP && any_or_contains(&self.groups, group) && self.matches_resource(&kind)
    }

    fn matches_resource(&self, kind: &RequestKind<'_>) -> bool {
        if self.resources.is_empty() {
            return kind.subresource.is_empty();
        }
        self.resources.iter().any(|(resource, subresource)| {
            (resource == "*" || resource == kind.resource) && (subresource == "*" || subresource == kind.subresource)
        })
    }

    /// Whether the selectors match; to be asked only if [`Self::matches_kind`] said yes.
    pub fn matches_subject(&self, subject: &Subject<'_>) -> bool {
        if !self.namespaces.is_empty() && !self.namespaces.iter().any(|ns| ns == subject.namespace) {
            return false;
        }
        if !subject.namespace.is_empty() && self.exclude_namespaces.iter().any(|ns| ns == subject.namespace) {
            return false;
        }
        if let (Some(selector), Some(namespace)) = (&self.namespace_selector, subject.namespace_object)
            && !selector.matches_object(namespace)
        {
            return false;
        }
        match &self.object_selector {
            None => true,
            Some(selector) => {
                [subject.object, subject.old_object].into_iter().flatten().any(|o| selector.matches_object(o))
            }
        }
    }
}

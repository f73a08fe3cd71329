//! Whether a webhook is asked about a request, and about which version of its object.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Status, Value};

use super::conditions;
use super::forms::{converted, equivalents, kind_of};
use super::hook::{Hook, Rule, Scope as RuleScope, any};
use crate::admission::{AdmissionAttributes, GroupVersionName, Operation};
use crate::handlers::Scope;

/// What a webhook is asked about.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    /// The resource, in the version of the rule that matched.
    pub resource: GroupVersionName,
    /// The kind in that version.
    pub kind: GroupVersionName,
    /// That version, if it is not the request's own.
    pub other: Option<Arc<ResourceDefinition>>,
}

/// A request as matching sees it; what takes a look elsewhere is looked up once for all webhooks.
pub(super) struct Asked<'a> {
    pub scope: &'a Scope,
    pub attributes: &'a AdmissionAttributes,
    /// The object as it was; none if there was none.
    pub old: Option<&'a Value>,
    /// The request's resource.
    definition: Arc<ResourceDefinition>,
    namespace: Result<Option<Arc<Value>>, Status>,
    others: OnceLock<Vec<Arc<ResourceDefinition>>>,
}

impl<'a> Asked<'a> {
    /// A request. The namespace is the one that it is in, or that it is about.
    pub async fn new(scope: &'a Scope, attributes: &'a AdmissionAttributes) -> Self {
        let namespace = match (&attributes.namespace_object, namespace_of(attributes)) {
            (_, "") => Ok(None),
            (Some(known), _) => Ok(Some(Arc::clone(known))),
            // It may be so new that the cache does not have it yet.
            (None, name) => match scope.server.read("", "v1", "namespaces", "", name).await {
                Ok(Some(found)) => Ok(Some(Arc::new(found))),
                Ok(None) => Err(Status::not_found("", "namespaces", name)),
                Err(status) => Err(status),
            },
        };
        let old = attributes.old_object.as_deref().filter(|_| attributes.operation != Operation::Connect);
        let GroupVersionName { group, version, name } = &attributes.resource;
        let registry = scope.server.registry.load();
        // What a request carries may be of another kind than its resource is.
        let definition = registry.resource(group, version, name).unwrap_or(&scope.definition).clone();
        Self { scope, attributes, old, definition, namespace, others: OnceLock::new() }
    }

    fn others(&self) -> &[Arc<ResourceDefinition>] {
        self.others.get_or_init(|| equivalents(&self.scope.server.registry.load(), &self.definition))
    }

    /// An object of the request as a webhook gets it.
    ///
    /// # Errors
    /// 500 if it cannot be converted.
    pub async fn form<'v>(&self, invocation: &Invocation, value: &'v Value) -> Result<Cow<'v, Value>, Status> {
        match &invocation.other {
            Some(other) => converted(&self.scope.server, value, &self.definition, other).await.map(Cow::Owned),
            None => Ok(Cow::Borrowed(value)),
        }
    }

    /// What a webhook has made of an object, in the request's version.
    ///
    /// # Errors
    /// 500 if it cannot be converted.
    pub async fn back(&self, invocation: &Invocation, value: Value) -> Result<Value, Status> {
        match &invocation.other {
            Some(other) => converted(&self.scope.server, &value, other, &self.definition).await,
            None => Ok(value),
        }
    }
}

/// The namespace that a request is in; a Namespace is in itself.
pub(super) fn namespace_of(attributes: &AdmissionAttributes) -> &str {
    match is_namespace(attributes) {
        true => &attributes.name,
        false => &attributes.namespace,
    }
}

fn is_namespace(attributes: &AdmissionAttributes) -> bool {
    attributes.resource.name == "namespaces" && attributes.resource.group.is_empty()
}

/// What a webhook is asked, if it is.
///
/// # Errors
/// If that cannot be said: 403 for a match condition that fails, 404 for a namespace that is not there, 500 for an object
/// that cannot be converted.
pub(super) async fn invocation(hook: &Hook, asked: &Asked<'_>, object: &Value) -> Result<Option<Invocation>, Status> {
    let Some(invocation) = by_rules(hook, asked)? else { return Ok(None) };
    let (namespaces, objects) = (namespace_matches(hook, asked, object), object_matches(hook, asked, object));
    if matches!(namespaces, Ok(false)) || matches!(objects, Ok(false)) {
        return Ok(None);
    }
    namespaces?;
    objects?;
    if hook.conditions.is_empty() {
        return Ok(Some(invocation));
    }
    let old = asked.form(&invocation, asked.old.unwrap_or(&Value::Null)).await?;
    let form = asked.form(&invocation, object).await?;
    let matches = conditions::matches(hook, asked, form.into_owned(), old.into_owned()).map_err(|why| {
        let attributes = asked.attributes;
        Status::forbidden(&attributes.resource.group, &attributes.resource.name, &attributes.name, &why)
    })?;
    Ok(matches.then_some(invocation))
}

fn by_rules(hook: &Hook, asked: &Asked<'_>) -> Result<Option<Invocation>, Status> {
    let attributes = asked.attributes;
    let own = &attributes.resource;
    if hook.rules.iter().any(|rule| matches(rule, attributes, &own.group, &own.version)) {
        let (resource, kind) = (own.clone(), attributes.kind.clone());
        return Ok(Some(Invocation { resource, kind, other: None }));
    }
    if !hook.equivalent {
        return Ok(None);
    }
    // Earlier rules are honoured first.
    for rule in &hook.rules {
        for other in asked.others() {
            if matches(rule, attributes, &other.group, &other.version) {
                let kind = kind_of(other, &attributes.subresource);
                let resource = GroupVersionName {
                    group: other.group.clone(),
                    version: other.version.clone(),
                    name: other.plural.clone(),
                };
                return Ok(Some(Invocation { resource, kind, other: Some(Arc::clone(other)) }));
            }
        }
    }
    Ok(None)
}

fn matches(rule: &Rule, attributes: &AdmissionAttributes, group: &str, version: &str) -> bool {
    let in_namespace = !is_namespace(attributes) && !attributes.namespace.is_empty();
    let in_scope = match rule.scope {
        RuleScope::All => true,
        RuleScope::Namespaced => in_namespace,
        RuleScope::Cluster => !in_namespace,
        RuleScope::Unknown => false,
    };
    let resource = &attributes.resource.name;
    in_scope
        && any(&rule.operations, attributes.operation.as_str())
        && any(&rule.groups, group)
        && any(&rule.versions, version)
        && rule
            .resources
            .iter()
            .any(|(name, sub)| (name == "*" || name == resource) && (sub == "*" || *sub == attributes.subresource))
}

fn parsed(selector: &Result<LabelSelector, String>) -> Result<Option<&LabelSelector>, Status> {
    match selector {
        Ok(selector) => Ok(Some(selector).filter(|selector| !selector.is_everything())),
        Err(why) => Err(Status::internal(why)),
    }
}

fn namespace_matches(hook: &Hook, asked: &Asked<'_>, object: &Value) -> Result<bool, Status> {
    let attributes = asked.attributes;
    if attributes.namespace.is_empty() && attributes.resource.name != "namespaces" {
        return Ok(true);
    }
    let Some(selector) = parsed(&hook.namespaces)? else { return Ok(true) };
    // A new Namespace is not anywhere yet, and a changed one has its new labels.
    let written = matches!(attributes.operation, Operation::Create | Operation::Update);
    if attributes.resource.name == "namespaces" && attributes.subresource.is_empty() && written {
        return Ok(selector.matches_object(object));
    }
    match &asked.namespace {
        Ok(Some(namespace)) => Ok(selector.matches_object(namespace)),
        Ok(None) => Ok(true),
        Err(status) => Err(status.clone()),
    }
}

fn object_matches(hook: &Hook, asked: &Asked<'_>, object: &Value) -> Result<bool, Status> {
    let Some(selector) = parsed(&hook.objects)? else { return Ok(true) };
    // What has no metadata, such as the options of a connection, is selected by nothing.
    let selects = |object: &Value| object.get("metadata").is_some() && selector.matches_object(object);
    Ok(selects(object) || asked.old.is_some_and(selects))
}

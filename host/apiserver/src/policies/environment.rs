//! The values that a policy's expressions see.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_cel::library::authz::{Authorize, Decision, Query};
use portcullis_cel::types::DYN;
use portcullis_cel::{Val, Variables};
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{Value, convert, object};
use serde_json::{Map, json};

use super::matching::{Match, is_namespace, resource_of};
use crate::admission::{AdmissionAttributes, GroupVersionName};
use crate::authz;
use crate::context::{RequestInfo, UserInfo};
use crate::server::ApiServer;

/// What all policies see of a request.
pub struct Facts<'r> {
    /// The request.
    pub attributes: &'r AdmissionAttributes,
    namespace: Value,
    authorizer: Asker<'r>,
    request_resource: Query,
}

/// The values of a request in the version in which a policy wants to see it.
pub struct Environment<'r> {
    facts: &'r Facts<'r>,
    /// The request's version and the one wanted, if they are not the same.
    versions: Option<(Arc<ResourceDefinition>, Arc<ResourceDefinition>)>,
    /// `object`; null on a deletion.
    pub object: Cow<'r, Value>,
    /// `oldObject`; null on a creation.
    pub old_object: Cow<'r, Value>,
    request: Value,
}

/// Asks the server's authorizer on behalf of the request's user.
struct Asker<'r> {
    server: &'r Arc<ApiServer>,
    user: &'r UserInfo,
}

impl fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("user", &self.user.username).finish_non_exhaustive()
    }
}

/// The namespace of a request; a Namespace counts as being in itself.
pub fn namespace_of(attributes: &AdmissionAttributes) -> &str {
    if is_namespace(attributes) { &attributes.name } else { &attributes.namespace }
}

impl<'r> Facts<'r> {
    /// The facts of a request.
    pub fn new(server: &'r Arc<ApiServer>, attributes: &'r AdmissionAttributes) -> Self {
        let request_resource = Query {
            group: attributes.resource.group.clone(),
            resource: attributes.resource.name.clone(),
            subresource: attributes.subresource.clone(),
            namespace: namespace_of(attributes).to_owned(),
            name: attributes.name.clone(),
            ..Query::default()
        };
        Self {
            attributes,
            namespace: attributes.namespace_object.as_deref().map_or(Value::Null, seen_of_namespace),
            authorizer: Asker { server, user: &attributes.user },
            request_resource,
        }
    }

    /// The values that a policy which has matched sees.
    pub fn environment<'e>(&'e self, matched: &Match, object: Cow<'e, Value>) -> Environment<'e>
    where
        'r: 'e,
    {
        let attributes = self.attributes;
        let old = attributes.old_object.as_deref().map_or(Cow::Owned(Value::Null), Cow::Borrowed);
        let registry = self.authorizer.server.registry.load();
        let GroupVersionName { group, version, name } = &attributes.resource;
        let versions = match (matched, registry.resource(group, version, name)) {
            (Match::Equivalent(to), Some(from)) => Some((Arc::clone(from), Arc::clone(to))),
            _ => None,
        };
        let (resource, kind) = match &versions {
            None => (attributes.resource.clone(), attributes.kind.clone()),
            Some((from, to)) => (resource_of(to), kind_of(attributes, from, to)),
        };
        let request = request(attributes, &resource, &kind);
        let mut environment = Environment {
            facts: self,
            versions,
            object: Cow::Owned(Value::Null),
            old_object: Cow::Owned(Value::Null),
            request,
        };
        environment.old_object = environment.to_wanted(old);
        environment.object = environment.to_wanted(object);
        environment
    }
}

impl<'r> Environment<'r> {
    /// An object of the request in the version that is wanted.
    fn to_wanted(&self, value: Cow<'r, Value>) -> Cow<'r, Value> {
        match &self.versions {
            Some((from, to)) if is_whole(&value, from) => {
                Cow::Owned(convert::from_storage(to, convert::to_storage(from, value.into_owned())))
            }
            _ => value,
        }
    }

    /// The object as the request has it.
    pub fn as_requested(&self) -> Value {
        let object = self.object.as_ref().clone();
        match &self.versions {
            Some((from, to)) if is_whole(&object, to) => convert::from_storage(from, convert::to_storage(to, object)),
            _ => object,
        }
    }

    /// The resource in the version that is wanted, if that is not the request's own.
    pub fn wanted(&self) -> Option<&Arc<ResourceDefinition>> {
        self.versions.as_ref().map(|(_, to)| to)
    }

    /// The variables of expressions. Messages have no `authorizer`; match conditions have no `namespaceObject`.
    pub fn values<'a>(&'a self, parameter: Option<&'a Value>, sees: Sees) -> Variables<'a> {
        let any = |value: &'a Value| Val::from_json(value, &DYN);
        let ask = |query: Query| Val::Query(&self.facts.authorizer, Rc::new(query));
        let mut all = vec![
            ("object", any(&self.object)),
            ("oldObject", any(&self.old_object)),
            ("request", any(&self.request)),
            ("params", parameter.map_or(Val::Null, any)),
            ("namespaceObject", if sees.namespace { any(&self.facts.namespace) } else { Val::Null }),
        ];
        if sees.authorizer {
            all.push(("authorizer", ask(Query::default())));
            all.push(("authorizer.requestResource", ask(self.facts.request_resource.clone())));
        }
        all.into_iter().map(|(name, value)| (name.into(), Ok(value))).collect()
    }
}

/// What some expressions see and others do not.
#[derive(Clone, Copy, Debug)]
pub struct Sees {
    /// `authorizer`.
    pub authorizer: bool,
    /// `namespaceObject`.
    pub namespace: bool,
}

/// Whether a value is an object of the resource, and not of a subresource's own kind.
fn is_whole(value: &Value, definition: &ResourceDefinition) -> bool {
    value.is_object() && object::kind(value) == definition.kind
}

/// The kind in another version; a subresource's own kind is the same in all.
fn kind_of(attributes: &AdmissionAttributes, from: &ResourceDefinition, to: &ResourceDefinition) -> GroupVersionName {
    if attributes.kind.name != from.kind || attributes.kind.group != from.group {
        return attributes.kind.clone();
    }
    GroupVersionName { name: to.kind.clone(), ..resource_of(to) }
}

/// `request`: an AdmissionRequest without the objects. What is empty is not there.
fn request(attributes: &AdmissionAttributes, resource: &GroupVersionName, kind: &GroupVersionName) -> Value {
    let named =
        |name: &GroupVersionName, what: &str| json!({"group": name.group, "version": name.version, what: name.name});
    let user = &attributes.user;
    let mut info = Map::new();
    let extra: Map<String, Value> =
        user.extra.iter().map(|(key, values)| (key.clone(), values.clone().into())).collect();
    for (key, value) in [("username", json!(user.username)), ("uid", json!(user.uid)), ("groups", json!(user.groups))] {
        info.insert(key.to_owned(), value);
    }
    info.insert("extra".to_owned(), extra.into());
    info.retain(|_, value| !is_empty(value));
    let mut request = json!({
        "kind": named(kind, "kind"), "requestKind": named(&attributes.kind, "kind"),
        "resource": named(resource, "resource"), "requestResource": named(&attributes.resource, "resource"),
        "operation": attributes.operation.as_str(), "userInfo": info, "dryRun": attributes.dry_run,
        "options": attributes.options,
    });
    for (key, text) in [
        ("subResource", attributes.subresource.as_str()),
        ("requestSubResource", &attributes.subresource),
        ("name", &attributes.name),
        ("namespace", namespace_of(attributes)),
    ] {
        if !text.is_empty() {
            request[key] = text.into();
        }
    }
    request
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Of a namespace, policies see what identifies and labels it.
fn seen_of_namespace(namespace: &Value) -> Value {
    let mut seen = namespace.clone();
    object::remove_at(&mut seen, &["metadata", "managedFields"]);
    object::remove_at(&mut seen, &["metadata", "ownerReferences"]);
    seen
}

impl Authorize for Asker<'_> {
    fn decide(&self, query: &Query) -> Decision {
        let account;
        let user = match &query.service_account {
            None => self.user,
            Some((namespace, name)) => {
                account = UserInfo {
                    username: format!("system:serviceaccount:{namespace}:{name}"),
                    groups: vec![
                        "system:serviceaccounts".to_owned(),
                        format!("system:serviceaccounts:{namespace}"),
                        "system:authenticated".to_owned(),
                    ],
                    ..UserInfo::default()
                };
                &account
            }
        };
        let info = RequestInfo {
            is_resource_request: query.path.is_none(),
            path: query.path.clone().unwrap_or_default(),
            verb: query.verb.clone(),
            api_group: query.group.clone(),
            api_version: "*".to_owned(),
            namespace: query.namespace.clone(),
            resource: query.resource.clone(),
            subresource: query.subresource.clone(),
            name: query.name.clone(),
            field_selector: query.field_selector.clone(),
        };
        match self.server.authorizer.authorize(user, &info) {
            authz::Decision::Allow(reason) => Decision { allowed: true, reason, ..Decision::default() },
            authz::Decision::Deny(reason) | authz::Decision::NoOpinion(reason) => {
                Decision { reason, ..Decision::default() }
            }
        }
    }
}

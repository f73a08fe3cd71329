//! The values that a policy's expressions see.

use std::fmt;
use std::sync::Arc;

use portcullis_cel::library::authz::{Authorize, Decision, Query};
use portcullis_machinery::{Value, object};
use serde_json::json;

use crate::admission::AdmissionAttributes;
use crate::context::{Context, RequestInfo, UserInfo};
use crate::server::ApiServer;

/// The values of one request.
pub struct Environment {
    /// `object`; null on a deletion.
    pub object: Value,
    /// `oldObject`; null on a creation.
    pub old_object: Value,
    /// `request`.
    pub request: Value,
    /// `namespaceObject`; null outside of namespaces.
    pub namespace_object: Value,
    /// `authorizer`.
    pub authorizer: Asker,
    /// What `authorizer.requestResource` asks about.
    pub request_resource: Query,
}

/// Asks the server's authorizer on behalf of the request's user.
pub struct Asker {
    server: Arc<ApiServer>,
    user: UserInfo,
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("user", &self.user.username).finish_non_exhaustive()
    }
}

impl Environment {
    /// The values of a request.
    pub fn new(server: &Arc<ApiServer>, cx: &Context, attributes: &AdmissionAttributes, object: &Value) -> Self {
        let named = |name: &crate::admission::GroupVersionName, what: &str| json!({"group": name.group, "version": name.version, what: name.name});
        let user = &attributes.user;
        let extra: serde_json::Map<String, Value> =
            user.extra.iter().map(|(key, values)| (key.clone(), values.clone().into())).collect();
        let request = json!({
            "uid": cx.request_id,
            "kind": named(&attributes.kind, "kind"), "requestKind": named(&attributes.kind, "kind"),
            "resource": named(&attributes.resource, "resource"), "requestResource": named(&attributes.resource, "resource"),
            "subResource": attributes.subresource, "requestSubResource": attributes.subresource,
            "name": attributes.name, "namespace": attributes.namespace, "operation": attributes.operation.as_str(),
            "userInfo": {"username": user.username, "uid": user.uid, "groups": user.groups, "extra": extra},
            "dryRun": attributes.dry_run, "options": attributes.options,
        });
        let request_resource = Query {
            group: attributes.resource.group.clone(),
            resource: attributes.resource.name.clone(),
            subresource: attributes.subresource.clone(),
            namespace: attributes.namespace.clone(),
            name: attributes.name.clone(),
            ..Query::default()
        };
        Self {
            object: object.clone(),
            old_object: attributes.old_object.as_deref().cloned().unwrap_or(Value::Null),
            request,
            namespace_object: attributes.namespace_object.as_deref().map_or(Value::Null, seen_of_namespace),
            authorizer: Asker { server: Arc::clone(server), user: user.clone() },
            request_resource,
        }
    }
}

/// Of a namespace, policies see what identifies and labels it.
fn seen_of_namespace(namespace: &Value) -> Value {
    let mut seen = namespace.clone();
    object::remove_at(&mut seen, &["metadata", "managedFields"]);
    object::remove_at(&mut seen, &["metadata", "ownerReferences"]);
    seen
}

impl Authorize for Asker {
    fn decide(&self, query: &Query) -> Decision {
        let user = match &query.service_account {
            None => self.user.clone(),
            Some((namespace, name)) => UserInfo {
                username: format!("system:serviceaccount:{namespace}:{name}"),
                groups: vec![
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{namespace}"),
                    "system:authenticated".to_owned(),
                ],
                ..UserInfo::default()
            },
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
            ..RequestInfo::default()
        };
        match self.server.authorizer.require(&user, &info) {
            Ok(()) => Decision { allowed: true, ..Decision::default() },
            Err(status) => Decision { reason: status.message, ..Decision::default() },
        }
    }
}

//! What is known about a request on its way through the nine steps.

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_storage::Tenant;

use crate::audit::{Level, Record};
use crate::explain::Explanation;

/// A caller, as authentication established it (`authentication.k8s.io` UserInfo).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The name that RBAC bindings name.
    pub username: String,
    /// A value that stays with the user over renames; may be empty.
    pub uid: String,
    /// The groups that the user is in, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Further attributes.
    pub extra: Vec<(String, Vec<String>)>,
}

/// What a request asks for, read from its method, path and query (the reference's `RequestInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether the path is one of an API resource (and not `/healthz`, `/version`, discovery, …).
    pub is_resource_request: bool,
    /// The whole path, without the query.
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the
    /// HTTP method in lower case.
    pub verb: String,
    /// Empty for the core group.
    pub api_group: String,
    /// `v1`.
    pub api_version: String,
    /// Empty for cluster-scoped resources and for lists over all namespaces. For `namespaces/x` it is `x`.
    pub namespace: String,
    /// The plural, `pods`.
    pub resource: String,
    /// `status`, `log`; empty for the object itself. The parts after it (`proxy/a/b`) are in `path`.
    pub subresource: String,
    /// Empty for collections (a list with the field selector `metadata.name=x` has the name `x`, as in the reference).
    pub name: String,
    /// The query's `fieldSelector` of a list, watch or deletecollection, decoded; the node authorizer reads it.
    pub field_selector: String,
}

/// One request under way.
#[derive(Debug)]
pub struct RequestContext {
    /// The logical control plane that the request is for.
    pub tenant: Tenant,
    /// Whether the request was made inside the server's process.
    pub in_process: bool,
    /// Who asks (after impersonation).
    pub user: UserInfo,
    /// What for.
    pub info: RequestInfo,
    /// A unique id, also sent as the `Audit-Id` header.
    pub request_id: String,
    /// What the answer's Warning headers will say.
    pub warnings: Mutex<Vec<String>>,
    /// What the audit log will say, if there is one.
    pub audit: Option<Arc<Record>>,
    /// What is to be explained of it, if somebody asked for that.
    pub explain: Option<Arc<Explanation>>,
}

impl RequestContext {
    /// What an explanation says of the request itself, for when the request is over.
    pub(crate) fn for_explanation(&self, user: &UserInfo) -> Self {
        Self {
            tenant: self.tenant.clone(),
            in_process: self.in_process,
            user: user.clone(),
            info: self.info.clone(),
            request_id: self.request_id.clone(),
            warnings: Mutex::default(),
            audit: None,
            explain: None,
        }
    }

    /// Adds a fact for the audit log; the first value of a key stays.
    pub fn annotate(&self, key: &str, value: &str) {
        if let Some(record) = &self.audit {
            record.annotate(key, value);
        }
    }

    /// Whether the audit log wants facts of that level.
    pub fn records(&self, level: Level) -> bool {
        self.audit.as_ref().is_some_and(|record| record.wants(level))
    }

    /// The same for a fact that is recorded only where the policy wants as much as `level`.
    pub fn annotate_at(&self, level: Level, key: &str, value: &str) {
        if let Some(record) = &self.audit {
            record.annotate_at(level, key, value);
        }
    }

    /// Adds a text for a Warning header; the same text is sent once.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}

/// A shared request context.
pub type Context = Arc<RequestContext>;

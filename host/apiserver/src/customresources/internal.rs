//! Requests of the server's own, which go through the generic handlers like anybody's.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{Status, Value};

use crate::context::{RequestContext, RequestInfo, UserInfo};
use crate::handlers::options::WriteOptions;
use crate::handlers::{Scope, update};
use crate::negotiation::Output;
use crate::server::ApiServer;

/// Who the server is when it writes by itself.
const USER: &str = "system:apiserver";

/// A scope over one object.
pub fn scope(
    server: &Arc<ApiServer>,
    definition: &Arc<ResourceDefinition>,
    sub: &str,
    namespace: &str,
    name: &str,
    verb: &str,
) -> Scope {
    let info = RequestInfo {
        is_resource_request: true,
        verb: verb.to_owned(),
        api_group: definition.group.clone(),
        api_version: definition.version.clone(),
        namespace: namespace.to_owned(),
        resource: definition.plural.clone(),
        subresource: sub.to_owned(),
        name: name.to_owned(),
        ..RequestInfo::default()
    };
    let groups = vec!["system:masters".to_owned(), "system:authenticated".to_owned()];
    let cx = RequestContext {
        tenant: server.tenant.clone(),
        in_process: true,
        user: UserInfo { username: USER.to_owned(), groups, ..UserInfo::default() },
        info,
        request_id: uuid::Uuid::new_v4().to_string(),
        warnings: parking_lot::Mutex::default(),
        audit: None,
        explain: None,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-apiserver"));
    Scope {
        server: Arc::clone(server),
        cx: Arc::new(cx),
        definition: Arc::clone(definition),
        subresource: definition.subresource(sub).cloned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        query: Vec::new(),
        headers,
        output: Output::default(),
        raw_data: None,
    }
}

/// Changes the status of a definition.
///
/// # Errors
/// As an update answers.
pub async fn change_status(
    server: &Arc<ApiServer>,
    definitions: &Arc<ResourceDefinition>,
    name: &str,
    change: update::Change,
) -> Result<Value, Status> {
    let scope = scope(server, definitions, "status", "", name, "update");
    let options = WriteOptions { field_manager: "kube-apiserver".to_owned(), ..WriteOptions::default() };
    update::apply(&scope, &update::Source::Change(change), &options).await.map(|(stored, _)| stored.into_value())
}

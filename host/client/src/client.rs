//! The verbs of the API over a [`Transport`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use portcullis_machinery::{Status, Value};

use crate::error::ClientError;
use crate::kubeconfig::ClientConfig;
use crate::object::ObjectExt;
use crate::resource::Resource;
use crate::transport::{ClientBody, HttpsTransport, Transport};
use crate::watch::WatchStream;

#[cfg(test)]
mod tests;

/// How long a call that is not a watch may take. The server's own limit for such requests is 60 seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(65);

/// The largest answer that is read into memory; a bigger one is a broken server.
const MAX_ANSWER: usize = 512 << 20;

/// A handle on the API with one identity. Clones are cheap and share the connection.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    user_agent: Arc<str>,
    field_manager: Option<Arc<str>>,
}

/// What a list call asks for.
#[derive(Clone, Debug, Default)]
pub struct ListParams {
    /// A label selector; empty selects all.
    pub label_selector: String,
    /// A field selector; empty selects all.
    pub field_selector: String,
    /// At most so many items; 0 for no limit.
    pub limit: u32,
    /// The token from the list before; empty for the first page.
    pub continue_token: String,
    /// Empty for the latest state, `0` for any state.
    pub resource_version: String,
    /// Ask for `PartialObjectMetadata` instead of whole objects.
    pub metadata_only: bool,
}

/// What a watch asks for.
#[derive(Clone, Debug, Default)]
pub struct WatchParams {
    /// A label selector; empty selects all.
    pub label_selector: String,
    /// A field selector; empty selects all.
    pub field_selector: String,
    /// Only changes after this version.
    pub resource_version: String,
    /// Ask for the present objects as `ADDED` events first, ended by a bookmark (streaming list).
    pub send_initial_events: bool,
    /// After how many seconds the server ends the watch; 0 for its default.
    pub timeout_seconds: u32,
    /// Ask for `PartialObjectMetadata` instead of whole objects.
    pub metadata_only: bool,
}

/// A list of objects.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// `metadata.resourceVersion`: a watch may start here.
    pub resource_version: String,
    /// `metadata.continue`: empty on the last page.
    pub continue_token: String,
    /// The objects, each with its `kind` and `apiVersion`.
    pub items: Vec<Value>,
}

/// The forms of a patch body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// The API's own merge, with list keys.
    Strategic,
    /// Server-side apply (with `force`).
    Apply,
}

impl PatchType {
    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without the owner reference.
    Orphan,
    /// They go after the owner.
    Background,
    /// They go before the owner.
    Foreground,
}

/// What a delete call asks for.
#[derive(Clone, Debug, Default)]
pub struct DeleteParams {
    /// Seconds that a pod gets to stop; the object's own if absent.
    pub grace_period_seconds: Option<i64>,
    /// Delete only the object with this uid.
    pub uid: Option<String>,
    /// Delete only this version of the object.
    pub resource_version: Option<String>,
    /// What becomes of the dependents; the resource's default if absent.
    pub propagation: Option<Propagation>,
}

impl DeleteParams {
    /// Delete the object with this uid and no other of its name.
    pub fn uid(uid: &str) -> Self {
        Self { uid: Some(uid.to_owned()), ..Self::default() }
    }

    fn body(&self) -> Value {
        let mut body = serde_json::Map::new();
        body.insert("kind".into(), "DeleteOptions".into());
        body.insert("apiVersion".into(), "v1".into());
        if let Some(seconds) = self.grace_period_seconds {
            body.insert("gracePeriodSeconds".into(), seconds.into());
        }
        let mut preconditions = serde_json::Map::new();
        if let Some(uid) = &self.uid {
            preconditions.insert("uid".into(), uid.clone().into());
        }
        if let Some(version) = &self.resource_version {
            preconditions.insert("resourceVersion".into(), version.clone().into());
        }
        if !preconditions.is_empty() {
            body.insert("preconditions".into(), Value::Object(preconditions));
        }
        if let Some(propagation) = self.propagation {
            body.insert("propagationPolicy".into(), format!("{propagation:?}").into());
        }
        Value::Object(body)
    }
}

const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.5";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.5";

/// Percent-encodes what may not stand in a path segment or a query value (RFC 3986, unreserved characters stay).
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => escaped.push(byte as char),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn with_query(path: String, pairs: &[(&str, &str)]) -> String {
    let mut url = path;
    let mut separator = '?';
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        url.push(separator);
        url.push_str(name);
        url.push('=');
        url.push_str(&escape(value));
        separator = '&';
    }
    url
}

impl Client {
    /// A client over a transport.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, user_agent: "portcullis".into(), field_manager: None }
    }

    /// A client as a kubeconfig file's current context says.
    pub fn from_kubeconfig(path: &std::path::Path) -> Result<Self, ClientError> {
        Ok(Self::new(Arc::new(HttpsTransport::new(&ClientConfig::from_kubeconfig(path)?)?)))
    }

    /// A client with a pod's mounted ServiceAccount token.
    pub fn in_cluster() -> Result<Self, ClientError> {
        Ok(Self::new(Arc::new(HttpsTransport::new(&ClientConfig::in_cluster()?)?)))
    }

    /// The same identity under another User-Agent. The part before the first `/` is the field manager of its writes
    /// unless one is set.
    pub fn with_user_agent(&self, user_agent: &str) -> Self {
        Self { user_agent: user_agent.into(), ..self.clone() }
    }

    /// The same identity, its writes owned by `manager` (`fieldManager` of the API).
    pub fn with_field_manager(&self, manager: &str) -> Self {
        Self { field_manager: Some(manager.into()), ..self.clone() }
    }

    fn manager(&self) -> &str {
        self.field_manager.as_deref().unwrap_or("")
    }

    /// Sends a request and hands back the answer as it streams. Answers with a code over 299 become errors.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Response<ClientBody>, ClientError> {
        let mut builder = Request::builder()
            .method(method)
            .uri(path)
            .header(header::USER_AGENT, &*self.user_agent)
            .header(header::ACCEPT, accept);
        if !content_type.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, content_type);
        }
        let request = builder.body(body).map_err(|error| ClientError::Decode(format!("{path}: {error}")))?;
        let response = self.transport.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u32>().ok());
        let bytes = collect(response, 1 << 20).await.unwrap_or_default();
        Err(ClientError::Api(Box::new(decode_status(code, retry_after, &bytes))))
    }

    /// One call with a whole answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let call = async { collect(self.request(method, path, content_type, accept, body).await?, MAX_ANSWER).await };
        tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .map_err(|_| ClientError::Transport(format!("no answer within {} seconds", CALL_TIMEOUT.as_secs())))?
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        accept: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let body = body.map_or_else(Bytes::new, |value| Bytes::from(value.to_string()));
        let bytes = self.call(method, path, content_type, accept, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Decode(format!("{path}: {error}")))
    }

    /// GETs any path and answers with the bytes: `/healthz`, a log, `/openapi/v3`.
    pub async fn get_raw(&self, path: &str, accept: &str) -> Result<Bytes, ClientError> {
        self.call(Method::GET, path, "", accept, Bytes::new()).await
    }

    /// GETs any path that answers with JSON.
    pub async fn get_path(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::GET, path, "", "application/json", None).await
    }

    /// An object.
    pub async fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Value, ClientError> {
        self.get_path(&resource.path(namespace, name, "")).await
    }

    /// An object's metadata (`PartialObjectMetadata`).
    pub async fn get_metadata(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Value, ClientError> {
        self.json(Method::GET, &resource.path(namespace, name, ""), "", METADATA, None).await
    }

    /// One page of a list; over all namespaces if `namespace` is empty.
    pub async fn list(&self, resource: &Resource, namespace: &str, params: &ListParams) -> Result<List, ClientError> {
        let limit = if params.limit == 0 { String::new() } else { params.limit.to_string() };
        let path = with_query(
            resource.path(namespace, "", ""),
            &[
                ("labelSelector", &params.label_selector),
                ("fieldSelector", &params.field_selector),
                ("limit", &limit),
                ("continue", &params.continue_token),
                ("resourceVersion", &params.resource_version),
            ],
        );
        let accept = if params.metadata_only { METADATA_LIST } else { "application/json" };
        let mut list = self.json(Method::GET, &path, "", accept, None).await?;
        let resource_version = list.resource_version().to_owned();
        let continue_token = list.str_at(&["metadata", "continue"]).to_owned();
        let mut items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err(ClientError::Decode(format!("{path}: items is no list"))),
        };
        // List items come without kind and apiVersion; handlers want objects that say what they are.
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            if !params.metadata_only {
                item.insert("kind".into(), resource.kind.clone().into());
                item.insert("apiVersion".into(), resource.api_version().into());
            }
        }
        Ok(List { resource_version, continue_token, items })
    }

    /// A whole list, fetched in pages. A continue token that expired on the way starts the list again without pages.
    pub async fn list_all(
        &self,
        resource: &Resource,
        namespace: &str,
        params: &ListParams,
    ) -> Result<List, ClientError> {
        let mut page = ListParams { limit: if params.limit == 0 { 500 } else { params.limit }, ..params.clone() };
        let mut items = Vec::new();
        loop {
            let list = match self.list(resource, namespace, &page).await {
                Err(error) if error.is_gone() && !page.continue_token.is_empty() => {
                    page = ListParams { limit: 0, continue_token: String::new(), ..params.clone() };
                    items.clear();
                    self.list(resource, namespace, &page).await?
                }
                other => other?,
            };
            items.extend(list.items);
            if list.continue_token.is_empty() {
                return Ok(List { resource_version: list.resource_version, continue_token: String::new(), items });
            }
            page.continue_token = list.continue_token;
            // A continued list reads at the first page's revision; giving one again is an error.
            page.resource_version.clear();
        }
    }

    /// Follows the changes of a collection; over all namespaces if `namespace` is empty.
    pub async fn watch(
        &self,
        resource: &Resource,
        namespace: &str,
        params: &WatchParams,
    ) -> Result<WatchStream, ClientError> {
        let timeout = if params.timeout_seconds == 0 { String::new() } else { params.timeout_seconds.to_string() };
        let initial = if params.send_initial_events { "true" } else { "" };
        let path = with_query(
            resource.path(namespace, "", ""),
            &[
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("labelSelector", &params.label_selector),
                ("fieldSelector", &params.field_selector),
                ("resourceVersion", &params.resource_version),
                ("sendInitialEvents", initial),
                ("resourceVersionMatch", if params.send_initial_events { "NotOlderThan" } else { "" }),
                ("timeoutSeconds", &timeout),
            ],
        );
        let accept = if params.metadata_only { METADATA } else { "application/json" };
        let open = self.request(Method::GET, &path, "", accept, Bytes::new());
        let response = tokio::time::timeout(CALL_TIMEOUT, open)
            .await
            .map_err(|_| ClientError::Transport("a watch was not opened in time".into()))??;
        Ok(WatchStream::new(response.into_body()))
    }

    /// Creates an object in a namespace (empty for cluster-scoped resources).
    pub async fn create(&self, resource: &Resource, namespace: &str, object: &Value) -> Result<Value, ClientError> {
        let path = with_query(resource.path(namespace, "", ""), &[("fieldManager", self.manager())]);
        self.json(Method::POST, &path, "application/json", "application/json", Some(object)).await
    }

    /// POSTs to a subresource: `binding`, `eviction`, `token`.
    pub async fn create_subresource(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        body: &Value,
    ) -> Result<Value, ClientError> {
        let path = with_query(resource.path(namespace, name, subresource), &[("fieldManager", self.manager())]);
        self.json(Method::POST, &path, "application/json", "application/json", Some(body)).await
    }

    /// Replaces an object; its own metadata says which.
    pub async fn update(&self, resource: &Resource, object: &Value) -> Result<Value, ClientError> {
        self.update_subresource(resource, "", object).await
    }

    /// Replaces an object's status.
    pub async fn update_status(&self, resource: &Resource, object: &Value) -> Result<Value, ClientError> {
        self.update_subresource(resource, "status", object).await
    }

    /// Replaces a subresource: `status`, `scale`, `finalize`.
    pub async fn update_subresource(
        &self,
        resource: &Resource,
        subresource: &str,
        object: &Value,
    ) -> Result<Value, ClientError> {
        let path = with_query(
            resource.path(object.namespace(), object.name(), subresource),
            &[("fieldManager", self.manager())],
        );
        self.json(Method::PUT, &path, "application/json", "application/json", Some(object)).await
    }

    /// Patches an object, or one of its subresources if `subresource` is not empty.
    pub async fn patch(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<Value, ClientError> {
        let force = if patch_type == PatchType::Apply { "true" } else { "" };
        let manager = match self.manager() {
            "" if patch_type == PatchType::Apply => self.user_agent.split('/').next().unwrap_or("portcullis"),
            manager => manager,
        };
        let path =
            with_query(resource.path(namespace, name, subresource), &[("fieldManager", manager), ("force", force)]);
        self.json(Method::PATCH, &path, patch_type.media_type(), "application/json", Some(patch)).await
    }

    /// Deletes an object. Answers with the object if it is still there (grace period, finalizers), or with a Status.
    pub async fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        params: &DeleteParams,
    ) -> Result<Value, ClientError> {
        let path = resource.path(namespace, name, "");
        self.json(Method::DELETE, &path, "application/json", "application/json", Some(&params.body())).await
    }

    /// Deletes all objects of a collection that match.
    pub async fn delete_collection(
        &self,
        resource: &Resource,
        namespace: &str,
        selection: &ListParams,
        params: &DeleteParams,
    ) -> Result<Value, ClientError> {
        let path = with_query(
            resource.path(namespace, "", ""),
            &[("labelSelector", &selection.label_selector), ("fieldSelector", &selection.field_selector)],
        );
        self.json(Method::DELETE, &path, "application/json", "application/json", Some(&params.body())).await
    }
}

async fn collect(response: Response<ClientBody>, limit: usize) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), limit);
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(match error.downcast::<ClientError>() {
            Ok(error) => *error,
            Err(error) => ClientError::Decode(error.to_string()),
        }),
    }
}

/// The Status in an answer's body; one of our own if there is none (a proxy's page, an empty body).
fn decode_status(code: u16, retry_after: Option<u32>, body: &[u8]) -> Status {
    let mut status =
        serde_json::from_slice::<Status>(body).ok().filter(|status| status.kind == "Status").unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&body[..body.len().min(1024)]);
            let reason = match code {
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "NotFound",
                409 => "Conflict",
                410 => "Gone",
                429 => "TooManyRequests",
                500 => "InternalError",
                503 => "ServiceUnavailable",
                504 => "Timeout",
                _ => "Unknown",
            };
            Status::failure(code, reason, text.trim())
        });
    status.code = code;
    if let Some(seconds) = retry_after {
        status.details.get_or_insert_default().retry_after_seconds = seconds;
    }
    status
}

//! Modules: content that was pushed to the cluster, named by its digest. The object is one of the generic engine; this
//! is its subresource `content`, the bytes themselves.
//!
//! `PUT …/modules/sha256-<hex>/content` takes any bytes whose digest is that of the name and makes the Module; `GET` gives
//! them back, checked. Both are authorized like any other request (`update` and `get` of `modules/content`; a push that
//! makes the Module also needs `create` of `modules`). A Module that a Plugin names or runs cannot be deleted.

pub mod content;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, HeaderValue};
use http::{Method, Response};
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::definition::plugins::{GROUP, VERSION};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};
use portcullis_policy::{Content, Digest};
use portcullis_storage::cache::CachedObject;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::context::RequestInfo;
use crate::handlers::options::{WriteKind, write_options};
use crate::handlers::scope::{cache_of, store_error};
use crate::handlers::transform::respond_object;
use crate::handlers::{Scope, body, get, write};
use crate::negotiation::{header, negotiate};
use crate::respond;
use crate::server::ApiServer;

/// The media type of a module.
const WASM: &str = "application/wasm";

/// Bounds on what pushes and pulls hold in memory: each holds one whole content.
#[derive(Debug)]
pub struct ModuleTransfers {
    pushes: Semaphore,
    pulls: Semaphore,
}

impl Default for ModuleTransfers {
    fn default() -> Self {
        Self { pushes: Semaphore::new(4), pulls: Semaphore::new(8) }
    }
}

/// The name of the Module with that content.
pub fn name_of(digest: &Digest) -> String {
    format!("sha256-{}", digest.to_hex())
}

/// The digest that a Module's name stands for; `None` if it is no such name.
pub fn digest_of(name: &str) -> Option<Digest> {
    let digest: Digest = name.replacen("sha256-", "sha256:", 1).parse().ok()?;
    (name_of(&digest) == name).then_some(digest)
}

/// Whether the request is for a Module's bytes.
pub fn is_content(definition: &ResourceDefinition, subresource: &str) -> bool {
    definition.group == GROUP && definition.plural == "modules" && subresource == "content"
}

/// Answers GET and PUT of `content`.
///
/// # Errors
/// 400 for content of another digest, 404, 413, 415, 422 for a name that is no digest; 500 for damaged content.
pub async fn content(scope: &mut Scope, method: &Method, body: Body) -> Result<Response<Body>, Status> {
    if *method == Method::GET {
        return pull(scope).await;
    }
    scope.output = negotiate(&scope.headers, &scope.query, false)?;
    push(scope, body).await
}

async fn pull(scope: &Scope) -> Result<Response<Body>, Status> {
    let _turn = scope.server.modules.pulls.acquire().await.map_err(Status::internal)?;
    let module = get::find(scope).await?.value();
    let stored = content::read(&*scope.server.store, &module).await.map_err(|error| store_error(&error))?;
    let bytes = stored.ok_or_else(|| damaged(&module))?;
    let mut response = respond::raw(200, WASM, bytes);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", scope.name)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

fn damaged(module: &Value) -> Status {
    Status::internal(format!("the content of module {:?} is damaged: push it again", object::name(module)))
}

async fn push(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let media = header(&scope.headers, "content-type").split(';').next().unwrap_or_default().trim().to_owned();
    if !matches!(media.as_str(), "" | WASM | "application/octet-stream") {
        return Err(Status::unsupported_media_type(&format!("{WASM}, application/octet-stream")));
    }
    let Some(digest) = digest_of(&scope.name) else {
        let value = Value::from(scope.name.as_str()).to_string();
        let detail = "must be sha256- and the 64 hexadecimal digits of the content's digest, in lower case";
        let cause = Cause::field(FieldErrorType::Invalid, "metadata.name", &value, detail);
        return Err(Status::invalid(GROUP, "Module", &scope.name, vec![cause]));
    };
    let options = write_options(&scope.query, WriteKind::Update)?;
    let limit = scope.server.config.max_module_bytes;
    let announced = scope.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Status::request_too_large(format!("Request entity too large: limit is {limit}")));
    }
    let existing = scope.cache().get(&scope.key(), None).await.map_err(|error| store_error(&error))?;
    if existing.is_none() {
        let info = RequestInfo { verb: "create".into(), subresource: String::new(), ..scope.cx.info.clone() };
        scope.server.authorizer.require(&scope.cx.user, &info)?;
    }
    let _turn = scope.server.modules.pushes.acquire().await.map_err(Status::internal)?;
    let bytes = body::read(request_body, limit).await?;
    if bytes.is_empty() {
        return Err(Status::bad_request("the body is empty: send the module's bytes"));
    }
    let (bytes, found) = content::digest_of(bytes).await;
    if found != digest {
        let message = format!("the content has the digest {found}, which is not the {digest} of the name");
        return Err(Status::bad_request(message));
    }
    match existing {
        Some(module) => {
            let module = module.value();
            if !options.dry_run {
                mend(scope, &module, &bytes).await?;
            }
            respond_object(scope, 200, &module)
        }
        None => {
            let (code, module) = make(scope, digest, bytes, &options).await?;
            respond_object(scope, code, &module)
        }
    }
}

/// Content that is there already is left alone; content that was damaged is written again.
async fn mend(scope: &Scope, module: &Value, bytes: &Bytes) -> Result<(), Status> {
    let store = &*scope.server.store;
    if content::read(store, module).await.map_err(|error| store_error(&error))?.is_some() {
        return Ok(());
    }
    let upload = object::str_at(module, &["spec", "upload"]).unwrap_or_default();
    content::write(store, upload, bytes).await.map_err(|error| store_error(&error))
}

async fn make(
    scope: &Scope,
    digest: Digest,
    bytes: Bytes,
    options: &crate::handlers::options::WriteOptions,
) -> Result<(u16, Value), Status> {
    let store = &*scope.server.store;
    let upload = uuid::Uuid::new_v4().to_string();
    let about = Content::of(&bytes);
    let mut status = json!({"form": about.form});
    if let Some(stage) = about.stage {
        status["stage"] = stage.as_str().into();
    }
    let grants: Vec<String> = about.grants.iter().map(|grant| grant.as_str().to_owned()).collect();
    for (field, list) in [("imports", about.imports), ("exports", about.exports), ("grants", grants)] {
        if !list.is_empty() {
            status[field] = list.into();
        }
    }
    let module = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Module",
        "metadata": {"name": scope.name},
        "spec": {"digest": digest.to_string(), "size": bytes.len(), "upload": upload},
        "status": status,
    });
    if !options.dry_run {
        content::write(store, &upload, &bytes).await.map_err(|error| store_error(&error))?;
    }
    let mut scope_of_new = scope.clone();
    scope_of_new.subresource = None;
    scope_of_new.name = String::new();
    let create_options = json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"});
    let made = write::create(&scope_of_new, module.clone(), options, create_options).await;
    if made.is_err() && !options.dry_run {
        content::release(store, &module).await;
    }
    match made {
        // Somebody else pushed the same content at the same time: that one serves.
        Err(status) if status.reason == "AlreadyExists" => {
            let found = scope.cache().get(&scope.key(), None).await.map_err(|error| store_error(&error))?;
            Ok((200, (*found.ok_or(status)?.value()).clone()))
        }
        other => other.map(|module| (201, module.into_value())),
    }
}

fn find(server: &ApiServer, plural: &str) -> Option<Arc<ResourceDefinition>> {
    server.registry.load().resource(GROUP, VERSION, plural).cloned()
}

/// Content for the server's own plugins: no authorization is asked, since a Plugin that names a digest is authority
/// enough to load it.
///
/// # Errors
/// A failure of the store, or damaged content.
pub async fn fetch(server: &ApiServer, digest: &Digest) -> Result<Option<Bytes>, Status> {
    let Some(definition) = find(server, "modules") else { return Ok(None) };
    let key = definition.key("", &name_of(digest));
    let found = cache_of(server, &definition).get(&key, None).await.map_err(|error| store_error(&error))?;
    let Some(module) = found.map(|module: Arc<CachedObject>| module.value()) else { return Ok(None) };
    let bytes = content::read(&*server.store, &module).await.map_err(|error| store_error(&error))?;
    bytes.map(Some).ok_or_else(|| damaged(&module))
}

/// Refuses the deletion of a Module that a Plugin names or runs.
///
/// # Errors
/// 409 that names the Plugin.
pub fn check_unused(scope: &Scope) -> Result<(), Status> {
    let (Some(digest), Some(plugins)) = (digest_of(&scope.name), find(&scope.server, "plugins")) else { return Ok(()) };
    let digest = digest.to_string();
    let snapshot = cache_of(&scope.server, &plugins).peek();
    let uses = |plugin: &Value| {
        [&["spec", "source", "digest"][..], &["status", "activeDigest"]]
            .iter()
            .any(|path| object::str_at(plugin, path) == Some(&digest))
    };
    let user = snapshot.objects.values().map(|plugin| plugin.value()).find(|plugin| uses(plugin));
    match user {
        None => Ok(()),
        Some(plugin) => {
            let why = format!("the Plugin {:?} uses it: change or delete that first", object::name(&plugin));
            Err(Status::conflict(GROUP, "modules", &scope.name, &why))
        }
    }
}

#[cfg(test)]
mod tests;

//! Where a Module's bytes are: in the cluster's store, cut into parts that every store takes, below a key of the upload
//! that brought them.
//!
//! An upload writes a record, then the parts, and only then the Module that names it; whoever sees the Module finds the
//! parts. A deletion takes the Module first. What a crash leaves between two of these steps belongs to an upload that no
//! Module names, which [`sweep`] takes away. Two uploads of the same content never share a key, so that no order of
//! pushes and deletions leaves a Module without its parts.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use portcullis_machinery::definition::plugins::{GROUP, VERSION};
use portcullis_machinery::{Value, object};
use portcullis_policy::Digest;
use portcullis_storage::{Expect, RangeRequest, Store, StoreError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::handlers::scope::cache_of;
use crate::server::ApiServer;

/// The size of a part: etcd takes requests of 1.5 MiB.
const PART: usize = 1 << 20;
/// How many parts are under way at once.
const PARALLEL: usize = 4;
/// An upload that no Module names after this long has been given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3600);
const SWEEP_EVERY: Duration = Duration::from_secs(600);

fn record_key(upload: &str) -> String {
    format!("/registry/{GROUP}/moduleuploads/{upload}")
}

fn part_key(upload: &str, part: usize) -> String {
    format!("/registry/{GROUP}/moduleparts/{upload}/{part:05}")
}

fn upload_of(module: &Value) -> &str {
    object::str_at(module, &["spec", "upload"]).unwrap_or_default()
}

fn size_of(module: &Value) -> usize {
    object::i64_at(module, &["spec", "size"]).and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
}

/// Stores content under an upload's name. Writing the same content again mends what is missing.
pub(super) async fn write(store: &dyn Store, upload: &str, bytes: &Bytes) -> Result<(), StoreError> {
    let record = json!({"at": object::rfc3339(Timestamp::now()), "parts": bytes.len().div_ceil(PART)});
    store.put(&record_key(upload), record.to_string().into(), Expect::Any, None).await?;
    let parts = (0..bytes.len().div_ceil(PART)).map(|part| {
        let piece = bytes.slice(part * PART..bytes.len().min((part + 1) * PART));
        async move { store.put(&part_key(upload, part), piece, Expect::Any, None).await.map(drop) }
    });
    stream::iter(parts).buffer_unordered(PARALLEL).try_collect().await
}

/// A Module's content; `None` if parts are missing, or are not what the digest says.
pub(super) async fn read(store: &dyn Store, module: &Value) -> Result<Option<Bytes>, StoreError> {
    let (upload, size) = (upload_of(module), size_of(module));
    let parts = (0..size.div_ceil(PART)).map(|part| async move { store.get(&part_key(upload, part), None).await });
    let mut parts = stream::iter(parts).buffered(PARALLEL);
    let mut bytes = BytesMut::with_capacity(size);
    while let Some((part, _)) = parts.try_next().await? {
        match part {
            Some(part) => bytes.extend_from_slice(&part.readable()?.value),
            None => break,
        }
    }
    let (bytes, digest) = digest_of(bytes.freeze()).await;
    let sound = object::str_at(module, &["spec", "digest"]) == Some(&digest.to_string());
    if !sound {
        tracing::error!(module = object::name(module), "stored content is not what its name says and is not used");
    }
    Ok(sound.then_some(bytes))
}

/// The digest of bytes; of megabytes, so that it is taken beside the threads that serve.
pub(super) async fn digest_of(bytes: Bytes) -> (Bytes, Digest) {
    let copy = bytes.clone();
    match tokio::task::spawn_blocking(move || Digest::of(&copy)).await {
        Ok(digest) => (bytes, digest),
        Err(_) => (Bytes::new(), Digest::of(b"")),
    }
}

/// Takes away what an upload stored, its record last.
pub(super) async fn remove(store: &dyn Store, upload: &str, parts: usize) -> Result<(), StoreError> {
    let gone = |result: Result<_, StoreError>| match result {
        Ok(_) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error),
    };
    for part in 0..parts {
        gone(store.delete(&part_key(upload, part), Expect::Any).await)?;
    }
    gone(store.delete(&record_key(upload), Expect::Any).await)
}

/// What follows the deletion of a Module.
pub async fn release(store: &dyn Store, module: &Value) {
    if let Err(error) = remove(store, upload_of(module), size_of(module).div_ceil(PART)).await {
        tracing::warn!(module = object::name(module), %error, "a deleted module's content is taken away later");
    }
}

/// Takes away, now and then until shutdown, what uploads left that were not finished.
pub async fn sweep(server: Arc<ApiServer>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = sweep_once(&server, Timestamp::now()).await {
            tracing::debug!(%error, "unfinished uploads could not be looked for");
        }
    }
}

pub(super) async fn sweep_once(server: &ApiServer, now: Timestamp) -> Result<(), StoreError> {
    let registry = server.registry.load_full();
    let Some(definition) = registry.resource(GROUP, VERSION, "modules") else { return Ok(()) };
    let records = server.store.range(RangeRequest::prefix(&record_key(""))).await?;
    let modules = cache_of(server, definition).snapshot(None).await?;
    let named: Vec<String> = modules.objects.values().map(|module| upload_of(&module.value()).to_owned()).collect();
    for kv in records.kvs.into_iter().filter(|kv| kv.unreadable.is_none()) {
        let record: Value = serde_json::from_slice(&kv.value).unwrap_or_default();
        let at = object::str_at(&record, &["at"]).and_then(|at| at.parse::<Timestamp>().ok()).unwrap_or_default();
        let upload = kv.key.rsplit('/').next().unwrap_or_default();
        let old = now.duration_since(at).unsigned_abs() > GIVEN_UP_AFTER;
        if old && !named.iter().any(|name| name == upload) {
            let parts = object::i64_at(&record, &["parts"]).and_then(|parts| usize::try_from(parts).ok());
            remove(&*server.store, upload, parts.unwrap_or(0)).await?;
        }
    }
    Ok(())
}

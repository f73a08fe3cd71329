//! GET of one object.

use axum::body::Body;
use http::Response;
use portcullis_machinery::Status;
use portcullis_machinery::codec::{Media, protobuf};
use portcullis_storage::StoreError;

use super::Scope;
use super::scope::{parse_version, store_error, too_large};
use super::transform::respond_object;
use crate::customresources::conversion;
use crate::negotiation::Transform;
use crate::request_info::first;
use crate::respond;

/// Answers with the object that the path names.
///
/// # Errors
/// 404, or a failure of the store.
pub async fn get(scope: &Scope) -> Result<Response<Body>, Status> {
    let object = conversion::form(scope, &find(scope).await?).await?;
    if scope.output.media == Media::Protobuf
        && scope.output.transform == Transform::None
        && let Some(message) = scope.message_of(&object)
    {
        let body = protobuf::envelope(&scope.definition.api_version(), &scope.definition.kind, &message);
        return Ok(respond::raw(200, scope.output.content_type(), body));
    }
    if scope.output.transform == Transform::None {
        return Ok(respond::compress(&scope.headers, 200, &scope.output, object.wire.bytes()));
    }
    respond_object(scope, 200, &object.value())
}

/// Reads the object that the path names from the cache, as fresh as `resourceVersion=` asks.
///
/// # Errors
/// 404, or a failure of the store.
pub async fn find(scope: &Scope) -> Result<std::sync::Arc<portcullis_storage::cache::CachedObject>, Status> {
    let version = first(&scope.query, "resourceVersion").unwrap_or("");
    let wanted = parse_version(version).map_err(|text| Status::failure(500, "", text))?;
    match scope.cache().get(&scope.key(), wanted).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(scope.not_found()),
        Err(StoreError::FutureRevision { current }) => Err(too_large(wanted.unwrap_or(0), current)),
        Err(error) => Err(store_error(&error)),
    }
}

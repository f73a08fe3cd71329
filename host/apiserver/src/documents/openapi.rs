//! OpenAPI documents: made when somebody first asks for them, and kept compressed for as long as what they describe is
//! served. Several forms of a document are made one after the other from the same parts, so that none of them is in memory
//! as a whole but in its compressed form.

mod made;

use std::io::Read as _;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, EXPIRES, HeaderValue, LOCATION, VARY};
use http::{HeaderMap, Request, Response};
use portcullis_machinery::Status;

use crate::aggregation::proxy::proxy;
use crate::context::Context;
use crate::negotiation::{ACCEPTS_ANYTHING, Output, header, media_ranges};
use crate::request_info::first;
use crate::respond;
use crate::server::ApiServer;

pub use made::OpenApi;
use made::{Documents, Form};

/// The content type of the second version's protobuf form.
const PROTOBUF_V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The first form that the client takes.
fn form(headers: &HeaderMap) -> Option<Form> {
    let accept = header(headers, "accept");
    let ranges = media_ranges(if accept.is_empty() { ACCEPTS_ANYTHING } else { accept });
    ranges.into_iter().find_map(|range| match range.as_str() {
        "*/*" | "application/*" | "application/json" => Some(Form::Json),
        PROTOBUF_V2 | "application/com.github.proto-openapi.spec.v2@v1.0+protobuf" => Some(Form::Protobuf),
        _ => None,
    })
}

/// Answers `/openapi/v2` and `/openapi/v3`, and what is below that.
pub async fn serve(
    server: &Arc<ApiServer>,
    cx: &Context,
    version: &str,
    path: &str,
    query: &[(String, String)],
    request: Request<Body>,
) -> Response<Body> {
    let documents = server.open_api.of(server.registry.load_full(), server.aggregation.services());
    let headers = request.headers();
    let answer = match (version, path) {
        ("v2", "") => everything(documents, headers).await,
        ("v3", "") => Ok(index(&documents, headers)),
        ("v3", path) => match documents.services.of_path(&format!("/{path}")) {
            Some(service) => return proxy(server, service, cx, request).await,
            None => one(documents, path, query, headers).await,
        },
        _ => return respond::page_not_found(),
    };
    answer.unwrap_or_else(|status| respond::status(&Output::default(), &status))
}

async fn made(make: impl FnOnce() -> Option<Bytes> + Send + 'static) -> Result<Option<Bytes>, Status> {
    tokio::task::spawn_blocking(make).await.map_err(Status::internal)
}

fn index(documents: &Documents, headers: &HeaderMap) -> Response<Body> {
    let index = documents.index();
    super::tagged(headers, &portcullis_machinery::discovery::etag(&index), || {
        respond::raw(200, "text/plain; charset=utf-8", index.to_string())
    })
}

async fn everything(documents: Arc<Documents>, headers: &HeaderMap) -> Result<Response<Body>, Status> {
    let Some(form) = form(headers) else {
        return Ok(nothing(406));
    };
    let content_type = if form == Form::Json { "application/json" } else { PROTOBUF_V2 };
    let tag = format!("\"{}\"", documents.tag);
    let mut response = if super::has_tag(headers, &tag) {
        super::tagged(headers, &tag, Response::default)
    } else {
        let bytes = made(move || Some(documents.everything(form))).await?.unwrap_or_default();
        super::tagged(headers, &tag, || unpacked(headers, content_type, bytes))
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    Ok(response)
}

async fn one(
    documents: Arc<Documents>,
    path: &str,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<Response<Body>, Status> {
    let Some((hash, _)) = documents.versions.get(path) else { return Ok(nothing(404)) };
    let (tag, asked) = (format!("\"{hash}\""), first(query, "hash").unwrap_or_default().to_owned());
    if !asked.is_empty() && asked != *hash {
        // The client knows an older index.
        let mut response = respond::raw(301, "text/html; charset=utf-8", Body::empty());
        let location = HeaderValue::from_str(&format!("/openapi/v3/{path}?hash={hash}")).map_err(Status::internal)?;
        response.headers_mut().insert(LOCATION, location);
        return Ok(response);
    }
    let mut response = if super::has_tag(headers, &tag) {
        super::tagged(headers, &tag, Response::default)
    } else {
        let (documents, path) = (Arc::clone(&documents), path.to_owned());
        match made(move || documents.version(&path)).await? {
            Some(bytes) => super::tagged(headers, &tag, || unpacked(headers, "application/json", bytes)),
            None => return Ok(nothing(404)),
        }
    };
    let answer = response.headers_mut();
    answer.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if !asked.is_empty() {
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        let year = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(365 * 24);
        if let Ok(expires) = HeaderValue::from_str(&year.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
            answer.insert(EXPIRES, expires);
        }
    }
    Ok(response)
}

/// An answer with a compressed document, as the client takes it.
fn unpacked(headers: &HeaderMap, content_type: &'static str, bytes: Bytes) -> Response<Body> {
    if respond::takes_gzip(headers) {
        let mut response = respond::raw(200, content_type, bytes);
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return response;
    }
    let mut plain = Vec::with_capacity(bytes.len() * 8);
    match GzDecoder::new(&bytes[..]).read_to_end(&mut plain) {
        Ok(_) => respond::raw(200, content_type, plain),
        Err(error) => respond::status(&Output::default(), &Status::internal(error)),
    }
}

/// 404 without a body.
fn nothing(code: u16) -> Response<Body> {
    let mut response = respond::raw(code, "text/plain", Body::empty());
    response.headers_mut().remove(http::header::CONTENT_TYPE);
    response
}

#[cfg(test)]
mod tests;

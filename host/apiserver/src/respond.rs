//! Answers: bytes, objects and Statuses in the form that was negotiated.

use std::io::Write as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use http::{HeaderMap, Response, StatusCode};
use portcullis_machinery::codec::{Media, protobuf};
use portcullis_machinery::{Status, Value, codec};

use crate::negotiation::{Output, header};
use crate::yaml::to_yaml;

/// From this size on, answers are compressed for clients that take gzip (the reference's threshold).
const GZIP_FROM: usize = 128 * 1024;

/// An answer with a body of the given type.
pub fn raw(code: u16, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer whose body is JSON text already.
pub fn json_bytes(code: u16, output: &Output, bytes: Bytes) -> Response<Body> {
    match output.media {
        Media::Json if output.pretty => raw(code, "application/json", indent(&bytes)),
        Media::Json => raw(code, "application/json", bytes),
        Media::Protobuf => match serde_json::from_slice::<Value>(&bytes).ok().and_then(|v| protobuf::encode(&v)) {
            Some(message) => raw(code, output.content_type(), message),
            None => raw(code, "application/json", bytes),
        },
        Media::Yaml => match serde_json::from_slice::<Value>(&bytes) {
            Ok(value) => raw(code, "application/yaml", to_yaml(&value)),
            Err(_) => raw(code, "application/json", bytes),
        },
    }
}

/// An answer with an object or another document.
pub fn value(code: u16, output: &Output, value: &Value) -> Response<Body> {
    match output.media {
        Media::Yaml => raw(code, "application/yaml", to_yaml(value)),
        Media::Protobuf => match protobuf::encode(value) {
            Some(message) => raw(code, output.content_type(), message),
            None => raw(code, "application/json", codec::encode(value)),
        },
        Media::Json => json_bytes(code, output, codec::encode(value)),
    }
}

/// A Status, with the `Retry-After` header that its details ask for.
pub fn status(output: &Output, status: &Status) -> Response<Body> {
    let code = if status.code == 0 { 200 } else { status.code };
    let mut response = match output.media {
        Media::Yaml => value(code, output, &serde_json::to_value(status).unwrap_or_default()),
        Media::Json | Media::Protobuf => json_bytes(code, output, Bytes::from(status.to_json())),
    };
    let retry = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if retry > 0 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry));
    }
    response
}

/// A Status that says of a success which code it was.
pub fn status_with(code: u16, output: &Output, status: &Status) -> Response<Body> {
    value(code, output, &serde_json::to_value(status).unwrap_or_default())
}

/// What the reference answers to paths that it does not serve at all.
pub fn page_not_found() -> Response<Body> {
    let mut response = raw(404, "text/plain; charset=utf-8", "404 page not found\n");
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Whether the client takes gzip.
pub fn takes_gzip(request_headers: &HeaderMap) -> bool {
    header(request_headers, "accept-encoding").split(',').any(|encoding| {
        let encoding = encoding.trim();
        encoding == "gzip" || encoding.starts_with("gzip;")
    })
}

/// Compresses a large body if the client takes gzip. Only for answers whose body is at hand.
pub fn compress(request_headers: &HeaderMap, code: u16, output: &Output, bytes: Bytes) -> Response<Body> {
    if bytes.len() < GZIP_FROM || !takes_gzip(request_headers) || output.pretty || output.media != Media::Json {
        return json_bytes(code, output, bytes);
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    let compressed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    let Ok(compressed) = compressed else { return json_bytes(code, output, bytes) };
    let mut response = raw(code, "application/json", compressed);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// Indents JSON text by two spaces, in the order it is in.
pub fn indent(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let newline = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 2));
    };
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        if in_string {
            out.push(byte);
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            b'{' | b'[' => {
                out.push(byte);
                let close = if byte == b'{' { b'}' } else { b']' };
                if json.get(at) == Some(&close) {
                    out.push(close);
                    at += 1;
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                newline(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b' ' | b'\n' | b'\t' | b'\r' => {}
            other => out.push(other),
        }
    }
    out.push(b'\n');
    out
}

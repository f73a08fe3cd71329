//! A list as bytes, from the objects' own bytes.
//!
//! A large one is not put together before it is sent: its pieces are made while the client takes them, so that a list of
//! everything costs no more memory than a piece, however many clients ask for it at once. What is sent is the state that
//! was taken for it, whatever happens to the objects meanwhile.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Response;
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use portcullis_machinery::Value;
use portcullis_machinery::codec::Media;
use portcullis_storage::cache::CachedObject;

use crate::handlers::Scope;
use crate::respond;

/// From this size on a list is sent in pieces.
const WHOLE: usize = 1 << 20;
/// About how large a piece is: small enough to stay in the processor's cache on its way through encryption.
const PIECE: usize = 128 << 10;

/// Puts a list together.
struct Pieces {
    objects: Vec<Arc<CachedObject>>,
    head: String,
    /// Items of custom resources keep kind and apiVersion, those of built-in ones have none, as in the reference.
    bare: bool,
    next: usize,
    ended: bool,
    /// What the pieces are cut from. Once a client has taken one, its memory becomes the next one's, while it is still in
    /// the processor's cache.
    buffer: BytesMut,
}

impl Pieces {
    fn new(scope: &Scope, objects: Vec<Arc<CachedObject>>, metadata: &Value) -> Self {
        let (kind, version) = (&scope.definition.list_kind, scope.definition.api_version());
        let head = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[");
        Self { objects, head, bare: scope.definition.builtin, next: 0, ended: false, buffer: BytesMut::new() }
    }

    /// About how long the whole list is; not less than it is.
    fn length(&self) -> usize {
        self.head.len() + 2 + self.objects.iter().map(|object| object.wire.len() + 2).sum::<usize>()
    }

    /// The next part, of at least `size` bytes if there are so many; `None` after the last.
    fn part(&mut self, size: usize) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        // The last object may go beyond the size.
        self.buffer.reserve(size + size / 8);
        let out = &mut self.buffer;
        if self.next == 0 {
            out.put_slice(self.head.as_bytes());
        }
        while let Some(object) = self.objects.get(self.next) {
            if out.len() >= size {
                return Some(out.split().freeze());
            }
            if self.next > 0 {
                out.put_u8(b',');
            }
            if self.bare {
                object.wire.write_item(out);
            } else {
                object.wire.write(out);
            }
            self.next += 1;
        }
        out.put_slice(b"]}");
        self.ended = true;
        Some(out.split().freeze())
    }
}

/// Compresses what passes through.
struct Packer(Option<GzEncoder<Vec<u8>>>);

impl Packer {
    /// What there is to send after this part (`None`: after the last one).
    fn pack(&mut self, part: Option<&Bytes>) -> std::io::Result<Bytes> {
        let Some(part) = part else {
            return self.0.take().map_or(Ok(Bytes::new()), |encoder| encoder.finish().map(Bytes::from));
        };
        let Some(encoder) = &mut self.0 else { return Ok(Bytes::new()) };
        encoder.write_all(part)?;
        Ok(std::mem::take(encoder.get_mut()).into())
    }
}

/// Answers with a list of these objects.
pub fn respond(scope: &Scope, objects: Vec<Arc<CachedObject>>, metadata: &Value) -> Response<Body> {
    let output = &scope.output;
    let mut pieces = Pieces::new(scope, objects, metadata);
    let length = pieces.length();
    if length < WHOLE || output.media != Media::Json || output.pretty {
        let whole = pieces.part(length).unwrap_or_default();
        return respond::compress(&scope.headers, 200, output, whole);
    }
    if !respond::takes_gzip(&scope.headers) {
        let parts = futures::stream::iter(std::iter::from_fn(move || pieces.part(PIECE).map(Ok::<_, Infallible>)));
        return respond::raw(200, "application/json", Body::from_stream(parts));
    }
    let mut packer = Packer(Some(GzEncoder::new(Vec::new(), Compression::fast())));
    let mut ended = false;
    let parts = std::iter::from_fn(move || {
        while !ended {
            let part = pieces.part(PIECE);
            ended = part.is_none();
            // A part that fills no block of the compressor gives nothing yet.
            match packer.pack(part.as_ref()) {
                Ok(bytes) if bytes.is_empty() => {}
                other => return Some(other),
            }
        }
        None
    });
    let mut response = respond::raw(200, "application/json", Body::from_stream(futures::stream::iter(parts)));
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

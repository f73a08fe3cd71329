//! What of a request's body nobody has read when it is answered.
//!
//! A request can be answered before its body has come: it is too large, its user may not do this, its media type is not
//! read. A client of HTTP/1.1 that is still sending then must be able to finish, else it finds the connection closed under
//! it and never reads why. The rest is read and thrown away, up to a limit in bytes and time, as servers of the reference
//! do (Go's `net/http` up to 256 KiB). In HTTP/2 a stream is ended without harm to the answer, so that nothing is to be
//! done there.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// The most that is thrown away of one body: some times the largest object that is read.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The longest that a client may take to send it.
const LONGEST: Duration = Duration::from_secs(5);

/// A body whose rest is read when it is dropped.
pub(super) struct Unread {
    body: Option<Incoming>,
}

impl Unread {
    /// Makes a body for the handlers of a request's own one.
    pub(super) fn wrap(request: http::Request<Incoming>) -> http::Request<axum::body::Body> {
        // Who waits to be asked for the body is not asked, and sends none.
        let asks = request.headers().contains_key(http::header::EXPECT);
        let old = request.version() <= http::Version::HTTP_11;
        if !old || asks || request.body().is_end_stream() {
            return request.map(axum::body::Body::new);
        }
        request.map(|body| axum::body::Body::new(Self { body: Some(body) }))
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream())
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(LONGEST, discard(body)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST_BYTES {
            return;
        }
    }
}

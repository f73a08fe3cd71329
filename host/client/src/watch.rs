//! The stream of a watch.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use futures::Stream;
use http_body::Body;
use portcullis_machinery::{Status, Value};

use crate::error::ClientError;
use crate::object::ObjectExt;
use crate::transport::ClientBody;

#[cfg(test)]
mod tests;

/// One change of a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// The object is new to the collection.
    Added(Value),
    /// The object changed.
    Modified(Value),
    /// The object left the collection; this is its last state.
    Deleted(Value),
    /// Nothing changed up to this version.
    Bookmark {
        /// Where a watch may resume.
        resource_version: String,
        /// Whether this ends the initial events of a streaming list.
        initial_events_end: bool,
    },
    /// The server ends the watch, and says why.
    Error(Status),
}

/// The events of one watch. Ends when the server ends the watch; an `Err` is a broken connection.
pub struct WatchStream {
    body: ClientBody,
    buffer: BytesMut,
    /// How much of the buffer is known to have no line end.
    scanned: usize,
    ended: bool,
}

impl WatchStream {
    /// Reads events, one JSON document a line, from a body.
    pub fn new(body: ClientBody) -> Self {
        Self { body, buffer: BytesMut::new(), scanned: 0, ended: false }
    }

    fn take_line(&mut self) -> Option<BytesMut> {
        loop {
            let found = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n');
            let Some(offset) = found else {
                self.scanned = self.buffer.len();
                return None;
            };
            let line = self.buffer.split_to(self.scanned + offset);
            self.buffer.advance(1);
            self.scanned = 0;
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(line);
            }
        }
    }
}

fn decode(line: &[u8]) -> Result<WatchEvent, ClientError> {
    let mut event: Value =
        serde_json::from_slice(line).map_err(|error| ClientError::Decode(format!("watch event: {error}")))?;
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    match event.str_at(&["type"]) {
        "ADDED" => Ok(WatchEvent::Added(object)),
        "MODIFIED" => Ok(WatchEvent::Modified(object)),
        "DELETED" => Ok(WatchEvent::Deleted(object)),
        "BOOKMARK" => Ok(WatchEvent::Bookmark {
            resource_version: object.resource_version().to_owned(),
            initial_events_end: object.annotation("k8s.io/initial-events-end") == Some("true"),
        }),
        "ERROR" => serde_json::from_value(object)
            .map(WatchEvent::Error)
            .map_err(|error| ClientError::Decode(format!("watch error event: {error}"))),
        other => Err(ClientError::Decode(format!("watch event of unknown type {other:?}"))),
    }
}

impl Stream for WatchStream {
    type Item = Result<WatchEvent, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(line) = this.take_line() {
                return Poll::Ready(Some(decode(&line)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    this.ended = true;
                    // A last document may come without a line end.
                    if !this.buffer.is_empty() {
                        this.buffer.extend_from_slice(b"\n");
                    }
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        this.buffer.extend_from_slice(&data);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    this.ended = true;
                    // What came of a line before the break is no event.
                    this.buffer.clear();
                    this.scanned = 0;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

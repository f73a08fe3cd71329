//! Recent admission requests, kept so that a new version of a policy can be asked about them before it is applied
//! (`portcullis plugin replay`).
//!
//! Nothing is kept unless the server is told how much memory that may take. What is kept are the documents that
//! components saw, as JSON, so that the bound is exact: mutators' before they changed anything, validators' as the object
//! would have been stored. Secrets are never kept. Whoever may read the path sees what everybody wrote: it is for
//! administrators, and RBAC's `nonResourceURLs` decide.

use std::collections::VecDeque;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response};
use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_machinery::{Status, Value, object};
use serde_json::json;

use crate::admission::AdmissionAttributes;
use crate::negotiation::Output;
use crate::server::ApiServer;
use crate::{request_info, respond};

/// Where they are read.
pub const PATH: &str = "/portcullis/admission-requests";
/// A JSON object a line.
const LINES: &str = "application/x-ndjson";

/// One request at one step.
struct Entry {
    at: Timestamp,
    line: Bytes,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// The recent requests, the oldest of which go when there are too many.
pub struct Recorder {
    most: usize,
    ring: Mutex<Ring>,
}

impl Recorder {
    /// A recorder that holds so many bytes; none if that is nothing.
    pub fn new(most: usize) -> Option<Self> {
        (most > 0).then(|| Self { most, ring: Mutex::default() })
    }

    /// Keeps a request as components see it: `step` is `mutate` or `validate`.
    pub fn record(&self, step: &str, attributes: &AdmissionAttributes, object: &Value, request: &Value) {
        if attributes.resource.name == "secrets" && attributes.resource.group.is_empty() {
            return;
        }
        let at = Timestamp::now();
        let mut document = json!({"request": request});
        let (old, namespace) = (attributes.old_object.as_deref(), attributes.namespace_object.as_deref());
        let object = (!object.is_null()).then_some(object);
        for (member, value) in [("object", object), ("oldObject", old), ("namespaceObject", namespace)] {
            if let Some(value) = value {
                document[member] = value.clone();
            }
        }
        let line = json!({"time": object::rfc3339_micro(at), "step": step, "document": document});
        self.keep(Entry { at, line: Bytes::from(format!("{line}\n")) });
    }

    fn keep(&self, entry: Entry) {
        let mut ring = self.ring.lock();
        ring.bytes += entry.line.len();
        ring.entries.push_back(entry);
        while ring.bytes > self.most
            && let Some(oldest) = ring.entries.pop_front()
        {
            ring.bytes -= oldest.line.len();
        }
    }

    /// Those since a time, the oldest first.
    fn since(&self, time: Timestamp) -> Vec<Bytes> {
        self.ring.lock().entries.iter().filter(|entry| entry.at >= time).map(|entry| entry.line.clone()).collect()
    }
}

/// Answers a read of them; `since` in the query is a number of seconds. Authorization has been asked already.
pub(crate) fn respond(server: &ApiServer, method: &Method, query: &str, output: &Output) -> Response<Body> {
    if *method != Method::GET {
        return respond::status(output, &Status::method_not_allowed());
    }
    let Some(recorder) = server.admission.recorder() else {
        let message = "admission requests are not kept: start the server with --plugin-replay-bytes";
        return respond::status(output, &Status::failure(404, "NotFound", message));
    };
    let pairs = request_info::query_pairs(query);
    let seconds = match request_info::first(&pairs, "since").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => return respond::status(output, &Status::bad_request("since must be a number of seconds")),
    };
    let from =
        seconds.map_or(Timestamp::MIN, |seconds| Timestamp::now() - std::time::Duration::from_secs(seconds.into()));
    let lines = recorder.since(from).into_iter().map(Ok::<_, std::convert::Infallible>);
    respond::raw(200, LINES, Body::from_stream(futures::stream::iter(lines)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let recorder = Recorder::new(100).expect("a recorder");
        let entry = |second: i64, length: usize| Entry {
            at: Timestamp::from_second(second).expect("a time"),
            line: Bytes::from(vec![b'x'; length]),
        };
        let kept = |since: i64| -> Vec<usize> {
            recorder.since(Timestamp::from_second(since).expect("a time")).iter().map(Bytes::len).collect()
        };
        (1..=4).for_each(|second| recorder.keep(entry(second, 20 + usize::try_from(second).expect("small"))));
        assert_eq!(kept(0), [21, 22, 23, 24]);
        assert_eq!(kept(3), [23, 24]);
        recorder.keep(entry(5, 60));
        assert_eq!(kept(0), [24, 60]);
        recorder.keep(entry(6, 1000));
        assert!(kept(0).is_empty(), "what is larger than all that may be kept is not kept");
        assert!(Recorder::new(0).is_none());
    }
}

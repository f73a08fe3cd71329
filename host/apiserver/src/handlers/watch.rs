//! WATCH: a stream of JSON frames, one for each event, made of the objects' shared bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::Response;
use portcullis_machinery::codec::{Media, protobuf};
use portcullis_machinery::{Status, Value, codec};
use portcullis_storage::StoreError;
use portcullis_storage::cache::{CacheEvent, EventKind, Filter, WatchItem, WatchRequest, WatchStart, Watcher};
use rand::Rng as _;
use serde_json::json;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Scope;
use super::list::{namespace_of, selects};
use super::options::ListOptions;
use super::scope::{FRESH_WITHIN, parse_version, store_error, too_large};
use super::transform::{Include, include, partial, table};
use crate::customresources::conversion;
use crate::flow::WatchPlace;
use crate::negotiation::{Transform, check_stream};
use crate::respond;

/// How often a watch that reads bookmarks gets one. The reference sends about one a minute.
const BOOKMARK_EVERY: Duration = Duration::from_secs(55);
/// How long before its end a watch gets its last one.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// Starts a watch and answers with its stream. `name` narrows it to one object (`/watch/…/<name>`).
///
/// # Errors
/// 400, 406, 422 or 500 for what the reference refuses before it starts to stream.
pub async fn watch(scope: &Scope, name: &str) -> Result<Response<Body>, Status> {
    let options = ListOptions::read(&scope.query, &scope.definition, true)?;
    if let Some(selected) = options.fields.required("metadata.name")
        && !name.is_empty()
        && selected != name
    {
        return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
    }
    let version = parse_version(&options.resource_version).map_err(|text| Status::failure(500, "", text))?.unwrap_or(0);
    check_stream(&scope.output)?;
    let place = scope.server.flow.watch(&scope.cx.user)?;
    let included = include(scope)?;
    let cache = scope.cache();
    let start = match options.initial_events {
        Some(true) => WatchStart::Initial,
        Some(false) if version == 0 => WatchStart::Now,
        _ => WatchStart::Revision(version),
    };
    let timeout = options.timeout.filter(|seconds| *seconds > 0).map_or_else(
        || scope.server.config.min_request_timeout.mul_f64(1.0 + rand::rng().random::<f64>()),
        |seconds| Duration::from_secs(seconds.unsigned_abs()),
    );
    let deadline = Instant::now() + timeout;
    let mut failure = None;
    if start == WatchStart::Initial && version > 0 && scope.server.hub.wait_for(version, FRESH_WITHIN).await.is_err() {
        failure = Some(too_large(version, scope.server.hub.revision()));
    }
    let prefix = scope.definition.key_prefix(namespace_of(scope, &options));
    let selected = if name.is_empty() { options.fields.required("metadata.name") } else { Some(name) };
    // Where an object's form has other labels and fields than what is stored, selectors are asked of the form.
    let by_form = conversion::selects_forms(&scope.definition) && !options.selects_by_name();
    let indexed: &[&str] = if by_form { &["metadata.name"] } else { &["spec.nodeName", "metadata.name"] };
    let index = indexed
        .iter()
        .find_map(|field| Some(((*field).to_owned(), options.fields.required(field)?.to_owned())))
        .or_else(|| selected.map(|name| ("metadata.name".to_owned(), name.to_owned())));
    let selection = filter(&options, name);
    let filter = if by_form { None } else { selection.clone() };
    let watcher = match cache.watch(WatchRequest { prefix, start, filter, index }).await {
        // What runs in this process ends by itself; everybody else is to resume the watch at another server.
        Ok(watcher) if failure.is_none() => Some(if scope.cx.in_process { watcher } else { watcher.ending_with_hub() }),
        Ok(_) => None,
        Err(StoreError::Compacted { compact_revision }) => {
            failure = Some(too_old(version, compact_revision));
            None
        }
        Err(error) => return Err(store_error(&error)),
    };
    let stream = Frames {
        scope: scope.clone(),
        explicit_initial: scope.query.iter().any(|(key, _)| key == "sendInitialEvents"),
        bookmarks: options.bookmarks,
        included,
        columns: true,
        selection: selection.filter(|_| by_form),
    };
    let next_bookmark = next_bookmark(Instant::now(), deadline);
    let timer = Box::pin(sleep_until(next_bookmark.min(deadline)));
    let state = State { frames: stream, watcher, failure, deadline, next_bookmark, timer, _place: place };
    let frames = futures::stream::unfold(state, State::next);
    Ok(respond::raw(200, scope.output.stream_type(), Body::from_stream(frames)))
}

fn filter(options: &ListOptions, name: &str) -> Option<Filter> {
    if options.selects_everything() && name.is_empty() {
        return None;
    }
    let (options, name) = (options.clone(), name.to_owned());
    Some(Arc::new(move |object| (name.is_empty() || *object.name == *name) && selects(&options, object)))
}

/// An event as selectors make it look: what comes to match was added, what no longer matches was deleted.
fn selected(event: CacheEvent, wanted: &Filter) -> Option<CacheEvent> {
    let before = event.prev.as_deref().is_some_and(|prev| wanted(prev));
    let now = event.kind != EventKind::Deleted && wanted(&event.object);
    match (before, now) {
        (false, false) => None,
        (false, true) => Some(CacheEvent { kind: EventKind::Added, ..event }),
        (true, true) => Some(CacheEvent { kind: EventKind::Modified, ..event }),
        (true, false) if event.kind == EventKind::Deleted => Some(event),
        (true, false) => {
            let object = Arc::new(event.prev.as_ref()?.deleted_at(event.revision));
            Some(CacheEvent { kind: EventKind::Deleted, object, ..event })
        }
    }
}

fn too_old(wanted: u64, oldest: u64) -> Status {
    Status::expired(format!("too old resource version: {wanted} ({oldest})"))
}

/// A bookmark is due about once a minute, and shortly before the watch ends: what resumes it then has little to catch up.
fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let (regular, last) = (now + BOOKMARK_EVERY, deadline.checked_sub(BOOKMARK_BEFORE_END).unwrap_or(deadline));
    if last > now { regular.min(last) } else { deadline + BOOKMARK_EVERY }
}

/// A watch under way.
struct State {
    frames: Frames,
    watcher: Option<Watcher>,
    failure: Option<Status>,
    deadline: Instant,
    next_bookmark: Instant,
    /// Given up when the watch ends.
    _place: Option<WatchPlace>,
    /// Ends at the earlier of the two. It is kept from one event to the next: setting one costs more than asking it.
    timer: Pin<Box<Sleep>>,
}

impl State {
    /// The next bytes for the client: all frames that are ready, in one piece.
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if let Some(failure) = self.failure.take() {
            return Some((Ok(self.frames.failure(&failure)), self));
        }
        loop {
            let watcher = self.watcher.as_mut()?;
            let item = tokio::select! {
                item = watcher.next() => item,
                () = self.timer.as_mut() => {
                    if Instant::now() >= self.deadline {
                        return None;
                    }
                    self.next_bookmark = next_bookmark(Instant::now(), self.deadline);
                    self.timer.as_mut().reset(self.next_bookmark.min(self.deadline));
                    let revision = watcher.bookmark().filter(|_| self.frames.bookmarks);
                    match revision {
                        Some(revision) => return Some((Ok(self.frames.bookmark(revision, false)), self)),
                        None => continue,
                    }
                }
            };
            let (mut items, mut bytes) = (Vec::new(), 0);
            let mut item = item;
            while let Some(one) = item {
                if let WatchItem::Event(event) = &one {
                    bytes += event.object.wire.len();
                }
                items.push(one);
                item = if bytes > AT_ONCE { None } else { watcher.try_next() };
            }
            if items.is_empty() {
                self.watcher = None;
                continue;
            }
            let (out, ended) = self.frames.write(items).await;
            if ended {
                self.watcher = None;
            }
            if !out.is_empty() {
                return Some((Ok(out), self));
            }
        }
    }
}

/// About how many bytes of frames go to the client in one piece.
const AT_ONCE: usize = 64 * 1024;

/// Makes frames of events.
struct Frames {
    scope: Scope,
    explicit_initial: bool,
    bookmarks: bool,
    included: Include,
    columns: bool,
    /// What is wanted, if it has to be asked of objects' forms.
    selection: Option<Filter>,
}

impl Frames {
    /// The frames of what a watcher gave, and whether the watch ends with them.
    async fn write(&mut self, items: Vec<WatchItem>) -> (Bytes, bool) {
        let mut out = BytesMut::new();
        let items = match self.in_version(items).await {
            Ok(items) => items,
            Err(status) => return (self.failure(&status), true),
        };
        let mut ended = false;
        for item in items {
            match item {
                WatchItem::Event(event) => self.event(&mut out, &event),
                WatchItem::Synced(revision) => {
                    if self.bookmarks && self.explicit_initial {
                        out.put_slice(&self.bookmark(revision, true));
                    }
                }
                WatchItem::Lagged => {
                    let status = Status::expired("too old resource version: the watch fell behind");
                    out.put_slice(&self.failure(&status));
                    ended = true;
                }
            }
        }
        (out.freeze(), ended)
    }

    /// Events with their objects in the request's version.
    async fn in_version(&self, items: Vec<WatchItem>) -> Result<Vec<WatchItem>, Status> {
        if !conversion::may_convert(&self.scope.definition) {
            return Ok(items);
        }
        let mut objects = Vec::with_capacity(items.len());
        for item in &items {
            if let WatchItem::Event(event) = item {
                objects.push(Arc::clone(&event.object));
                // Whether it was wanted before is asked of what it was before.
                objects.extend(event.prev.clone().filter(|_| self.selection.is_some()));
            }
        }
        let mut forms = conversion::forms(&self.scope, &objects).await?.into_iter();
        let convert = |item| match item {
            WatchItem::Event(mut event) => {
                event.object = forms.next()?;
                let Some(selection) = &self.selection else { return Some(WatchItem::Event(event)) };
                if event.prev.is_some() {
                    event.prev = Some(forms.next()?);
                }
                selected(event, selection).map(WatchItem::Event)
            }
            other => Some(other),
        };
        Ok(items.into_iter().filter_map(convert).collect())
    }

    fn event(&mut self, out: &mut BytesMut, event: &CacheEvent) {
        let kind = match event.kind {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
        };
        let plain = self.scope.output.transform == Transform::None;
        if self.scope.output.media == Media::Protobuf
            && plain
            && let Some(message) = self.scope.message_of(&event.object)
        {
            let definition = &self.scope.definition;
            let object = protobuf::envelope(&definition.api_version(), &definition.kind, &message);
            out.put_slice(&protobuf::watch_frame(kind, &object));
        } else if plain && self.scope.output.media == Media::Json {
            let wire = &event.object.wire;
            frame(out, kind, wire.len(), |out| wire.write(out));
        } else {
            let document = self.transform(&event.object.value());
            self.put(out, kind, &document);
        }
    }

    /// A frame with a document.
    fn put(&self, out: &mut BytesMut, kind: &str, document: &Value) {
        let message = match self.scope.output.media {
            Media::Protobuf => protobuf::encode(document),
            Media::Json | Media::Yaml => None,
        };
        match message {
            Some(object) => out.put_slice(&protobuf::watch_frame(kind, &object)),
            None => {
                let object = codec::encode(document);
                frame(out, kind, object.len(), |out| out.put_slice(&object));
            }
        }
    }

    fn failure(&self, status: &Status) -> Bytes {
        let mut out = BytesMut::new();
        self.put(&mut out, "ERROR", &serde_json::to_value(status).unwrap_or_default());
        out.freeze()
    }

    fn transform(&mut self, object: &Value) -> Value {
        let output = &self.scope.output;
        match output.transform {
            Transform::None => object.clone(),
            Transform::Partial | Transform::PartialList => partial(output, object),
            Transform::Table => {
                let columns = std::mem::replace(&mut self.columns, false);
                let version = portcullis_machinery::object::resource_version(object);
                table(&self.scope, [object], json!({"resourceVersion": version}), columns, self.included)
            }
        }
    }

    fn bookmark(&mut self, revision: u64, end_of_initial: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if end_of_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object = json!({
            "kind": self.scope.definition.kind,
            "apiVersion": self.scope.definition.api_version(),
            "metadata": metadata,
        });
        // A bookmark is an empty object of the kind, with the parts that the kind always has.
        let _ = codec::conform(&mut object, &self.scope.definition.schema);
        object["metadata"] = metadata;
        let document = self.transform(&object);
        let mut out = BytesMut::new();
        self.put(&mut out, "BOOKMARK", &document);
        out.freeze()
    }
}

fn frame(out: &mut BytesMut, kind: &str, length: usize, object: impl FnOnce(&mut BytesMut)) {
    out.reserve(length + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\",\"object\":");
    object(out);
    out.put_slice(b"}\n");
}

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use portcullis_client::{ClientBody, ClientError, Transport};
use portcullis_machinery::Status;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;

/// One ConfigMap `ns/cm`, whose changes the test sends to the watch; nothing else is there.
struct Double {
    events: Mutex<Option<mpsc::UnboundedReceiver<Value>>>,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Double {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ClientBody>, ClientError> {
        let uri = request.uri().to_string();
        self.seen.lock().push(format!("{} {uri}", request.method()));
        let map = json!({"metadata": {"name": "cm", "namespace": "ns", "resourceVersion": "5"}, "data": {"k": "old"}});
        let watched = uri.starts_with("/api/v1/namespaces/ns/configmaps?") && uri.contains("metadata.name%3Dcm");
        let (code, body) = if *request.method() == Method::POST {
            (201, json!({"status": {"token": "t"}}))
        } else if uri.contains("watch=true") {
            let events = if watched { self.events.lock().take() } else { None };
            let Some(mut events) = events else {
                return Ok(Response::new(StreamBody::new(futures::stream::pending()).boxed_unsync()));
            };
            let stream = async_stream(move || async move {
                let event = events.recv().await?;
                Some((Bytes::from(format!("{event}\n")), events))
            });
            return Ok(Response::new(stream));
        } else if watched {
            (200, json!({"metadata": {"resourceVersion": "5"}, "items": [map]}))
        } else if uri == "/api/v1/namespaces/ns/configmaps/cm" {
            (200, map)
        } else if uri.ends_with("/secrets/forbidden") || uri.contains("forbidden") {
            let status = Status::forbidden("", "secrets", "forbidden", "no");
            (403, serde_json::to_value(status).unwrap())
        } else if uri.contains('?') {
            (200, json!({"metadata": {"resourceVersion": "5"}, "items": []}))
        } else {
            (404, serde_json::to_value(Status::not_found("", "x", "x")).unwrap())
        };
        let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
        Ok(Response::builder().status(code).body(body).unwrap())
    }
}

/// A body of what `first` gives, once, and nothing after it.
fn async_stream<F, T>(first: F) -> ClientBody
where
    F: FnOnce() -> T,
    T: Future<Output = Option<(Bytes, mpsc::UnboundedReceiver<Value>)>> + Send + 'static,
{
    use futures::StreamExt as _;
    let chunks = futures::stream::once(first()).filter_map(|item| async { item }).flat_map(|(chunk, rest)| {
        let more = futures::stream::unfold(rest, |mut rest| async move {
            let event = rest.recv().await?;
            Some((Bytes::from(format!("{event}\n")), rest))
        });
        futures::stream::once(async { chunk }).chain(more)
    });
    StreamBody::new(chunks.map(|chunk| Ok(hyper::body::Frame::data(chunk)))).boxed_unsync()
}

#[tokio::test]
async fn objects_are_fetched_once_and_then_followed() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let double = Arc::new(Double { events: Mutex::new(Some(receiver)), seen: Mutex::default() });
    let shutdown = CancellationToken::new();
    let source = ApiSource::new(&Client::new(double.clone()), shutdown.clone());
    let value = async || source.config_map("ns", "cm").await.unwrap().map(|map| map["data"]["k"].clone());
    assert_eq!(value().await, Some(json!("old")));
    assert_eq!(source.watched(), 1);
    // Sent until it arrives: the watch may not be open yet.
    let changed = json!({"type": "MODIFIED", "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata":
        {"name": "cm", "namespace": "ns", "resourceVersion": "6"}, "data": {"k": "new"}}});
    sender.send(changed).unwrap();
    let arrived = async {
        while value().await != Some(json!("new")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("the change arrives");
    let count = || double.seen.lock().iter().filter(|seen| seen.ends_with("/configmaps/cm")).count();
    let before = count();
    value().await;
    assert_eq!(count(), before, "the watched copy answers");

    assert!(source.config_map("ns", "none").await.unwrap().is_none());
    let error = source.secret("ns", "forbidden").await.unwrap_err();
    assert!(error.contains("is forbidden"), "{error}");
    assert!(source.services("ns").await.unwrap().is_empty());
    assert_eq!(source.token("ns", "sa", &json!({})).await.unwrap()["status"]["token"], "t");
    assert!(
        double.seen.lock().iter().any(|seen| seen.starts_with("POST /api/v1/namespaces/ns/serviceaccounts/sa/token"))
    );
    shutdown.cancel();
}

use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::json;

use super::*;

async fn check(chunks: &[&str], expected: &[Result<WatchEvent, ()>]) {
    let frames: Vec<_> = chunks.iter().map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk.as_bytes())))).collect();
    let stream = WatchStream::new(StreamBody::new(futures::stream::iter(frames)).boxed_unsync());
    let events: Vec<_> = stream.map(|event| event.map_err(drop)).collect().await;
    assert_eq!(events, expected, "{chunks:?}");
}

#[tokio::test]
async fn events_are_lines_wherever_chunks_end() {
    let added = || Ok(WatchEvent::Added(json!({"a": 1})));
    let line = "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n";
    check(&[line, line], &[added(), added()]).await;
    check(&[&line[..10], &line[10..20], &line[20..]], &[added()]).await;
    check(&[&format!("{line}\n{line}")], &[added(), added()]).await;
    check(&[line.trim_end()], &[added()]).await;
    check(&["{}\n"], &[Err(())]).await;
    let bookmark = "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n";
    let expected = WatchEvent::Bookmark { resource_version: "7".into(), initial_events_end: true };
    check(&[bookmark], &[Ok(expected)]).await;
}

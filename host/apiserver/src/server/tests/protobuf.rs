//! Answers in protobuf.

use portcullis_machinery::codec::{self, Media};

use super::*;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

async fn ask(fixture: &Fixture, path: &str, accept: &str) -> (u16, String, Body) {
    let request = Request::builder().method("GET").uri(path).header("accept", accept).body(Body::empty()).unwrap();
    let response = fixture.server.handle(request, ConnectionInfo::in_process(fixture.admin.clone())).await;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
    (response.status().as_u16(), content_type.to_owned(), response.into_body())
}

async fn decoded(fixture: &Fixture, path: &str, code: u16) -> Value {
    let (found, content_type, body) = ask(fixture, path, &format!("{PROTOBUF}, application/json")).await;
    assert_eq!((found, content_type.as_str()), (code, PROTOBUF), "{path}");
    codec::decode(&body.collect().await.unwrap().to_bytes(), Media::Protobuf).unwrap().object
}

#[tokio::test]
async fn objects_lists_statuses_and_watches() {
    let fixture = fixture().await;
    let namespace = decoded(&fixture, "/api/v1/namespaces/default", 200).await;
    assert_eq!((&namespace["kind"], &namespace["metadata"]["name"]), (&json!("Namespace"), &json!("default")));
    let list = decoded(&fixture, "/api/v1/namespaces", 200).await;
    assert_eq!(list["kind"], "NamespaceList");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(4), "{list}");
    assert_eq!(list["items"][0]["status"]["phase"], "Active");
    let status = decoded(&fixture, "/api/v1/namespaces/nope", 404).await;
    assert_eq!(
        (&status["kind"], &status["reason"], &status["code"]),
        (&json!("Status"), &json!("NotFound"), &json!(404))
    );
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (code, content_type, body) = ask(&fixture, "/api/v1/namespaces", metadata).await;
    assert_eq!((code, content_type.as_str()), (200, PROTOBUF));
    let bytes = body.collect().await.unwrap().to_bytes();
    let list = codec::decode(&bytes, Media::Protobuf).unwrap().object;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(4), "{list}");

    let path = "/api/v1/namespaces?watch=true&timeoutSeconds=1";
    let (code, content_type, body) = ask(&fixture, path, PROTOBUF).await;
    assert_eq!((code, content_type.as_str()), (200, "application/vnd.kubernetes.protobuf;stream=watch"));
    let bytes = body.collect().await.unwrap().to_bytes();
    let (mut rest, mut frames) = (&bytes[..], 0);
    while let Some((length, after)) = rest.split_at_checked(4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let event = &after[..length];
        assert!(event.starts_with(b"\x0a\x05ADDED"), "the first field is the event's type");
        rest = &after[length..];
        frames += 1;
    }
    assert_eq!(frames, 4);
    // The project's own kind has no message.
    let plugins = "/apis/plugins.portcullis.dev/v1alpha1/plugins";
    assert_eq!(ask(&fixture, plugins, PROTOBUF).await.0, 406);
    assert_eq!(ask(&fixture, plugins, &format!("{PROTOBUF}, application/json")).await.1, "application/json");
}

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::{Node, log, mount};
use crate::runtime::{ContainerRuntime as _, ContainerState};

/// Sends one request to the pod: the code and the body, or code 0 and why there is no answer.
async fn request(node: &Node, method: &str, path: &str, body: &str) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = hyper::Request::builder()
        .method(method)
        .uri(format!("http://{}:8080{path}", node.sandbox.ip))
        .body(Full::new(bytes::Bytes::from(body.to_owned())))
        .unwrap();
    match client.request(request).await {
        Ok(response) => {
            let code = response.status().as_u16();
            let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            (code, String::from_utf8_lossy(&body).into_owned())
        }
        Err(error) => (0, error.to_string()),
    }
}

#[tokio::test]
async fn requests_are_answered() {
    let node = Node::new().await;
    let mut config = node.web();
    config.mounts = vec![mount(node.volume("data", "file", "content"), "/data", false)];
    config.env.push(("UNHEALTHY_FILE".into(), "/data/sick".into()));
    let id = node.start(config).await;
    let check = async |method: &str, path: &str, body: &str, code: u16, text: &str| {
        assert_eq!(request(&node, method, path, body).await, (code, text.to_owned()), "{method} {path}");
    };
    check("GET", "/", "", 200, "hello from pod-0 good day\n").await;
    check("GET", "/env/GREETING", "", 200, "good day").await;
    check("GET", "/file/data/file", "", 200, "content").await;
    check("GET", "/file/data/none", "", 404, "/data/none: no-entry\n").await;
    check("GET", "/healthz", "", 200, "ok\n").await;
    check("PUT", "/file/data/sick", "yes", 200, "").await;
    check("GET", "/healthz", "", 503, "unhealthy\n").await;
    check("DELETE", "/file/data/sick", "", 200, "").await;
    check("GET", "/status/418", "", 418, "418\n").await;
    check("GET", "/nothing", "", 404, "nothing here\n").await;
    // A guest that traps costs its own request and no other.
    let (code, _) = request(&node, "GET", "/panic", "").await;
    assert!(matches!(code, 0 | 500), "{code}");
    check("GET", "/healthz", "", 200, "ok\n").await;
    let lines = log(&node.web().log_path);
    assert_eq!(lines[0], "stdout GET /");
    assert!(lines.iter().any(|line| line.starts_with("stderr request failed")), "{lines:?}");
    let state = node.runtime.container_state(&id).await.unwrap();
    assert!(matches!(state, Some(ContainerState::Running { .. })));
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let node = Node::new().await;
    node.start(node.web()).await;
    let begun = std::time::Instant::now();
    let slow = (0..8).map(|_| request(&node, "GET", "/sleep/300", ""));
    let answers = futures::future::join_all(slow).await;
    assert!(answers.iter().all(|(code, _)| *code == 200), "{answers:?}");
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_ends_after_its_requests() {
    let node = Node::new().await;
    let id = node.start(node.web()).await;
    let slow = request(&node, "GET", "/sleep/500", "");
    let stop = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        node.runtime.stop_container(&id, Duration::from_secs(10)).await.unwrap();
    };
    let ((code, _), ()) = tokio::join!(slow, stop);
    assert_eq!(code, 200, "a request under way is answered");
    let state = node.runtime.wait_container(&id).await.unwrap();
    assert!(matches!(state, ContainerState::Exited { exit_code: 0, .. }), "{state:?}");
    assert_eq!(request(&node, "GET", "/", "").await.0, 0, "nobody listens any more");
    // Its port is free again, and taken while it is used.
    node.start(node.web()).await;
    let refused = node.refused(node.web()).await;
    assert!(refused.contains("cannot listen on"), "{refused}");
}

use std::sync::Arc;

use super::*;
use crate::resource::{NODES, PODS};
use crate::testing::Double;

#[test]
fn errors_become_statuses() {
    let check = |code: u16, retry: Option<u32>, body: &str, reason: &str, message: &str| {
        let status = decode_status(code, retry, body.as_bytes());
        assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message));
        assert_eq!(ClientError::from(status).retry_after(), retry.map(u64::from));
    };
    let status = serde_json::to_string(&Status::not_found("", "pods", "x")).unwrap();
    check(404, None, &status, "NotFound", "pods \"x\" not found");
    check(503, Some(3), "<html>busy</html>", "ServiceUnavailable", "<html>busy</html>");
    check(429, Some(1), "", "TooManyRequests", "");
}

#[tokio::test]
async fn requests_have_the_paths_of_the_api() {
    let double = Arc::new(Double::default());
    let client = Client::new(double.clone()).with_field_manager("me");
    let pod = serde_json::json!({"metadata": {"name": "p", "namespace": "a"}});
    let created = client.create(&PODS, "a", &pod).await.unwrap();
    client.update_status(&PODS, &created).await.unwrap_err();
    assert!(client.get(&NODES, "", "n 1").await.unwrap_err().is_not_found());
    let params = ListParams { label_selector: "a=b,c".into(), ..ListParams::default() };
    client.list(&PODS, "", &params).await.unwrap_err();
    let stale = client.update(&PODS, &pod).await.unwrap_err();
    assert!(stale.is_conflict(), "{stale}");
    assert_eq!(
        *double.seen.lock(),
        [
            "/api/v1/namespaces/a/pods?fieldManager=me",
            "/api/v1/namespaces/a/pods/p/status?fieldManager=me",
            "/api/v1/nodes/n%201",
            "/api/v1/pods?labelSelector=a%3Db%2Cc",
            "/api/v1/namespaces/a/pods/p?fieldManager=me",
        ]
    );
}

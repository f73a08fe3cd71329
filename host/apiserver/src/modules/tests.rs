//! Pushes, pulls and deletions of modules through the whole way of a request.

use super::*;
use jiff::{SignedDuration, Timestamp};
use portcullis_storage::{Expect, RangeRequest};

use crate::server::tests::{Fixture, fixture};

const MODULES: &str = "/apis/plugins.portcullis.dev/v1alpha1/modules";

fn path_of(bytes: &[u8]) -> String {
    format!("{MODULES}/{}", name_of(&Digest::of(bytes)))
}

async fn push(fixture: &Fixture, path: &str, media: &str, bytes: &[u8]) -> (u16, Value) {
    let headers = [("content-type", media)];
    let (code, answer) = fixture.raw("PUT", &format!("{path}/content"), &headers, Body::from(bytes.to_vec())).await;
    (code, serde_json::from_slice(&answer).unwrap_or_default())
}

async fn pull(fixture: &Fixture, path: &str) -> (u16, Bytes) {
    fixture.raw("GET", &format!("{path}/content"), &[("accept", "application/wasm")], Body::empty()).await
}

/// How many keys there are below the uploads and their parts.
async fn stored(fixture: &Fixture, what: &str) -> usize {
    let prefix = format!("/registry/{GROUP}/{what}/");
    fixture.server.store.range(RangeRequest::prefix(&prefix)).await.unwrap().kvs.len()
}

#[tokio::test]
async fn content_is_pushed_pulled_mended_and_deleted() {
    let fixture = fixture().await;
    // More than two parts, and no component.
    let bytes: Vec<u8> = (0..2_500_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let path = path_of(&bytes);
    assert_eq!(pull(&fixture, &path).await.0, 404);
    let (code, module) = push(&fixture, &path, WASM, &bytes).await;
    assert_eq!((code, &module["spec"]["size"], &module["status"]["form"]), (201, &json!(2_500_000), &json!("Other")));
    assert_eq!((stored(&fixture, "moduleuploads").await, stored(&fixture, "moduleparts").await), (1, 3));
    let (code, answer) = pull(&fixture, &path).await;
    assert!(code == 200 && answer == bytes, "{code}");
    assert_eq!(push(&fixture, &path, WASM, &bytes).await.0, 200, "a second push changes nothing");
    assert_eq!(stored(&fixture, "moduleparts").await, 3);

    // Damage is noticed, told, and mended by a push.
    let upload = module["spec"]["upload"].as_str().unwrap();
    let key = format!("/registry/{GROUP}/moduleparts/{upload}/00001");
    fixture.server.store.put(&key, Bytes::from_static(b"damage"), Expect::Any, None).await.unwrap();
    let (code, answer) = pull(&fixture, &path).await;
    assert!(code == 500 && String::from_utf8_lossy(&answer).contains("push it again"), "{answer:?}");
    assert_eq!(push(&fixture, &path, WASM, &bytes).await.0, 200);
    assert_eq!(pull(&fixture, &path).await, (200, Bytes::from(bytes)));

    // What the server wrote is not changed by an update, and labels are.
    let patch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"size": 1}, "status": {"form": "Component"}});
    let headers = [("content-type", "application/merge-patch+json")];
    let (code, answer) = fixture.raw("PATCH", &path, &headers, Body::from(patch.to_string())).await;
    let changed: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((code, &changed["metadata"]["labels"]["a"]), (200, &json!("b")), "{changed}");
    assert_eq!((&changed["spec"], &changed["status"]), (&module["spec"], &module["status"]));

    assert_eq!(fixture.admin("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(pull(&fixture, &path).await.0, 404);
    assert_eq!((stored(&fixture, "moduleuploads").await, stored(&fixture, "moduleparts").await), (0, 0));
}

#[tokio::test]
async fn bad_pushes_are_refused_and_leave_nothing() {
    let fixture = fixture().await;
    let good = path_of(b"x");
    let check = async |path: &str, media: &str, bytes: &[u8], code: u16, words: &str| {
        let (found, status) = push(&fixture, path, media, bytes).await;
        let message = status["message"].as_str().unwrap_or_default();
        assert!(found == code && message.contains(words), "{path} {media}: {found} {status}");
    };
    check(&good, WASM, b"y", 400, "which is not the sha256:").await;
    check(&good, WASM, b"", 400, "empty").await;
    check(&good, "application/json", b"x", 415, "accepted media types include: application/wasm").await;
    check(&format!("{MODULES}/latest"), WASM, b"x", 422, "must be sha256- and the 64").await;
    let upper = format!("{MODULES}/sha256-{}", Digest::of(b"x").to_hex().to_uppercase());
    check(&upper, WASM, b"x", 422, "in lower case").await;
    check(&good, WASM, &vec![0; fixture.server.config.max_module_bytes + 1], 413, "limit is 67108864").await;
    // A Module is its content: it cannot be made without.
    let (code, _) = fixture.admin("POST", MODULES, json!({"metadata": {"name": "x"}})).await;
    assert_eq!(code, 405);
    let apply = json!({"apiVersion": "plugins.portcullis.dev/v1alpha1", "kind": "Module", "metadata": {"name": "x"}});
    let headers = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{MODULES}/x?fieldManager=me");
    assert_eq!(fixture.raw("PATCH", &path, &headers, Body::from(apply.to_string())).await.0, 404);
    assert_eq!(stored(&fixture, "moduleuploads").await, 0);
}

#[tokio::test]
async fn content_is_guarded_by_rbac() {
    let fixture = fixture().await;
    push(&fixture, &path_of(b"x"), WASM, b"x").await;
    let check = async |user: &[(&str, &str)], method: &str, bytes: &[u8], code: u16| {
        let path = format!("{}/content", path_of(bytes));
        let body = if method == "PUT" { Body::from(bytes.to_vec()) } else { Body::empty() };
        let (found, answer) = fixture.raw(method, &path, user, body).await;
        assert_eq!(found, code, "{user:?} {method}: {}", String::from_utf8_lossy(&answer));
    };
    let node = [("impersonate-user", "system:node:n"), ("impersonate-group", "system:nodes")];
    check(&node, "GET", b"x", 200).await;
    check(&node, "PUT", b"x", 403).await;
    check(&[("impersonate-user", "jo")], "GET", b"x", 403).await;
    // Who may write content but not create Modules may mend, and not push.
    let role = json!({"metadata": {"name": "mender"}, "rules": [
        {"verbs": ["update"], "apiGroups": [GROUP], "resources": ["modules/content"]}]});
    let binding = json!({"metadata": {"name": "mender"}, "subjects": [{"kind": "User", "name": "jo",
        "apiGroup": "rbac.authorization.k8s.io"}], "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole", "name": "mender"}});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    assert_eq!(fixture.admin("POST", &format!("{rbac}/clusterroles"), role).await.0, 201);
    assert_eq!(fixture.admin("POST", &format!("{rbac}/clusterrolebindings"), binding).await.0, 201);
    fixture.server.hub.wait_consistent().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    check(&[("impersonate-user", "jo")], "PUT", b"x", 200).await;
    check(&[("impersonate-user", "jo")], "PUT", b"y", 403).await;
}

#[tokio::test]
async fn a_module_that_a_plugin_names_stays() {
    let fixture = fixture().await;
    let path = path_of(b"x");
    push(&fixture, &path, WASM, b"x").await;
    let plugins = "/apis/plugins.portcullis.dev/v1alpha1/plugins";
    let plugin = json!({"metadata": {"name": "p"}, "spec": {"stage": "validator",
        "source": {"digest": Digest::of(b"x").to_string()}}});
    assert_eq!(fixture.admin("POST", plugins, plugin).await.0, 201);
    let (code, status) = fixture.admin("DELETE", &path, Value::Null).await;
    assert!(code == 409 && status["message"].as_str().unwrap().contains("the Plugin \"p\" uses it"), "{status}");
    assert_eq!(fixture.admin("DELETE", &format!("{plugins}/p"), Value::Null).await.0, 200);
    assert_eq!(fixture.admin("DELETE", &path, Value::Null).await.0, 200);
}

#[tokio::test]
async fn unfinished_uploads_are_swept_when_they_are_old() {
    let fixture = fixture().await;
    push(&fixture, &path_of(b"kept"), WASM, b"kept").await;
    content::write(&*fixture.server.store, "given-up", &Bytes::from_static(b"lost")).await.unwrap();
    let sweep = async |later: i64| {
        let now = Timestamp::now() + SignedDuration::from_hours(later);
        content::sweep_once(&fixture.server, now).await.unwrap();
        (stored(&fixture, "moduleuploads").await, stored(&fixture, "moduleparts").await)
    };
    assert_eq!(sweep(0).await, (2, 2), "it may still be under way");
    assert_eq!(sweep(2).await, (1, 1));
    assert_eq!(pull(&fixture, &path_of(b"kept")).await, (200, Bytes::from_static(b"kept")));
}

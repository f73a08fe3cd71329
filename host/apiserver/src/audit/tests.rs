//! The policy, the log's queue, and the events of requests.

use super::policy::Wanted;
use super::*;
use std::io::Write;
use std::sync::{Condvar, Mutex};

use axum::body::Body;
use portcullis_machinery::Value;
use serde_json::json;

use crate::context::UserInfo;
use crate::server::tests::fixture;

#[test]
fn the_first_rule_that_matches_counts() {
    let policy = Policy::parse(
        b"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [system:kube-scheduler]
  verbs: [watch]
- level: None
  nonResourceURLs: ['/healthz*', /version]
- level: RequestResponse
  omitManagedFields: false
  resources: [{group: '', resources: [pods, pods/status], resourceNames: [web]}]
- level: Request
  namespaces: [kube-system]
  resources: [{group: apps}]
- level: Metadata
  userGroups: [dev]
  omitStages: [ResponseStarted]
  resources: [{group: '', resources: ['*/log', 'secrets/*']}]
",
    )
    .unwrap();
    let check = |user: &str, request: RequestInfo, level: Level| {
        let user = UserInfo { username: user.into(), groups: vec!["dev".into()], ..UserInfo::default() };
        assert_eq!(policy.of(&user, &request).level, level, "{request:?}");
    };
    let path = |path: &str| RequestInfo { path: path.into(), verb: "get".into(), ..RequestInfo::default() };
    let of = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| RequestInfo {
        is_resource_request: true,
        verb: "get".into(),
        api_group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: name.into(),
        ..RequestInfo::default()
    };
    check("jo", path("/healthz/etcd"), Level::None);
    check("jo", path("/version"), Level::None);
    check("jo", path("/versions"), Level::None);
    check("jo", of("", "pods", "", "a", "web"), Level::RequestResponse);
    check("jo", of("", "pods", "status", "a", "web"), Level::RequestResponse);
    check("jo", of("", "pods", "", "a", "other"), Level::None);
    check("jo", of("apps", "deployments", "", "kube-system", "x"), Level::Request);
    check("jo", of("apps", "deployments", "", "a", "x"), Level::None);
    check("jo", of("", "pods", "log", "a", "x"), Level::Metadata);
    check("jo", of("", "secrets", "x", "a", "x"), Level::Metadata);
    check("jo", of("", "secrets", "", "a", "x"), Level::None);
    let watch = RequestInfo { verb: "watch".into(), ..of("", "pods", "", "a", "web") };
    check("system:kube-scheduler", watch, Level::None);
    let wanted =
        policy.of(&UserInfo { groups: vec!["dev".into()], ..UserInfo::default() }, &of("", "pods", "log", "a", "x"));
    let stages = vec![Stage::RequestReceived, Stage::ResponseStarted];
    assert_eq!(wanted, Wanted { level: Level::Metadata, omit_stages: stages, omit_managed_fields: true });
}

#[test]
fn policies_that_are_none() {
    let check = |text: &str, words: &str| {
        let error = Policy::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    };
    let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
    check("kind: Policy\nrules: [{level: None}]", "apiVersion must be audit.k8s.io/v1");
    check(&format!("{head}rules: []"), "at least one");
    check(&format!("{head}rules: [{{level: Some}}]"), "unknown variant `Some`");
    check(&format!("{head}rules: [{{level: None, colour: red}}]"), "unknown field `colour`");
    check(&format!("{head}rules: [{{level: None, namespaces: [a], nonResourceURLs: ['*']}}]"), "cannot stand beside");
}

/// Output that waits for the gate to open.
#[derive(Clone, Default)]
struct Gated(Arc<(Mutex<(bool, Vec<u8>)>, Condvar)>);

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut state = self.0.0.lock().unwrap();
        while !state.0 {
            state = self.0.1.wait(state).unwrap();
        }
        state.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_cannot_keep_up_drops_and_counts() {
    let gated = Gated::default();
    let log = log::Log::start(Box::new(gated.clone()), 4).unwrap();
    let started = std::time::Instant::now();
    // Larger than the buffer, so that the writer stands at the gate with the first.
    for _ in 0..20 {
        log.send(vec![b'x'; 300 << 10]);
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "nobody waited");
    gated.0.0.lock().unwrap().0 = true;
    gated.0.1.notify_all();
    log.flush();
    let lines = gated.0.0.lock().unwrap().1.iter().filter(|byte| **byte == b'\n').count();
    assert!((4..=6).contains(&lines), "{lines}");
    let metrics = log.metrics();
    assert!(metrics.contains(&format!("apiserver_audit_event_total {lines}")), "{metrics}");
    assert!(metrics.contains(&format!("reason=\"queue\"}} {}", 20 - lines)), "{metrics}");
}

#[tokio::test]
async fn requests_are_recorded_as_the_policy_says() {
    let fixture = fixture().await;
    let dir = tempfile::tempdir().unwrap();
    let (file, policy) = (dir.path().join("audit.log"), dir.path().join("policy.yaml"));
    let text = "{apiVersion: audit.k8s.io/v1, kind: Policy, omitManagedFields: true, rules: [
        {level: RequestResponse, resources: [{group: '', resources: [configmaps]}], omitStages: [RequestReceived]},
        {level: Metadata}]}";
    std::fs::write(&policy, text).unwrap();
    let audit = Audit::open(&file, Some(&policy)).unwrap();
    fixture.server.attach_audit(Arc::clone(&audit));
    let path = "/api/v1/namespaces/default/configmaps";
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    assert_eq!(fixture.admin("POST", path, map.clone()).await.0, 201);
    assert_eq!(fixture.admin("POST", path, map).await.0, 409);
    let jo = [("impersonate-user", "jo"), ("user-agent", "tests")];
    assert_eq!(fixture.raw("GET", "/api/v1/nodes", &jo, Body::empty()).await.0, 403);
    audit.flush();
    let events: Vec<Value> =
        std::fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stages: Vec<_> = events.iter().map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["ResponseComplete", "ResponseComplete", "RequestReceived", "ResponseComplete"]);
    let [made, refused, received, forbidden] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(made["level"], "RequestResponse");
    assert_eq!(
        made["objectRef"],
        json!({"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"})
    );
    assert_eq!(made["requestObject"]["data"], json!({"k": "v"}));
    assert_eq!(made["responseObject"]["metadata"]["name"], "a");
    assert!(made["responseObject"]["metadata"].get("managedFields").is_none());
    assert_eq!(made["responseStatus"], json!({"metadata": {}, "code": 201}));
    assert_eq!(made["annotations"]["authorization.k8s.io/decision"], "allow");
    assert_eq!(
        (&refused["responseStatus"]["reason"], &refused["responseStatus"]["code"]),
        (&json!("AlreadyExists"), &json!(409))
    );
    assert!(received.get("responseStatus").is_none() && received["auditID"] == forbidden["auditID"]);
    assert_eq!(
        (&forbidden["user"]["username"], &forbidden["impersonatedUser"]["username"]),
        (&json!("kubernetes-admin"), &json!("jo"))
    );
    assert_eq!(
        (&forbidden["annotations"]["authorization.k8s.io/decision"], &forbidden["userAgent"]),
        (&json!("forbid"), &json!("tests"))
    );
    assert!(
        forbidden["responseStatus"]["message"].as_str().unwrap().contains("User \"jo\" cannot list resource"),
        "{forbidden}"
    );
    assert!(forbidden.get("responseObject").is_none());
}

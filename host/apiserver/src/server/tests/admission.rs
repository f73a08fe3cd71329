//! The host's own part of admission, over the whole way of a request.

use super::*;

async fn with_namespace() -> Fixture {
    let fixture = fixture().await;
    let made = fixture.admin("POST", "/api/v1/namespaces", json!({"metadata": {"name": "ns"}})).await;
    assert_eq!(made.0, 201, "{}", made.1);
    fixture
}

#[tokio::test]
async fn a_quota_is_exact_under_writes_at_the_same_time() {
    let fixture = with_namespace().await;
    let quotas = "/api/v1/namespaces/ns/resourcequotas";
    let hard = json!({"count/configmaps": "10"});
    let made = fixture.admin("POST", quotas, json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let mut quota = made.1;
    quota["status"] = json!({"hard": hard, "used": {"count/configmaps": "0"}});
    let (code, answer) = fixture.admin("PUT", &format!("{quotas}/q/status"), quota).await;
    assert_eq!(code, 200, "{answer}");
    let create = |number: usize| {
        let body = json!({"metadata": {"name": format!("m{number}")}});
        fixture.admin("POST", "/api/v1/namespaces/ns/configmaps", body)
    };
    let answers = futures::future::join_all((0..100).map(create)).await;
    let count = |code: u16| answers.iter().filter(|(found, _)| *found == code).count();
    assert_eq!((count(201), count(403)), (10, 90));
    let (_, refused) = answers.iter().find(|(code, _)| *code == 403).unwrap();
    let message = refused["message"].as_str().unwrap();
    let expected = "exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=10, limited: \
                    count/configmaps=10";
    assert!(message.ends_with(expected), "{message}");
    let (_, quota) = fixture.admin("GET", &format!("{quotas}/q"), Value::Null).await;
    assert_eq!(quota["status"]["used"]["count/configmaps"], "10");
}

#[tokio::test]
async fn a_pod_that_changes_its_scope_is_charged_anew() {
    let fixture = with_namespace().await;
    let quotas = "/api/v1/namespaces/ns/resourcequotas";
    for (name, scope) in [("ends", "Terminating"), ("stays", "NotTerminating")] {
        let spec = json!({"hard": {"pods": "1"}, "scopes": [scope]});
        let (code, mut quota) = fixture.admin("POST", quotas, json!({"metadata": {"name": name}, "spec": spec})).await;
        assert_eq!(code, 201, "{quota}");
        quota["status"] = json!({"hard": {"pods": "1"}, "used": {"pods": "0"}});
        let (code, answer) = fixture.admin("PUT", &format!("{quotas}/{name}/status"), quota).await;
        assert_eq!(code, 200, "{answer}");
    }
    let pods = "/api/v1/namespaces/ns/pods";
    let pod = |name: &str, deadline: Value| {
        let spec = json!({"containers": [{"name": "c", "image": "i"}], "activeDeadlineSeconds": deadline});
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let used = async |name: &str| {
        let (_, quota) = fixture.admin("GET", &format!("{quotas}/{name}"), Value::Null).await;
        quota["status"]["used"]["pods"].clone()
    };
    let (code, mut first) = fixture.admin("POST", pods, pod("first", Value::Null)).await;
    assert_eq!((code, used("ends").await, used("stays").await), (201, json!("0"), json!("1")), "{first}");
    first["spec"]["activeDeadlineSeconds"] = 60.into();
    let (code, answer) = fixture.admin("PUT", &format!("{pods}/first"), first).await;
    assert_eq!((code, used("ends").await), (200, json!("1")), "{answer}");
    let (code, answer) = fixture.admin("POST", pods, pod("second", json!(60))).await;
    assert_eq!(code, 403, "{answer}");
}

#[tokio::test]
async fn an_evicted_pod_says_so() {
    let fixture = with_namespace().await;
    let pods = "/api/v1/namespaces/ns/pods";
    let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]});
    let (code, made) = fixture.admin("POST", pods, json!({"metadata": {"name": "a"}, "spec": spec})).await;
    assert_eq!(code, 201, "{made}");
    let evict = async |preconditions: Value| {
        let body = json!({"metadata": {"name": "a"}, "deleteOptions": {"preconditions": preconditions}});
        fixture.admin("POST", &format!("{pods}/a/eviction"), body).await
    };
    let (code, refused) = evict(json!({"resourceVersion": "1"})).await;
    assert_eq!(code, 409, "{refused}");
    let (code, answer) = evict(json!({"resourceVersion": made["metadata"]["resourceVersion"]})).await;
    assert_eq!(code, 201, "{answer}");
    let (_, pod) = fixture.admin("GET", &format!("{pods}/a"), Value::Null).await;
    assert!(pod["metadata"]["deletionTimestamp"].is_string(), "{pod}");
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    let expected = ["True", "EvictionByEvictionAPI", "Eviction API: evicting"];
    assert_eq!(["status", "reason", "message"].map(|field| found[field].as_str().unwrap()), expected);
}

#[tokio::test]
async fn limit_ranges_fill_in_and_refuse() {
    let fixture = with_namespace().await;
    let limits = json!([{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}]);
    let range = json!({"metadata": {"name": "l"}, "spec": {"limits": limits}});
    let made = fixture.admin("POST", "/api/v1/namespaces/ns/limitranges", range).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let pod = |name: &str, resources: Value| {
        let container = json!({"name": "c", "image": "i", "resources": resources});
        json!({"metadata": {"name": name}, "spec": {"containers": [container]}})
    };
    let (code, made) = fixture.admin("POST", "/api/v1/namespaces/ns/pods", pod("a", json!({}))).await;
    assert_eq!(code, 201, "{made}");
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(*resources, json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}));
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    );
    let (code, refused) =
        fixture.admin("POST", "/api/v1/namespaces/ns/pods", pod("b", json!({"limits": {"cpu": "3"}}))).await;
    assert_eq!(code, 403, "{refused}");
    assert_eq!(refused["message"], "pods \"b\" is forbidden: maximum cpu usage per Container is 2, but limit is 3");
}

#[tokio::test]
async fn a_default_class_is_named() {
    let fixture = with_namespace().await;
    let marks = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    let class = json!({"metadata": {"name": "fast", "annotations": marks}, "provisioner": "d.test"});
    let made = fixture.admin("POST", "/apis/storage.k8s.io/v1/storageclasses", class).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    let (code, made) = fixture.admin("POST", "/api/v1/namespaces/ns/persistentvolumeclaims", claim).await;
    assert_eq!((code, &made["spec"]["storageClassName"]), (201, &json!("fast")), "{made}");
}

use serde_json::json;

use super::*;
use crate::source::fixed::Fixed;

fn source() -> Fixed {
    let source = Fixed::default();
    source.put("configmap", "cm", json!({"data": {"a": "1", "b.c": "2"}}));
    source.put("secret", "s", json!({"data": {"key": "c2VjcmV0"}}));
    source
}

async fn check(source: &Fixed, container: Value, expected: Result<&[(&str, &str)], &str>) {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"enableServiceLinks": true, "containers": [container.clone()]},
    });
    let found = resolve(source, &PodFacts::default(), &pod, &container).await;
    match expected {
        Ok(expected) => {
            let found = found.unwrap_or_else(|error| panic!("{container}: {error}"));
            let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(found, expected, "{container}");
        }
        Err(expected) => assert_eq!(found.map_err(|error| error.to_string()), Err(expected.to_owned()), "{container}"),
    }
}

#[tokio::test]
async fn variables_come_from_values_and_references() {
    let source = source();
    let reference = |kind: &str, name: &str, key: &str, optional: bool| json!({"name": "X", "valueFrom": {kind: {"name": name, "key": key, "optional": optional}}});
    let one = |variable: Value| json!({"name": "c", "env": [variable]});
    check(&source, one(json!({"name": "X", "value": "v"})), Ok(&[("X", "v")])).await;
    check(&source, one(json!({"name": "X"})), Ok(&[("X", "")])).await;
    check(&source, one(reference("configMapKeyRef", "cm", "a", false)), Ok(&[("X", "1")])).await;
    check(&source, one(reference("secretKeyRef", "s", "key", false)), Ok(&[("X", "secret")])).await;
    let field = json!({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    check(&source, one(field), Ok(&[("X", "p")])).await;
    check(&source, one(reference("configMapKeyRef", "no", "a", false)), Err("configmap \"no\" not found")).await;
    check(&source, one(reference("secretKeyRef", "no", "a", false)), Err("secret \"no\" not found")).await;
    let missing = "couldn't find key z in ConfigMap ns/cm";
    check(&source, one(reference("configMapKeyRef", "cm", "z", false)), Err(missing)).await;
    check(&source, one(reference("secretKeyRef", "s", "z", false)), Err("couldn't find key z in Secret ns/s")).await;
    check(&source, one(reference("configMapKeyRef", "no", "a", true)), Ok(&[])).await;
    check(&source, one(reference("secretKeyRef", "s", "z", true)), Ok(&[])).await;
}

#[tokio::test]
async fn whole_objects_come_before_single_variables() {
    let source = source();
    let all = json!({"name": "c",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}},
            {"configMapRef": {"name": "no", "optional": true}}],
        "env": [{"name": "key", "value": "own"}, {"name": "Y", "value": "$(P_a)-$(key)"}]});
    check(&source, all, Ok(&[("P_a", "1"), ("P_b.c", "2"), ("Y", "1-own"), ("key", "own")])).await;
    let none = json!({"name": "c", "envFrom": [{"secretRef": {"name": "no"}}]});
    check(&source, none, Err("secret \"no\" not found")).await;
    *source.failure.lock() = Some("the server is away".into());
    check(&source, json!({"name": "c"}), Err("the server is away")).await;
}

#[tokio::test]
async fn services_have_variables() {
    let source = Fixed::default();
    let service = |namespace: &str, name: &str, ip: &str, ports: Value| {
        Arc::new(json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"clusterIP": ip, "ports": ports}}))
    };
    *source.services.lock() = vec![
        service("default", "kubernetes", "10.96.0.1", json!([{"name": "https", "port": 443}])),
        service("default", "other", "10.96.0.9", json!([{"port": 1}])),
        service("ns", "my-db", "fd00::1", json!([{"port": 53, "protocol": "UDP"}])),
        service("ns", "headless", "None", json!([{"port": 1}])),
    ];
    let container = json!({"name": "c", "env": [
        {"name": "URL", "value": "$(MY_DB_SERVICE_HOST)"}, {"name": "KUBERNETES_PORT", "value": "own"}]});
    let expected = [
        ("KUBERNETES_PORT", "own"),
        ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
        ("KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"),
        ("KUBERNETES_PORT_443_TCP_PORT", "443"),
        ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
        ("MY_DB_PORT", "udp://[fd00::1]:53"),
        ("MY_DB_PORT_53_UDP", "udp://[fd00::1]:53"),
        ("MY_DB_PORT_53_UDP_ADDR", "fd00::1"),
        ("MY_DB_PORT_53_UDP_PORT", "53"),
        ("MY_DB_PORT_53_UDP_PROTO", "udp"),
        ("MY_DB_SERVICE_HOST", "fd00::1"),
        ("MY_DB_SERVICE_PORT", "53"),
        ("URL", "fd00::1"),
    ];
    check(&source, container, Ok(&expected)).await;
    let pod = json!({"metadata": {"namespace": "ns"}, "spec": {"enableServiceLinks": false}});
    let found = resolve(&source, &PodFacts::default(), &pod, &json!({})).await.unwrap();
    assert!(found.iter().all(|(name, _)| name.starts_with("KUBERNETES_")), "{found:?}");
    assert_eq!(found.len(), 8);
}

#[test]
fn references_in_texts_are_replaced() {
    let env: Vec<(String, String)> =
        [("A", "1"), ("B", "$(A)"), ("E", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
    let check = |text: &str, expected: &str| assert_eq!(expand(&[text.to_owned()], &env), [expected], "{text}");
    check("$(A)", "1");
    check("x$(A)$(A)y", "x11y");
    check("$(B)", "$(A)");
    check("$(E)", "");
    check("$$(A)", "$(A)");
    check("$$$(A)", "$1");
    check("$(NONE)", "$(NONE)");
    check("$(A", "$(A");
    check("$A $ é$", "$A $ é$");
    check("$($(A))", "$($(A))");
}

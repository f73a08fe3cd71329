//! Tests of the Plugin resource's rules.

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::matching::{Matcher, RequestKind, Subject};
use crate::spec::{MatchSpec, PluginSpec, parse_duration};

#[test]
fn durations() {
    let check = |text: &str, millis: Option<u128>| {
        assert_eq!(parse_duration(text).map(|duration| duration.as_millis()), millis, "{text}");
    };
    check("50ms", Some(50));
    check("1m30s", Some(90_000));
    check("1.5s", Some(1500));
    check("", None);
    check("50", None);
    check("5 parsecs", None);
    check("-1s", None);
}

#[test]
fn specs() {
    let check = |spec: Value, expected: Result<(), &str>| {
        let result = PluginSpec::from_object(&json!({"spec": spec}));
        match (result, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{spec}: {error}"),
            (result, expected) => panic!("{spec}: {result:?}, expected {expected:?}"),
        }
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    check(json!({"stage": "validator", "source": {"digest": digest}}), Ok(()));
    check(json!({"stage": "validator", "source": {}}), Err("exactly one of file, digest and embedded"));
    check(json!({"stage": "validator", "source": {"file": "/a", "digest": digest}}), Err("exactly one"));
    check(json!({"stage": "bouncer", "source": {"file": "/a"}}), Err("unknown variant `bouncer`"));
    check(
        json!({"stage": "mutator", "source": {"file": "/a"}, "limits": {"memory": "1"}}),
        Err("spec.limits.memory: \"1\" is not a quantity of at least 64Ki"),
    );
    check(
        json!({"stage": "mutator", "source": {"file": "/a"}, "limits": {"deadline": "soon"}}),
        Err("spec.limits.deadline"),
    );
}

#[test]
fn kinds_of_requests() {
    let check = |rules: Value, kind: [&str; 5], expected: bool| {
        let matcher = Matcher::new(&MatchSpec::deserialize(&rules).unwrap()).unwrap();
        let [operation, group, version, resource, subresource] = kind;
        let kind = RequestKind { operation, group, version, resource, subresource };
        assert_eq!(matcher.matches_kind(&kind), expected, "{rules} {kind:?}");
    };
    let create_pod = ["CREATE", "", "v1", "pods", ""];
    check(json!({}), create_pod, true);
    check(json!({}), ["DELETE", "", "v1", "pods", ""], false);
    check(json!({}), ["UPDATE", "", "v1", "pods", "status"], false);
    check(json!({"operations": ["*"]}), ["DELETE", "", "v1", "pods", ""], true);
    check(json!({"apiGroups": ["apps"]}), create_pod, false);
    check(json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}), create_pod, true);
    check(json!({"resources": ["pods"]}), ["UPDATE", "", "v1", "pods", "status"], false);
    check(json!({"resources": ["pods/*"]}), ["UPDATE", "", "v1", "pods", "status"], true);
    check(json!({"resources": ["*/status"]}), ["UPDATE", "", "v1", "pods", "status"], true);
    check(json!({"resources": ["*/*"]}), ["UPDATE", "", "v1", "pods", "status"], true);
    // Whatever the rules, a policy never decides over Plugins.
    check(
        json!({"resources": ["*/*"], "operations": ["*"]}),
        ["DELETE", crate::spec::GROUP, "v1alpha1", "plugins", ""],
        false,
    );
}

#[test]
fn selectors() {
    let check = |rules: Value, namespace: &str, expected: bool| {
        let matcher = Matcher::new(&MatchSpec::deserialize(&rules).unwrap()).unwrap();
        let namespace_object = json!({"metadata": {"name": namespace, "labels": {"team": namespace}}});
        let object = json!({"metadata": {"labels": {"app": "web"}}});
        let subject = Subject {
            namespace,
            namespace_object: (!namespace.is_empty()).then_some(&namespace_object),
            object: Some(&object),
            old_object: None,
        };
        assert_eq!(matcher.matches_subject(&subject), expected, "{rules} in {namespace:?}");
    };
    check(json!({}), "red", true);
    check(json!({"namespaces": ["red"]}), "red", true);
    check(json!({"namespaces": ["red"]}), "blue", false);
    check(json!({"namespaces": ["red"]}), "", false);
    check(json!({"excludeNamespaces": ["red"]}), "red", false);
    check(json!({"excludeNamespaces": ["red"]}), "", true);
    check(json!({"namespaceSelector": {"matchLabels": {"team": "red"}}}), "red", true);
    check(json!({"namespaceSelector": {"matchLabels": {"team": "red"}}}), "blue", false);
    check(json!({"namespaceSelector": {"matchLabels": {"team": "red"}}}), "", true);
    check(json!({"objectSelector": {"matchLabels": {"app": "web"}}}), "red", true);
    check(json!({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}), "red", false);
}

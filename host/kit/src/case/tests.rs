//! Tests of reading cases.

use super::*;
use portcullis_machinery::path::Pattern;
use portcullis_machinery::tape;

/// The value at a path of the document of the only case in a text.
fn at(stage: Stage, text: &str, path: &str) -> Value {
    let cases = parse(text, "case.yaml", stage, &Resources::default()).expect("a case");
    let pattern = Pattern::parse(path).expect("a path");
    let packed = tape::project_json(&*cases[0].question.document, &[pattern]).expect("packed");
    serde_json::from_slice::<Value>(&packed).expect("JSON")[0].take()
}

#[test]
fn shorthands_are_filled_in() {
    let check = |stage: Stage, text: &str, path: &str, expected: Value| {
        assert_eq!(at(stage, text, path), expected, "{path} of {text}");
    };
    let pod = "{object: {apiVersion: v1, kind: Pod, metadata: {name: a}}, user: al, expect: allowed}";
    for (path, expected) in [
        ("/request/operation", json!("CREATE")),
        ("/request/resource", json!({"group": "", "version": "v1", "resource": "pods"})),
        ("/request/namespace", json!("default")),
        ("/namespaceObject/metadata/name", json!("default")),
        ("/request/userInfo/username", json!("al")),
        ("/request/userInfo/groups/0", json!("system:authenticated")),
        ("/oldObject", Value::Null),
    ] {
        check(Stage::Validator, pod, path, expected);
    }
    let gone =
        "{oldObject: {apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: x}}, expect: allowed}";
    check(Stage::Validator, gone, "/request/operation", json!("DELETE"));
    check(Stage::Validator, gone, "/request/resource/resource", json!("deployments"));
    check(Stage::Validator, gone, "/request/kind/group", json!("apps"));
    let node = "{object: {apiVersion: v1, kind: Node, metadata: {name: a}}, expect: allowed}";
    check(Stage::Validator, node, "/namespaceObject", Value::Null);
    let verb = "{user: {username: jo, groups: [dev]}, request: {verb: delete}, expect: allow}";
    check(Stage::Authorizer, verb, "/request/verb", json!("delete"));
    check(Stage::Authorizer, verb, "/user/groups", json!(["dev"]));
    let converted = "{desiredAPIVersion: a.io/v2, objects: [{apiVersion: a.io/v1, kind: Web}], expect: {refused: x}}";
    check(Stage::Converter, converted, "/request/resource", json!("webs"));
    let document = "{document: {request: {operation: CONNECT}}, expect: allowed}";
    check(Stage::Validator, document, "/request/operation", json!("CONNECT"));
}

#[test]
fn a_file_may_hold_several() {
    let text = "name: one\nexpect: allowed\n---\nobject: {}\nexpect: {denied: x}\n";
    let cases = parse(text, "a.yaml", Stage::Validator, &Resources::default()).expect("cases");
    let titles: Vec<&str> = cases.iter().map(|case| case.title.as_str()).collect();
    assert_eq!(titles, ["a.yaml: one", "a.yaml #2"]);
}

#[test]
fn mistakes_are_named() {
    let check = |text: &str, part: &str| {
        let error = parse(text, "a.yaml", Stage::Validator, &Resources::default()).err().expect("refused").to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("{objct: {}, expect: allowed}", "there is no \"objct\"");
    check("{object: {}}", "does not say what it expects");
    check("{document: {}, object: {}, expect: allowed}", "beside it");
    check("{cluster: {}, expect: allowed}", "cluster must be a list");
    check("{user: 3, expect: allowed}", "user must be");
    check("[1]", "a case is an object");
    check("{a: ", "a.yaml");
}

//! Tests of conversions and projections.

use super::*;
use crate::path::Pattern;
use serde_json::{Value, json};

#[test]
fn there_and_back() {
    for document in [
        json!(null),
        json!({"a": [1, -1, 1.5, u64::MAX, "x\u{0}é", true, null, {}, []], "b": {"c": {"d": "e"}}, "": 0}),
        json!([[[]]]),
    ] {
        let text = serde_json::to_vec(&document).expect("text");
        let bytes = from_json_slice(&text).expect("tape");
        assert_eq!(bytes, from_value(&document).expect("tape"));
        let tape = Tape::new(&bytes).expect("verified");
        assert_eq!(to_value(tape.root()), document);
        assert_eq!(serde_json::from_slice::<Value>(&to_json(tape)).expect("JSON"), document);
    }
}

#[test]
fn json_that_is_refused() {
    for text in ["", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", &"[".repeat(1000)] {
        assert!(from_json_slice(text.as_bytes()).is_err(), "{text:.20}");
    }
}

#[test]
fn the_last_of_repeated_keys_counts() {
    let bytes = from_json_slice(br#"{"a":1,"b":{"x":1,"x":{"y":2}},"a":3}"#).expect("tape");
    assert_eq!(to_value(Tape::new(&bytes).expect("verified").root()), json!({"a": 3, "b": {"x": {"y": 2}}}));
}

/// Projects from the value and from its tape, and compares the packed entries as JSON (absent as `"ABSENT"`).
fn check(document: &Value, paths: &[&str], expected: Value) {
    let patterns: Vec<Pattern> = paths.iter().map(|path| Pattern::parse(path).expect("pattern")).collect();
    let bytes = from_value(document).expect("tape");
    let tape = Tape::new(&bytes).expect("verified");
    for source in [document as &dyn Document, &tape] {
        let packed = project(source, &patterns).expect("projected");
        let root = Tape::new(&packed).expect("verified").root();
        let shown: Vec<Value> =
            root.iter().map(|entry| if entry.is_absent() { json!("ABSENT") } else { to_value(entry) }).collect();
        assert_eq!(Value::Array(shown), expected, "{paths:?}");
        let text = project_json(source, &patterns).expect("projected");
        let with_null =
            expected.as_array().expect("list").iter().map(|v| if v == "ABSENT" { Value::Null } else { v.clone() });
        assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), with_null.collect::<Value>(), "{paths:?}");
    }
}

#[test]
fn projections() {
    let document = json!({"object": {"metadata": {"labels": {"a/b": "1", "c": null}}, "spec": {"containers": [
        {"name": "x", "ports": [{"p": 1}, {"p": 2}]}, {"name": "y"}, {"ports": [{"p": 3}]}]}}, "request": {"operation": "CREATE"}});
    check(&document, &["/request/operation", "/none", "/object/metadata/labels/c"], json!(["CREATE", "ABSENT", null]));
    check(&document, &["/object/metadata/labels/a~1b", "/object/spec/containers/1/name"], json!(["1", "y"]));
    check(&document, &["/object/spec/containers/*/name"], json!([["x", "y"]]));
    check(&document, &["/object/spec/containers/*/ports/*/p", "/object/none/*"], json!([[1, 2, 3], []]));
    check(&document, &["/object/metadata/labels/*"], json!([["1", null]]));
    check(&document, &["/*/operation"], json!([["CREATE"]]));
    check(&document, &["", "/request"], json!([document, {"operation": "CREATE"}]));
    check(&document, &[], json!([]));
}

#[test]
fn lookups() {
    let document = json!({"object": {"a": [1, {"b": null}]}});
    let find =
        |pointer: &str| lookup(&document, pointer).map(|bytes| to_value(Tape::new(&bytes).expect("verified").root()));
    assert_eq!(find("/object/a/1"), Some(json!({"b": null})));
    assert_eq!(find("/object/a/1/b"), Some(Value::Null));
    assert_eq!(find(""), Some(document.clone()));
    assert_eq!((find("/object/a/9"), find("object"), find("/*")), (None, None, None));
}

#[test]
fn projections_are_bounded() {
    let big = json!({"object": {"a": vec!["x".repeat(1000); 1000]}});
    let patterns = vec![Pattern::parse("/object/a").expect("pattern"); 20];
    assert_eq!(project(&big, &patterns), Err(ProjectError::TooLarge));
}

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

/// A document whose members are shared by several projections.
struct Kept<'a>(&'a Value, Vec<(&'a String, Parts)>);

impl<'a> Kept<'a> {
    fn of(value: &'a Value) -> Self {
        let members = value.as_object().into_iter().flat_map(|members| members.keys());
        Self(value, members.map(|member| (member, Parts::default())).collect())
    }
}

impl Document for Kept<'_> {
    fn root(&self, member: &str) -> Option<Node<'_>> {
        Document::root(self.0, member)
    }

    fn members(&self) -> Vec<&str> {
        Document::members(self.0)
    }

    fn shared(&self, member: &str) -> Option<Shared<'_>> {
        let (_, parts) = self.1.iter().find(|(name, _)| *name == member)?;
        Some(Shared { value: self.0.get(member)?, parts })
    }
}

/// Projects from the value and from its tape, and compares the packed entries as JSON (absent as `"ABSENT"`).
fn check(document: &Value, paths: &[&str], expected: Value) {
    let patterns: Vec<Pattern> = paths.iter().map(|path| Pattern::parse(path).expect("pattern")).collect();
    let bytes = from_value(document).expect("tape");
    let tape = Tape::new(&bytes).expect("verified");
    let kept = Kept::of(document);
    for source in [document as &dyn Document, &tape, &kept, &kept] {
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
    check(&document, &["/object", "/object/spec", "/object/none", "/none"], {
        let object = &document["object"];
        json!([object, object["spec"], "ABSENT", "ABSENT"])
    });
    check(&document, &["/object/spec", "/object/metadata", "/object"], {
        let object = &document["object"];
        json!([object["spec"], object["metadata"], object])
    });
}

/// What is too deep for a tape is refused, also where parts of it are copied in.
#[test]
fn depth() {
    let nest = |depth| json!({"object": {"a": (0..depth).fold(json!(1), |inner, _| json!([inner]))}});
    for (depth, fits) in [(10, true), (126, true), (127, false), (140, false)] {
        let document = nest(depth);
        let kept = Kept::of(&document);
        for source in [&document as &dyn Document, &kept, &kept] {
            let packed = project(source, &[Pattern::parse("/object").expect("pattern")]);
            assert_eq!(packed.is_ok_and(|packed| Tape::new(&packed).is_ok()), fits, "{depth}");
        }
    }
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

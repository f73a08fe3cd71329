use super::*;
use crate::schema::{Field, ListShape, ListType, PatchStrategy, Schema, SchemaRef, Shape};
use serde_json::json;

fn check_json(document: Value, patch: Value, expected: Result<Value, u16>) {
    let found = json_patch(&document, patch.to_string().as_bytes()).map_err(|status| status.code);
    assert_eq!(found, expected, "{document} {patch}");
}

#[test]
fn json_patches() {
    let doc = json!({"a": {"b": [1, 2, 3]}, "x/y": 1});
    check_json(
        doc.clone(),
        json!([{"op": "add", "path": "/a/b/1", "value": 9}]),
        Ok(json!({"a": {"b": [1, 9, 2, 3]}, "x/y": 1})),
    );
    check_json(
        doc.clone(),
        json!([{"op": "add", "path": "/a/b/-", "value": 9}]),
        Ok(json!({"a": {"b": [1, 2, 3, 9]}, "x/y": 1})),
    );
    check_json(
        doc.clone(),
        json!([{"op": "remove", "path": "/x~1y"}, {"op": "test", "path": "/a/b/0", "value": 1.0}]),
        Ok(json!({"a": {"b": [1, 2, 3]}})),
    );
    check_json(
        doc.clone(),
        json!([{"op": "move", "from": "/a/b", "path": "/c"}]),
        Ok(json!({"a": {}, "c": [1, 2, 3], "x/y": 1})),
    );
    check_json(
        doc.clone(),
        json!([{"op": "copy", "from": "/a/b/0", "path": "/a/b/3"}]),
        Ok(json!({"a": {"b": [1, 2, 3, 1]}, "x/y": 1})),
    );
    check_json(doc.clone(), json!([{"op": "replace", "path": "", "value": {}}]), Ok(json!({})));
    // What is not there may be replaced, as in the reference.
    check_json(
        doc.clone(),
        json!([{"op": "replace", "path": "/none", "value": 1}]),
        Ok(json!({"a": {"b": [1, 2, 3]}, "none": 1, "x/y": 1})),
    );
    for bad in [
        json!([{"op": "test", "path": "/a/b", "value": 1}]),
        json!([{"op": "remove", "path": "/none"}]),
        json!([{"op": "replace", "path": "/none/x", "value": 1}]),
        json!([{"op": "replace", "path": "/a/b/9", "value": 1}]),
        json!([{"op": "add", "path": "/none/x", "value": 1}]),
        json!([{"op": "add", "path": "/a/b/4", "value": 1}]),
        json!([{"op": "frob", "path": "/a"}]),
        json!([{"op": "move", "from": "/a", "path": "/a/b/c"}]),
        json!([{"op": "add", "path": "a", "value": 1}]),
        json!([1]),
    ] {
        check_json(doc.clone(), bad, Err(422));
    }
    check_json(doc.clone(), json!({"op": "add"}), Err(400));
    check_json(doc, Value::Array(vec![json!({"op": "test", "path": ""}); 10_001]), Err(413));
    assert_eq!(
        json_patch(&Value::Null, b"[").map_err(|s| s.message),
        Err("error decoding patch: unexpected end of JSON input".into())
    );
}

#[test]
fn copies_are_bounded() {
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    check_json(json!({"a": ["x".repeat(1000)]}), Value::Array(vec![double; 40]), Err(422));
}

#[test]
fn merge_patches() {
    let check = |document: Value, patch: Value, expected: Result<Value, u16>| {
        assert_eq!(merge_patch(&document, &patch).map_err(|s| s.code), expected, "{patch}");
    };
    check(
        json!({"a": 1, "b": {"c": 2}}),
        json!({"a": null, "b": {"d": 3, "e": null}}),
        Ok(json!({"b": {"c": 2, "d": 3}})),
    );
    check(json!({"a": 1}), json!({"a": {"b": {"c": null}}}), Ok(json!({"a": {"b": {}}})));
    check(json!({"a": [1, 2]}), json!({"a": [3]}), Ok(json!({"a": [3]})));
    check(json!({"a": 1}), json!([]), Err(400));
    check(json!({"a": 1}), json!("x"), Err(400));
}

fn text() -> SchemaRef {
    Schema::plain(Shape::String)
}

fn list(name: &str, items: SchemaRef, merge: bool, key: Option<&str>) -> Field {
    let shape = ListShape { items, list_type: ListType::Atomic, map_keys: Vec::new() };
    Field {
        name: name.into(),
        schema: Schema::plain(Shape::List(shape)),
        required: false,
        default: None,
        emit: Default::default(),
        go_pointer: false,
        patch_strategy: PatchStrategy { merge, retain_keys: false },
        patch_merge_key: key.map(Into::into),
    }
}

/// A type with a list that merges by `name`, one that merges as a set, and one that does not merge.
fn schema() -> SchemaRef {
    let item = Schema::object("Item", vec![list("args", text(), false, None), list("tags", text(), true, None)]);
    Schema::object(
        "Thing",
        vec![
            list("items", item, true, Some("name")),
            list("finalizers", text(), true, None),
            list("plain", text(), false, None),
        ],
    )
}

fn check_strategic(document: Value, patch: Value, expected: Result<Value, &str>) {
    let found = strategic_merge(&document, &patch, &schema()).map_err(|s| s.message);
    assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e), "{document} {patch}");
}

#[test]
fn strategic_merges() {
    let doc = json!({"items": [{"name": "a", "v": 1, "args": ["x"]}, {"name": "b"}], "finalizers": ["f", "g"], "plain": ["1", "2"]});
    let with = |key: &str, value: Value| {
        let mut doc = doc.clone();
        doc[key] = value;
        doc
    };
    check_strategic(
        doc.clone(),
        json!({"items": [{"name": "b", "v": 2}]}),
        Ok(with("items", json!([{"name": "a", "v": 1, "args": ["x"]}, {"name": "b", "v": 2}]))),
    );
    check_strategic(
        doc.clone(),
        json!({"items": [{"name": "c"}]}),
        Ok(with("items", json!([{"name": "c"}, {"name": "a", "v": 1, "args": ["x"]}, {"name": "b"}]))),
    );
    check_strategic(
        doc.clone(),
        json!({"items": [{"name": "a", "$patch": "delete"}]}),
        Ok(with("items", json!([{"name": "b"}]))),
    );
    check_strategic(
        doc.clone(),
        json!({"items": [{"$patch": "replace"}, {"name": "z"}]}),
        Ok(with("items", json!([{"name": "z"}]))),
    );
    check_strategic(
        doc.clone(),
        json!({"$setElementOrder/items": [{"name": "b"}, {"name": "a"}], "items": [{"name": "a", "v": null}]}),
        Ok(with("items", json!([{"name": "b"}, {"name": "a", "args": ["x"]}]))),
    );
    check_strategic(doc.clone(), json!({"plain": ["3"]}), Ok(with("plain", json!(["3"]))));
    check_strategic(doc.clone(), json!({"finalizers": ["h"]}), Ok(with("finalizers", json!(["h", "f", "g"]))));
    check_strategic(
        doc.clone(),
        json!({"$deleteFromPrimitiveList/finalizers": ["f"]}),
        Ok(with("finalizers", json!(["g"]))),
    );
    check_strategic(
        json!({"m": {"a": 1, "b": 2}}),
        json!({"m": {"$patch": "replace", "c": 3}}),
        Ok(json!({"m": {"c": 3}})),
    );
    check_strategic(json!({"m": {"a": 1, "b": 2}}), json!({"m": {"$patch": "delete"}}), Ok(json!({"m": {}})));
    check_strategic(
        json!({"m": {"a": 1, "b": 2}}),
        json!({"m": {"$retainKeys": ["b", "c"], "c": 3}}),
        Ok(json!({"m": {"b": 2, "c": 3}})),
    );
    check_strategic(json!({}), json!({"m": {"a": null, "b": {"c": null}}}), Ok(json!({"m": {"b": {}}})));
    check_strategic(
        json!({}),
        json!({"items": [{"name": "a"}, {"name": "b", "$patch": "delete"}]}),
        Ok(json!({"items": [{"name": "a"}]})),
    );
    check_strategic(
        json!({"m": {"a": 1}}),
        json!({"m": {"$patch": "frob"}}),
        Err("unknown patch type: frob in map: map[$patch:frob]"),
    );
    check_strategic(
        json!({"m": {"a": 1}}),
        json!({"m": {"$retainKeys": ["b"], "c": 3}}),
        Err("invalid patch format of retainKeys"),
    );
    check_strategic(doc, json!({"items": [{"v": 1}]}), Err("map: map[v:1] does not contain declared merge key: name"));
}

#[test]
fn the_text_of_what_was_patched() {
    use crate::patch::{as_patched, touched_by};
    let schema = crate::schema::builtin::schema("io.k8s.api.core.v1.ConfigMap").unwrap();
    let object = json!({
        "kind": "ConfigMap", "apiVersion": "v1", "data": {"b": "1", "a": "2"},
        "metadata": {"name": "x", "labels": {"l": "1"}, "generateName": "y"},
    });
    let check = |touched: Value, expected: &str| assert_eq!(as_patched(&object, &schema, &touched), expected);
    check(
        json!({"data": {"b": "1"}}),
        r#"{"apiVersion":"v1","data":{"a":"2","b":"1"},"kind":"ConfigMap","metadata":{"name":"x","generateName":"y","labels":{"l":"1"}}}"#,
    );
    check(
        touched_by(&json!([{"op": "add", "path": "/metadata/labels/l", "value": "1"}])),
        r#"{"apiVersion":"v1","data":{"a":"2","b":"1"},"kind":"ConfigMap","metadata":{"generateName":"y","labels":{"l":"1"},"name":"x"}}"#,
    );
}

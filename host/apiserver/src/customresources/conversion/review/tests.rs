use super::*;
use serde_json::json;

fn sent() -> Value {
    json!({"kind": "K", "apiVersion": "g/v1", "metadata": {
        "name": "n", "namespace": "s", "uid": "u", "labels": {"a": "1"}, "generation": 3,
    }})
}

/// One object of `count` that are converted, changed by `change`.
fn check(count: usize, change: impl Fn(&mut Value), expected: Result<Value, &str>) {
    let all = vec![sent(); count];
    let mut converted = all.clone();
    converted.iter_mut().for_each(|object| object["apiVersion"] = "g/v2".into());
    change(&mut converted[count - 1]);
    let accepted = accept(&all, converted, "g/v2", "W for g/v1, Kind=K");
    let last = accepted.map(|accepted| accepted.last().map(|last| last["metadata"].clone()).unwrap_or_default());
    assert_eq!(last, expected.map_err(str::to_owned));
}

#[test]
fn only_labels_and_annotations_are_the_converters() {
    let metadata = |labels: Value| {
        let mut metadata = sent()["metadata"].clone();
        metadata["labels"] = labels;
        Ok(metadata)
    };
    check(1, |_| (), metadata(json!({"a": "1"})));
    check(1, |object| object["metadata"]["labels"] = json!({"b": "2"}), metadata(json!({"b": "2"})));
    check(2, |object| object["metadata"]["generation"] = json!(9), metadata(json!({"a": "1"})));
    let without = |object: &mut Value| drop(object["metadata"].as_object_mut().unwrap().remove("labels"));
    let mut bare = sent()["metadata"].clone();
    bare.as_object_mut().unwrap().remove("labels");
    check(1, without, Ok(bare));
}

#[test]
fn what_is_wrong_is_said_in_the_references_words() {
    let set = |pointer: &'static str, value: Value| {
        move |object: &mut Value| *object.pointer_mut(pointer).unwrap() = value.clone()
    };
    for (pointer, value, one, of_several) in [
        (
            "/apiVersion",
            json!("g/v1"),
            "W for g/v1, Kind=K returned invalid object at index 0: invalid groupVersion (expected g/v2, received g/v1)",
            "W for g/v1, Kind=K returned invalid converted object at index 1: invalid groupVersion (expected g/v2, \
             received g/v1)",
        ),
        (
            "/kind",
            json!("L"),
            "W for g/v1, Kind=K returned invalid object at index 0: invalid kind (expected K, received L)",
            "W for g/v1, Kind=K returned invalid converted object at index 1: invalid kind (expected K, received L)",
        ),
        (
            "/metadata/name",
            json!("m"),
            "W for g/v1, Kind=K returned invalid object: must have the same name: n != m",
            "W for g/v1, Kind=K returned invalid converted object at index 1: must have the same name: n != m",
        ),
        (
            "/metadata/uid",
            json!("w"),
            "W for g/v1, Kind=K returned invalid object: must have the same UID: u != w",
            "W for g/v1, Kind=K returned invalid converted object at index 1: must have the same UID: u != w",
        ),
        (
            "/metadata/labels",
            json!({"a": 1}),
            "W for g/v1, Kind=K returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted \
             object",
            "W for g/v1, Kind=K returned invalid metadata in object at index 1: metadata.labels[a] must be a string, but \
             is int64 in converted object",
        ),
        (
            "/metadata/labels",
            json!([]),
            "W for g/v1, Kind=K returned invalid metadata: invalid metadata.labels of type []interface {} in converted \
             object",
            "W for g/v1, Kind=K returned invalid metadata in object at index 1: invalid metadata.labels of type \
             []interface {} in converted object",
        ),
    ] {
        check(1, set(pointer, value.clone()), Err(one));
        check(2, set(pointer, value), Err(of_several));
    }
    let accepted = accept(&[sent(), sent()], vec![sent()], "g/v2", "W");
    assert_eq!(accepted, Err("W returned 1 objects, expected 2".to_owned()));
    let bad_label = accept(
        &[sent()],
        vec![json!({"kind": "K", "apiVersion": "g/v2", "metadata": {
            "name": "n", "namespace": "s", "uid": "u", "labels": {"a b": "1"},
        }})],
        "g/v2",
        "W",
    );
    assert!(bad_label.unwrap_err().starts_with("W returned invalid metadata: metadata.labels: Invalid value: \"a b\""));
}

use super::*;
use serde_json::json;

fn check(value: Value, expected: &str) {
    assert_eq!(to_yaml(&value), expected);
}

#[test]
fn writes_what_the_reference_writes() {
    check(
        json!({"kind": "PodList", "apiVersion": "v1", "items": [], "metadata": {"resourceVersion": "12"}}),
        "apiVersion: v1\nitems: []\nkind: PodList\nmetadata:\n  resourceVersion: \"12\"\n",
    );
    check(
        json!({"message": "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"}),
        "message: 'only the following media types are accepted: application/json;stream=watch,\n  application/vnd.kubernetes.protobuf;stream=watch'\n",
    );
    check(json!({"a": [{"b": 1, "c": ["x", "yes"]}], "e": {}}), "a:\n- b: 1\n  c:\n  - x\n  - \"yes\"\ne: {}\n");
    check(json!({"a": "one\ntwo\n", "b": "one\ntwo"}), "a: |\n  one\n  two\nb: |-\n  one\n  two\n");
    check(json!({"t": "2026-01-02T03:04:05Z", "u": "a: b"}), "t: \"2026-01-02T03:04:05Z\"\nu: 'a: b'\n");
    check(
        json!({"n": null, "b": true, "s": "-", "k": "1.5", "l": "80/TCP"}),
        "b: true\nk: \"1.5\"\nl: 80/TCP\n\"n\": null\ns: '-'\n",
    );
}

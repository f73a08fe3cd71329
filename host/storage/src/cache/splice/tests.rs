use super::*;

/// `wire` is expected of `value` at revision 7; `None`: refused.
fn check(value: &str, wire: Option<&str>) {
    let got = Wire::new(&Bytes::copy_from_slice(value.as_bytes()), 7);
    let Some(wire) = wire else {
        assert!(got.is_err(), "{value}");
        return;
    };
    let got = got.unwrap();
    let text = |wire: &Wire| {
        let bytes = wire.bytes();
        assert_eq!(bytes.len(), wire.len());
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert_eq!(text(&got), wire);
    let mut item = BytesMut::new();
    got.write_item(&mut item);
    let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(wire).unwrap();
    let mut bare: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&item).unwrap();
    assert!(item.starts_with(b"{\"metadata\":{\"resourceVersion\":\"7\""));
    bare.insert("kind".into(), whole["kind"].clone());
    bare.insert("apiVersion".into(), whole["apiVersion"].clone());
    assert_eq!(bare, whole);
    for later in [0, 9, 10, 1234, u64::MAX] {
        let number = format!("\"resourceVersion\":\"{later}\"");
        assert_eq!(text(&got.at(later)), wire.replace("\"resourceVersion\":\"7\"", &number));
    }
}

#[test]
fn resource_version_is_the_first_member_of_metadata() {
    check(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}"#,
        Some(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"a"},"spec":{}}"#),
    );
    check(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{}}"#,
        Some(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7"}}"#),
    );
    // A name inside of a member is not the object's own.
    check(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"annotations":{"resourceVersion":"x\"}"},"name":"a"}}"#,
        Some(
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","annotations":{"resourceVersion":"x\"}"},"name":"a"}}"#,
        ),
    );
}

#[test]
fn other_shapes_are_written_anew() {
    // Another order, white space, or a version that was stored.
    check(
        r#"{ "apiVersion":"v1", "kind":"Pod", "metadata":{"name":"a"}, "spec":{"b":[1,2]}}"#,
        Some(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"a"},"spec":{"b":[1,2]}}"#),
    );
    check(
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"3"}}"#,
        Some(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","name":"a"}}"#),
    );
    check(r#"{"kind":"Pod","apiVersion":"v1"}"#, None);
    check("k8s\0protobuf", None);
    check("[]", None);
}

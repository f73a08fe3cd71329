use super::*;

/// `wire` is expected of `value` at revision 7; `None`: refused.
fn check(value: &str, wire: Option<&str>) {
    let got = splice_resource_version(value.as_bytes(), 7);
    let Some(wire) = wire else {
        assert!(got.is_err(), "{value}");
        return;
    };
    let got = got.unwrap();
    assert_eq!(std::str::from_utf8(&got.wire).unwrap(), wire);
    assert_eq!(&got.wire[got.version.clone()], b"7");
    assert!(got.wire[got.item_offset..].starts_with(b"\"metadata\":{"));
    let (later, at) = with_revision(&got.wire, &got.version, 1234);
    assert_eq!(&later[at], b"1234");
    assert_eq!(
        std::str::from_utf8(&later).unwrap(),
        wire.replace("\"resourceVersion\":\"7\"", "\"resourceVersion\":\"1234\"")
    );
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

use serde_json::{Value, json};

use super::{Structural, defaults, embedded, formats, lists, prune, validate};

/// An object of these properties, which are those of the whole instance.
fn schema(properties: Value) -> Structural {
    Structural::read(&json!({"type": "object", "properties": properties}))
}

fn check_prune(properties: Value, mut given: Value, expected: Value, dropped: &[&str]) {
    assert_eq!(prune::prune(&mut given, &schema(properties)).unwrap(), dropped);
    assert_eq!(given, expected);
}

#[test]
fn unknown_fields_are_dropped() {
    let properties = || {
        json!({
            "spec": {"type": "object", "properties": {
                "n": {"type": "integer"},
                "l": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"known": {"type": "object", "properties": {"x": {"type": "integer"}}}}},
                "m": {"type": "object", "additionalProperties": {"type": "string"}},
                "emb": {"type": "object", "x-kubernetes-embedded-resource": true},
            }},
        })
    };
    check_prune(
        properties(),
        json!({"kind": "K", "apiVersion": "g/v", "metadata": {"name": "a", "zz": 1}, "zz": 1, "spec": {"n": 1, "q": {}}}),
        json!({"kind": "K", "apiVersion": "g/v", "metadata": {"name": "a"}, "spec": {"n": 1}}),
        &["metadata.zz", "spec.q", "zz"],
    );
    check_prune(
        properties(),
        json!({"spec": {"l": [{"a": "x"}, {"b": 1}], "m": {"k": "v"}, "free": {"y": {"z": 1}, "known": {"x": 1, "y": 2}}}}),
        json!({"spec": {"l": [{"a": "x"}, {}], "m": {"k": "v"}, "free": {"y": {"z": 1}, "known": {"x": 1}}}}),
        &["spec.free.known.y", "spec.l[1].b"],
    );
    check_prune(
        properties(),
        json!({"spec": {"emb": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "zz": 1}, "more": 1}}}),
        json!({"spec": {"emb": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}}}}),
        &["spec.emb.metadata.zz", "spec.emb.more"],
    );
}

#[test]
fn defaults_and_nulls() {
    let schema = schema(json!({
        "spec": {"type": "object", "default": {"a": 1}, "properties": {
            "a": {"type": "integer"},
            "b": {"type": "string", "default": "x"},
            "c": {"type": "string", "nullable": true},
            "d": {"type": "string"},
            "l": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
        }},
    }));
    let check = |mut given: Value, expected: Value| {
        defaults::apply(&mut given, &schema);
        assert_eq!(given, expected);
    };
    check(json!({}), json!({"spec": {"a": 1, "b": "x"}}));
    check(json!({"spec": {"b": "y"}}), json!({"spec": {"b": "y"}}));
    check(json!({"spec": {"b": null, "c": null, "d": null}}), json!({"spec": {"b": "x", "c": null}}));
    check(json!({"spec": {"l": [{}, {"p": "UDP"}]}}), json!({"spec": {"b": "x", "l": [{"p": "TCP"}, {"p": "UDP"}]}}));
}

fn check(property: Value, given: Value, old: Option<Value>, expected: &[&str]) {
    let schema = schema(json!({"spec": {"type": "object", "properties": {"x": property}}}));
    let wrap = |value: Value| json!({"spec": {"x": value}});
    let old = old.map(wrap);
    let causes = validate::validate(&wrap(given), old.as_ref(), &schema);
    let texts: Vec<String> =
        causes.iter().map(|cause| format!("{} {} {}", cause.reason, cause.field, cause.message)).collect();
    assert_eq!(texts, expected);
}

#[test]
fn keywords_in_the_references_words() {
    let type_error = |wanted: &str, found: &str| {
        format!(
            "FieldValueTypeInvalid spec.x Invalid value: \"{found}\": spec.x in body must be of type {wanted}: \"{found}\""
        )
    };
    check(json!({"type": "integer"}), json!("a"), None, &[&type_error("integer", "string")]);
    check(json!({"type": "string"}), json!(1), None, &[&type_error("string", "integer")]);
    check(json!({"type": "integer"}), json!(1.5), None, &[&type_error("integer", "number")]);
    check(json!({"type": "integer"}), json!(2.0), None, &[]);
    check(json!({"x-kubernetes-int-or-string": true}), json!(true), None, &[&type_error("integer,string", "boolean")]);
    check(json!({"type": "string"}), json!(null), None, &[&type_error("string", "null")]);
    check(json!({"type": "string", "nullable": true}), json!(null), None, &[]);
    let range = "FieldValueInvalid spec.x Invalid value: 0: spec.x in body should be greater than or equal to 1";
    check(json!({"type": "integer", "minimum": 1}), json!(0), None, &[range]);
    let enumerated = "FieldValueNotSupported spec.x Unsupported value: \"z\": supported values: \"a\", \"b\"";
    check(json!({"type": "string", "enum": ["a", "b"]}), json!("z"), None, &[enumerated]);
    let long = "FieldValueTooLong spec.x Too long: may not be more than 3 bytes";
    check(json!({"type": "string", "maxLength": 3}), json!("abcd"), None, &[long]);
    let many = "FieldValueTooMany spec.x Too many: 2: must have at most 1 item";
    check(json!({"type": "array", "maxItems": 1, "items": {"type": "integer"}}), json!([1, 2]), None, &[many]);
    let int32 = "FieldValueInvalid <nil> Invalid value: \"\": Checked value must be of type integer with format int32 in spec.x";
    check(json!({"type": "integer", "format": "int32"}), json!(5_000_000_000_i64), None, &[int32]);
    let one_of = json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    check(
        one_of.clone(),
        json!({}),
        None,
        &[
            "FieldValueInvalid <nil> Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found none valid",
            "FieldValueRequired spec.x.a Required value",
        ],
    );
    let both = "FieldValueInvalid <nil> Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found 2 valid alternatives";
    check(one_of, json!({"a": 1, "b": 1}), None, &[both]);
}

#[test]
fn unchanged_values_pass() {
    let long = "FieldValueTooLong spec.x Too long: may not be more than 3 bytes";
    check(json!({"type": "string", "maxLength": 3}), json!("abcd"), Some(json!("abcd")), &[]);
    check(json!({"type": "string", "maxLength": 3}), json!("abcd"), Some(json!("abce")), &[long]);
    // Items are told apart only where the list is a map.
    let list = |kind: &str| {
        json!({"type": "array", "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": ["k"], "items": {
            "type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}},
        }})
    };
    let (old, new) = (json!([{"k": "a", "v": 5}]), json!([{"k": "b", "v": 1}, {"k": "a", "v": 5}]));
    check(list("map"), new.clone(), Some(old.clone()), &[]);
    let over = "FieldValueInvalid spec.x[1].v Invalid value: 5: spec.x[1].v in body should be less than or equal to 1";
    check(list("atomic"), new, Some(old), &[over]);
}

#[test]
fn lists_and_embedded_resources() {
    let schema = schema(json!({
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {
            "type": "object", "properties": {"k": {"type": "string"}}}},
        "emb": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
    }));
    let found: Vec<String> = lists::duplicates(&json!({"set": ["a", "a"], "map": [{"k": "x"}, {"k": "x"}]}), &schema)
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    assert_eq!(found, ["map[1]: Duplicate value: {\"k\":\"x\"}", "set[1]: Duplicate value: \"a\""]);
    let found = embedded::check(&json!({"emb": {"kind": "X"}}), &schema);
    assert_eq!(found.iter().map(|cause| cause.field.as_str()).collect::<Vec<_>>(), ["emb.apiVersion"]);
}

#[test]
fn known_formats() {
    for (format, good, bad) in [
        ("date-time", "2024-01-02T03:04:05Z", "yesterday"),
        ("date", "2024-01-02", "2024-13-02"),
        ("ipv4", "10.0.0.1", "300.1.1.1"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
        ("byte", "aGk=", "***"),
        ("email", "a@b.example", "a"),
        ("hostname", "a.example", "-a"),
        ("uri", "https://a.example/x", "a b"),
        ("mac", "00:11:22:33:44:55", "00:11"),
        ("duration", "1h30m", "soon"),
        ("hexcolor", "#ff00aa", "#gg0000"),
    ] {
        assert!(formats::matches(format, good), "{format}: {good}");
        assert!(!formats::matches(format, bad), "{format}: {bad}");
    }
    assert!(formats::matches("anything-else", "x"));
}

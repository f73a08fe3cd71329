//! The rules against a few objects, and, where the corpus is at hand, against recorded answers ([`recorded`]).

mod definitions;
mod recorded;

use portcullis_sdk::testing::project;
use portcullis_sdk::{ErrorType, FieldError, Input};
use serde_json::{Value, json};

use super::*;

fn reason(error: &ErrorType) -> &'static str {
    match error {
        ErrorType::Required => "FieldValueRequired",
        ErrorType::Invalid => "FieldValueInvalid",
        ErrorType::NotSupported => "FieldValueNotSupported",
        ErrorType::Duplicate => "FieldValueDuplicate",
        ErrorType::Forbidden => "FieldValueForbidden",
        ErrorType::NotFound => "FieldValueNotFound",
        ErrorType::TooLong => "FieldValueTooLong",
        ErrorType::TooMany => "FieldValueTooMany",
        ErrorType::TypeInvalid => "FieldValueTypeInvalid",
    }
}

fn errors(object: &Value, old: Option<&Value>, group: &str, subresource: &str) -> Vec<FieldError> {
    let mut document = json!({"object": object});
    if let Some(old) = old {
        document["oldObject"] = old.clone();
    }
    let packed = project(&document, &["/object", "/oldObject"]);
    let input = Input::new(&packed);
    let kind = object["kind"].as_str().unwrap_or_default();
    let review = Review {
        object: input.get(0),
        old: input.get(1),
        update: old.is_some(),
        group,
        kind,
        subresource,
        allow_privileged: false,
    };
    validate(&review)
}

fn run(object: &Value, old: Option<&Value>, group: &str) -> Vec<(String, String)> {
    let errors = errors(object, old, group, "");
    errors.iter().map(|error| (reason(&error.error_type).to_owned(), error.field.clone())).collect()
}

/// Checks the (reason, field) pairs, or that there are none.
fn check(group: &str, object: Value, old: Option<Value>, expected: &[(&str, &str)]) {
    let found = run(&object, old.as_ref(), group);
    let expected: Vec<_> =
        expected.iter().map(|(reason, field)| (format!("FieldValue{reason}"), (*field).to_owned())).collect();
    assert_eq!(found, expected, "{object}");
}

#[test]
fn metadata() {
    let object = |meta: Value| json!({"kind": "Widget", "metadata": meta});
    check("example.com", object(json!({"name": "a.b"})), None, &[]);
    check("example.com", object(json!({})), None, &[("Required", "metadata.name")]);
    check("example.com", object(json!({"name": "A"})), None, &[("Invalid", "metadata.name")]);
    check("", json!({"kind": "Namespace", "metadata": {"name": "a.b"}}), None, &[("Invalid", "metadata.name")]);
    check("rbac.authorization.k8s.io", json!({"kind": "Role", "metadata": {"name": "system:x"}}), None, &[]);
    check(
        "example.com",
        object(json!({"name": "a", "labels": {"a b": "c d"}})),
        None,
        &[("Invalid", "metadata.labels"), ("Invalid", "metadata.labels")],
    );
    check("example.com", object(json!({"name": "a", "annotations": {"A.b/C": "anything"}})), None, &[]);
    check(
        "",
        json!({"kind": "ConfigMap", "metadata": {"name": "a", "finalizers": ["x"]}}),
        None,
        &[("Invalid", "metadata.finalizers[0]")],
    );
    let old = object(json!({"name": "a", "deletionTimestamp": "t", "finalizers": ["a/b"]}));
    check(
        "example.com",
        object(json!({"name": "a", "finalizers": ["a/b", "c/d"]})),
        Some(old),
        // Twice, as the reference finds it.
        &[("Forbidden", "metadata.finalizers"), ("Forbidden", "metadata.finalizers")],
    );
}

#[test]
fn messages() {
    let text = formats::dns_label("A").join("");
    assert_eq!(
        text,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
        with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    );
    let text = formats::label_value("-").join("");
    assert_eq!(
        text,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
        and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
        '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    );
}

#[test]
fn quantities() {
    let parse = crate::quantity::Quantity::parse;
    for (small, large) in
        [("500m", "1"), ("1", "1k"), ("1k", "1Ki"), ("999M", "1Gi"), ("-1", "0"), ("1e2", "101"), ("0.5", "501m")]
    {
        assert!(parse(small) < parse(large), "{small} {large}");
    }
    assert_eq!(parse("1"), parse("1000m"));
    assert_eq!(parse("x"), None);
}

#[test]
fn updates() {
    let map = |data: &str, immutable: bool| json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "immutable": immutable, "data": {"k": data}});
    check("", map("b", true), Some(map("a", true)), &[("Forbidden", "data")]);
    check("", map("b", true), Some(map("a", false)), &[]);
    let pod = |image: &str, policy: &str| {
        let container =
            json!({"name": "c", "image": image, "imagePullPolicy": "Always", "terminationMessagePolicy": "File"});
        let spec = json!({
            "restartPolicy": policy, "dnsPolicy": "Default", "terminationGracePeriodSeconds": 30,
            "containers": [container],
        });
        json!({"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}, "spec": spec})
    };
    check("", pod("b", "Always"), Some(pod("a", "Always")), &[]);
    check("", pod("b", "Never"), Some(pod("a", "Always")), &[("Forbidden", "spec")]);
}

//! Tests of decoding and of the normal form.

use serde_json::{Value, json};

use super::{Media, conform, decode, decode_as, encode};
use crate::schema::builtin::schema;

fn conformed(kind: &str, object: Value) -> Result<(Value, Vec<String>), String> {
    let mut object = object;
    let schema = schema(&format!("io.k8s.api.{kind}")).expect(kind);
    let unknown = conform(&mut object, &schema).map_err(|error| error.to_string())?;
    Ok((object, unknown))
}

#[test]
fn normal_form() {
    let check = |kind: &str, given: Value, expected: Value| {
        assert_eq!(conformed(kind, given.clone()), Ok((expected, vec![])), "{kind} {given}");
    };
    let pod = |container: Value| json!({"metadata": {}, "spec": {"containers": [container]}, "status": {}});
    check(
        "core.v1.Pod",
        json!({"spec": {"containers": [{"name": "a", "stdin": false, "command": [], "workingDir": ""}], "nodeName": ""}}),
        pod(json!({"name": "a", "resources": {}})),
    );
    check(
        "core.v1.Pod",
        json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]}}),
        pod(json!({"name": "a", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}})),
    );
    check("core.v1.ConfigMap", json!({"data": null, "metadata": {"labels": {}}}), json!({"metadata": {}}));
    check("rbac.v1.Role", json!({}), json!({"metadata": {}, "rules": null}));
}

#[test]
fn unknown_fields() {
    let check = |kind: &str, given: Value, expected: &[&str]| {
        let (_, unknown) = conformed(kind, given).unwrap();
        assert_eq!(unknown, expected);
    };
    check(
        "core.v1.Pod",
        json!({"spec": {"containers": [{"name": "a", "imaje": "x"}], "foo": 1}}),
        &["unknown field \"spec.containers[0].imaje\"", "unknown field \"spec.foo\""],
    );
}

#[test]
fn wrong_types() {
    let check = |kind: &str, given: Value, expected: &str| {
        assert_eq!(conformed(kind, given), Err(expected.to_owned()));
    };
    check(
        "core.v1.Pod",
        json!({"spec": {"hostNetwork": "yes"}}),
        "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
    );
    check(
        "apps.v1.Deployment",
        json!({"spec": {"replicas": 1.5}}),
        "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    );
    check("core.v1.Secret", json!({"data": {"a": "%%"}}), "illegal base64 data at input byte 0");
}

#[test]
fn duplicates() {
    let check = |body: &str, expected: &[&str]| {
        let decoded = decode(body.as_bytes(), Media::Json).unwrap();
        assert_eq!(decoded.strict_errors, expected, "{body}");
    };
    check(r#"{"a": 1, "a": 2}"#, &["duplicate field \"a\""]);
    check(r#"{"s": {"l": [{"x": 1}, {"x": 1, "x": 2, "x": 3}]}}"#, &["duplicate field \"s.l[1].x\""]);
    check(r#"{"a": {"x": 1}, "b": {"x": 1}}"#, &[]);
    let decoded = decode(br#"{"a": 1, "a": 2}"#, Media::Json).unwrap();
    assert_eq!(decoded.object, json!({"a": 2}));
}

#[test]
fn broken_bodies() {
    let check = |body: &str, expected: &str| {
        assert_eq!(decode(body.as_bytes(), Media::Json).unwrap_err().to_string(), expected, "{body}");
    };
    check("", "unexpected end of JSON input");
    check("{\"a\": ", "unexpected end of JSON input");
}

#[test]
fn yaml_is_the_same() {
    let schema = schema("io.k8s.api.core.v1.ConfigMap").unwrap();
    let yaml = "kind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: |\n    text\n";
    let json = r#"{"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "text\n"}}"#;
    assert_eq!(
        decode_as(yaml.as_bytes(), Media::Yaml, &schema).unwrap(),
        decode_as(json.as_bytes(), Media::Json, &schema).unwrap()
    );
}

#[test]
fn the_wire_form_begins_with_what_it_is() {
    let object = json!({"data": {"a": "b"}, "metadata": {"name": "x"}, "apiVersion": "v1", "kind": "ConfigMap"});
    let expected = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{"a":"b"}}"#;
    assert_eq!(encode(&object), expected);
}

#[test]
fn protobuf_round_trips() {
    let check = |given: Value| {
        let bytes = super::protobuf::encode(&given).expect("a message");
        let read = decode(&bytes, Media::Protobuf).unwrap().object;
        assert_eq!(super::protobuf::encode(&read).unwrap(), bytes, "{given}");
        let schema = crate::definition::Registry::builtin(&Default::default())
            .kind(
                crate::definition::split_api_version(crate::object::api_version(&given)).0,
                crate::definition::split_api_version(crate::object::api_version(&given)).1,
                crate::object::kind(&given),
            )
            .map(|definition| definition.schema.clone())
            .unwrap();
        let (mut read, mut given) = (read, given);
        conform(&mut read, &schema).unwrap();
        conform(&mut given, &schema).unwrap();
        assert_eq!(read, given);
    };
    check(json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"b": "aGk=", "a": ""}}));
    check(json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"labels": {"b": "1", "a": "2"}}, "spec": {
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 1}],
            "livenessProbe": {"httpGet": {"port": "http"}, "initialDelaySeconds": 0}}],
        "terminationGracePeriodSeconds": 0, "volumes": [{"name": "v", "emptyDir": {}}]}}));
    check(
        json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {"name": "a"},
        "spec": {"group": "g", "names": {"plural": "a", "kind": "A"}, "scope": "Cluster", "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "default": {"a": [1, null]}, "properties": {
                    "a": {"additionalProperties": {"type": "string"}}, "b": {"additionalProperties": false},
                    "c": {"type": "array", "items": {"type": "integer", "maximum": 1.5}}}}}}]}}),
    );
}

#[test]
fn protobuf_frames() {
    let status = crate::Status::expired("gone");
    let object = super::protobuf::encode(&serde_json::to_value(&status).unwrap()).unwrap();
    let frame = super::protobuf::watch_frame("ERROR", &object);
    let (length, event) = frame.split_at(4);
    assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, event.len());
    // Field 1 is the type, field 2 the object in a message of its own.
    assert_eq!(&event[..7], b"\x0a\x05ERROR");
    assert!(event.ends_with(&object));
}

#[test]
fn doubled_keys_of_yaml_are_told_by_line() {
    let check = |yaml: &str, expected: Value, errors: &[&str]| {
        let decoded = decode(yaml.as_bytes(), Media::Yaml).unwrap();
        assert_eq!((decoded.object, decoded.strict_errors), (expected, errors.iter().map(|e| (*e).into()).collect()));
    };
    check("a: 1\nb: 2\n", json!({"a": 1, "b": 2}), &[]);
    check("\na: 1\nb:\n  c: x\n  c: z\n", json!({"a": 1, "b": {"c": "z"}}), &["line 5: key \"c\" already set in map"]);
    let twice = &["line 1: key \"k\" already set in map"];
    check("{\"k\": 1, \"l\": {\"k\": 2, \"k\": 3}}", json!({"k": 1, "l": {"k": 3}}), twice);
    // The value's line is told.
    check("a: 1\na:\n  b: 1\n", json!({"a": {"b": 1}}), &["line 3: key \"a\" already set in map"]);
    check("- a: 1\n  a: 2\n", json!([{"a": 2}]), &["line 2: key \"a\" already set in map"]);
}

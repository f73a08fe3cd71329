use serde_json::{Value, json};

use super::{Known, Spec, addition};

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

#[track_caller]
fn check(own: &[(&str, Value)], expected_definitions: &Value, expected_paths: &Value) {
    let mut known = Known::default();
    own.iter().for_each(|(name, schema)| known.add(name, schema));
    let document = json!({
        "swagger": "2.0",
        "paths": {
            "/apis/wardle/v1/flunders": {"get": {"schema": reference("Flunder")}},
            "/apis/wardle/v1": {"get": {}},
            "/apis/wardle/v10/others": {"get": {"schema": reference("Other")}},
            "/apis/apps/v1/deployments": {"get": {"schema": reference("Other")}},
        },
        "definitions": {
            "Flunder": {"properties": {"metadata": reference("Meta"), "inner": reference("Flunder")}},
            "Meta": {"type": "object"},
            "Other": {"type": "string"},
        },
    });
    let found = addition(&document, "/apis/wardle/v1", &mut known);
    assert_eq!(json!(found.definitions), *expected_definitions);
    assert_eq!(json!(found.paths), *expected_paths);
}

#[test]
fn only_what_the_version_needs_is_taken() {
    check(
        &[],
        &json!({
            "Flunder": {"properties": {"metadata": reference("Meta"), "inner": reference("Flunder")}},
            "Meta": {"type": "object"},
        }),
        &json!({"/apis/wardle/v1/flunders": {"get": {"schema": reference("Flunder")}}, "/apis/wardle/v1": {"get": {}}}),
    );
}

#[test]
fn equal_types_are_shared_and_others_renamed() {
    check(
        &[("Meta", json!({"type": "object"})), ("Flunder", json!({})), ("Flunder_v2", json!({"type": "null"}))],
        &json!({"Flunder_v3": {"properties": {"metadata": reference("Meta"), "inner": reference("Flunder_v3")}}}),
        &json!({"/apis/wardle/v1/flunders": {"get": {"schema": reference("Flunder_v3")}}, "/apis/wardle/v1": {"get": {}}}),
    );
}

#[test]
fn other_documents_are_refused() {
    assert!(Spec::read(b"{", "").is_err());
    assert!(Spec::read(b"{\"openapi\": \"3.0.0\"}", "").is_err());
    let spec = Spec::read(b"{\"swagger\": \"2.0\"}", "").expect("a document");
    assert_eq!(spec.document(), json!({"swagger": "2.0"}));
    assert_eq!(spec.tag.len(), 64);
}

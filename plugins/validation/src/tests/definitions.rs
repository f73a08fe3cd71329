//! The rules of CustomResourceDefinitions: which errors a schema of one version has, and which a definition.

use serde_json::{Value, json};

use super::errors;

const PLACE: &str = "spec.validation.openAPIV3Schema";

fn definition(versions: Value) -> Value {
    json!({"kind": "CustomResourceDefinition", "metadata": {"name": "things.g.test"}, "spec": {
        "group": "g.test", "scope": "Cluster", "versions": versions,
        "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
    }, "status": {"storedVersions": ["v1"]}})
}

fn with_schema(schema: Value) -> Value {
    definition(json!([{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]))
}

/// The errors of a definition, as `field: detail`.
fn found(crd: &Value, old: Option<&Value>) -> Vec<String> {
    let errors = errors(crd, old, "apiextensions.k8s.io", "");
    errors.iter().map(|error| format!("{}: {}", error.field.replace(PLACE, "S"), error.detail)).collect()
}

/// The errors of a schema whose property `a` is this.
fn check(property: Value, expected: &[&str]) {
    let schema = json!({"type": "object", "properties": {"a": property}});
    assert_eq!(found(&with_schema(schema), None), expected, "{property}");
}

#[test]
fn what_restricts_defines_nothing() {
    check(json!({"type": "string", "anyOf": [{"minLength": 1}]}), &[]);
    check(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}), &[]);
    check(
        json!({"x-kubernetes-int-or-string": true,
            "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "^a"}]}),
        &[],
    );
    check(
        json!({"type": "string", "anyOf": [{"type": "string", "default": false, "nullable": true}], "not": {"title": "x"}}),
        &[
            "S.properties[a].anyOf[0].default: must be undefined to be structural",
            "S.properties[a].anyOf[0].nullable: must be false to be structural",
            "S.properties[a].anyOf[0].type: must be empty to be structural",
            "S.properties[a].not.title: must be empty to be structural",
        ],
    );
}

#[test]
fn what_the_root_restricts_is_defined() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}},
        "anyOf": [{"properties": {"a": {"minLength": 1}}}, {"properties": {"b": {"minLength": 1}}}]});
    let expected = ["S.properties[b]: because it is defined in S.anyOf[1].properties[b]"];
    let shown: Vec<String> = found(&with_schema(schema), None).iter().map(|text| text.replace(PLACE, "S")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn whole_objects_lists_and_defaults() {
    check(
        json!({"type": "object", "x-kubernetes-embedded-resource": true}),
        &["S.properties[a].properties: must not be empty if x-kubernetes-embedded-resource is true without \
           x-kubernetes-preserve-unknown-fields"],
    );
    check(
        json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"kind": {"type": "integer"}}}),
        &["S.properties[a].properties[kind].type: must be string"],
    );
    check(
        json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}),
        &["S.properties[a].x-kubernetes-preserve-unknown-fields: must be false if x-kubernetes-int-or-string is true"],
    );
    check(
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "k"], "items": {
            "type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}}),
        &["S.properties[a].x-kubernetes-list-map-keys: must not contain duplicate entries"],
    );
    check(
        json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string", "nullable": true}}),
        &["S.properties[a].items.nullable: cannot be nullable when x-kubernetes-list-type is set"],
    );
    let root = |more: Value| {
        let mut schema = json!({"type": "object"});
        more.as_object().unwrap().iter().for_each(|(key, value)| schema[key] = value.clone());
        found(&with_schema(schema), None)
    };
    assert_eq!(
        root(json!({"additionalProperties": {"type": "string"}})),
        ["S.additionalProperties: must not be used at the root"]
    );
    assert_eq!(
        root(
            json!({"properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}}})
        ),
        ["S.properties[metadata].properties[name].default: must not be set in top-level metadata"]
    );
    assert_eq!(
        root(json!({"properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}})),
        [
            "S.properties[metadata]: must not specify anything other than name and generateName, but metadata is implicitly \
          specified"
        ]
    );
}

#[test]
fn versions_columns_and_paths() {
    let version = |more: Value| {
        let mut version = json!({"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object"}}});
        more.as_object().unwrap().iter().for_each(|(key, value)| version[key] = value.clone());
        found(&definition(json!([version])), None)
    };
    assert_eq!(
        version(json!({"additionalPrinterColumns": [{"name": "x", "type": "text", "format": "f", "jsonPath": "a"}]})),
        [
            "spec.additionalPrinterColumns[0].type: must be one of boolean,date,integer,number,string",
            "spec.additionalPrinterColumns[0].format: must be one of \
             byte,date,date-time,double,float,int32,int64,password",
            "spec.additionalPrinterColumns[0].JSONPath: must be a simple json path starting with .",
        ]
    );
    assert_eq!(
        version(json!({"subresources": {"scale": {"specReplicasPath": ".status.x", "statusReplicasPath": "x",
            "labelSelectorPath": ".metadata.x"}}})),
        [
            "spec.subresources.scale.specReplicasPath: should be a json path under .spec",
            "spec.subresources.scale.statusReplicasPath: must be a simple json path starting with .",
            "spec.subresources.scale.labelSelectorPath: should be a json path under either .spec or .status",
        ]
    );
    assert_eq!(
        version(json!({"deprecationWarning": "x"})),
        ["spec.versions[0].deprecationWarning: can only be set for deprecated versions"]
    );
    assert_eq!(
        version(json!({"deprecated": true, "deprecationWarning": "a\u{7}"})),
        ["spec.versions[0].deprecationWarning: must only contain printable UTF-8 characters; non-printable character \
          found at index 1"]
    );
}

/// Versions in a message look as the reference keeps them: with all members of their schemas, and without what all
/// versions have in common.
#[test]
fn versions_in_a_message() {
    let shown = |second: Value| {
        let schema =
            json!({"openAPIV3Schema": {"type": "object", "properties": {"a": {"additionalProperties": false}}}});
        let first = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
        let crd = definition(json!([first, second]));
        let errors = errors(&crd, None, "apiextensions.k8s.io", "");
        errors.iter().find(|error| error.detail.contains("exactly one version")).map(|error| error.value.clone())
    };
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"a": {"additionalProperties": false}}}});
    let same = shown(json!({"name": "v2", "served": true, "storage": true, "schema": schema})).unwrap();
    assert_eq!(same.matches(r#""Schema":null"#).count(), 2, "{same}");
    let other = json!({"name": "v2", "served": true, "storage": true, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object"}}});
    let other = shown(other).unwrap();
    for part in [
        r#"{"Name":"v1","Served":true,"Storage":true,"Deprecated":false,"DeprecationWarning":null,"Schema":{"OpenAPIV3Schema":{"ID":"","Schema":"","Ref":null,"#,
        r#""Properties":{"a":{"ID":"","#,
        r#""AdditionalProperties":{"Allows":false,"Schema":null},"#,
        r#""Subresources":{"Status":{},"Scale":null},"AdditionalPrinterColumns":null,"SelectableFields":null}]"#,
    ] {
        assert!(other.contains(part), "{part} is not in {other}");
    }
}

#[test]
fn a_generated_name_is_no_definitions_name() {
    let mut crd = with_schema(json!({"type": "object"}));
    crd["metadata"] = json!({"generateName": "Gen_", "name": "Gen_x"});
    let fields: Vec<String> =
        errors(&crd, None, "apiextensions.k8s.io", "").into_iter().map(|error| error.field).collect();
    assert_eq!(fields, ["metadata.generateName", "metadata.generateName", "metadata.name", "metadata.name"]);
}

#[test]
fn an_update_need_not_mend_what_was_so() {
    let schema = |nullable: bool| {
        json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "set",
            "items": {"type": "string", "nullable": nullable}}}})
    };
    let (good, bad) = (with_schema(schema(false)), with_schema(schema(true)));
    assert_eq!(found(&bad, Some(&good)).len(), 1);
    assert_eq!(found(&bad, Some(&bad)), [""; 0]);
    let mut community = good.clone();
    community["spec"]["group"] = "g.k8s.io".into();
    community["metadata"]["name"] = "things.g.k8s.io".into();
    assert_eq!(found(&community, None).len(), 1, "no approval");
    assert_eq!(found(&community, Some(&community)), [""; 0]);
    community["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "https://example.com/1"});
    assert_eq!(found(&community, None), [""; 0]);
}

#[test]
fn conversion() {
    let check = |conversion: Value, expected: &[&str]| {
        let mut crd = with_schema(json!({"type": "object"}));
        crd["spec"]["conversion"] = conversion;
        assert_eq!(found(&crd, None), expected);
    };
    check(json!({"strategy": "None"}), &[]);
    check(
        json!({"strategy": "Webhook"}),
        &[
            "spec.conversion.webhookClientConfig: required when strategy is set to Webhook",
            "spec.conversion.conversionReviewVersions: ",
        ],
    );
    let webhook = |versions: &[&str]| {
        json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://a.example/x"},
            "conversionReviewVersions": versions}})
    };
    check(webhook(&["v1"]), &[]);
    check(webhook(&["v1", "v1"]), &["spec.conversion.conversionReviewVersions[1]: duplicate version"]);
    check(webhook(&["v7"]), &["spec.conversion.conversionReviewVersions: must include at least one of v1, v1beta1"]);
}

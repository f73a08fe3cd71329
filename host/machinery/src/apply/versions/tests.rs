use serde_json::json;

use super::*;
use crate::apply::{apply, track_update};
use crate::object;
use crate::structural::graph;

/// `spec.one` of v1 is `spec.two` in v2; `spec.both` is in both.
#[derive(Debug)]
struct Renamed {
    v1: SchemaRef,
    v2: SchemaRef,
}

impl Renamed {
    fn new() -> Self {
        let of = |field: &str| {
            let text = json!({"type": "string"});
            let map = json!({"type": "object", "additionalProperties": text});
            let spec = json!({"type": "object", "properties": {field: text, "both": text, "selector": map}});
            graph::schema("T", &json!({"type": "object", "properties": {"spec": spec}}))
        };
        Self { v1: of("one"), v2: of("two") }
    }

    fn writer<'a>(&'a self, manager: &'a str, api_version: &'a str) -> Writer<'a> {
        let now = "2026-01-02T03:04:05Z".parse().expect("time");
        let schema = if api_version == "g/v1" { &self.v1 } else { &self.v2 };
        Writer { manager, subresource: "", api_version, schema, reset_fields: &[], now, versions: Some(self) }
    }
}

impl Versions for Renamed {
    fn schema(&self, api_version: &str) -> Option<&SchemaRef> {
        match api_version {
            "g/v1" => Some(&self.v1),
            "g/v2" => Some(&self.v2),
            _ => None,
        }
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        let mut object = object.clone();
        let (from, to) = if api_version == "g/v2" { ("one", "two") } else { ("two", "one") };
        if let Some(value) = object::remove_at(&mut object, &["spec", from]) {
            object::set_at(&mut object, &["spec", to], value);
        }
        object::set_at(&mut object, &["apiVersion"], api_version);
        Some(object)
    }
}

fn thing(version: &str, spec: Value) -> Value {
    json!({"apiVersion": version, "kind": "T", "metadata": {"name": "x"}, "spec": spec})
}

/// Who owns which fields of the spec.
fn owners(object: &Value) -> Vec<(String, String, Vec<String>)> {
    let entries = object::list_at(object, &["metadata", "managedFields"]).iter();
    let owner = |entry: &Value| {
        let text = |key: &str| object::str_at(entry, &[key]).unwrap_or_default().to_owned();
        let spec = object::get_at(entry, &["fieldsV1", "f:spec"]).and_then(Value::as_object);
        let fields = spec.into_iter().flat_map(|spec| spec.keys()).filter(|key| *key != ".").cloned().collect();
        (text("manager"), text("apiVersion"), fields)
    };
    entries.map(owner).collect()
}

fn owned(entries: &[(&str, &str, &[&str])]) -> Vec<(String, String, Vec<String>)> {
    let text = |text: &&str| (*text).to_owned();
    entries
        .iter()
        .map(|(name, version, fields)| (text(name), text(version), fields.iter().map(text).collect()))
        .collect()
}

#[test]
fn owners_are_asked_in_their_own_version() {
    let types = Renamed::new();
    let blank = thing("g/v1", json!({}));
    let first = types.writer("first", "g/v1");
    let live = apply(&blank, &thing("g/v1", json!({"one": "a", "both": "b"})), false, &first).unwrap();
    let live = types.convert(&live, "g/v2").unwrap();
    let second = types.writer("second", "g/v2");
    let wanted = thing("g/v2", json!({"two": "z"}));
    let refused = apply(&live, &wanted, false, &second).unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"first\": .spec.one");
    let taken = apply(&live, &wanted, true, &second).unwrap();
    assert_eq!(owners(&taken), owned(&[("first", "g/v1", &["f:both"]), ("second", "g/v2", &["f:two"])]));

    // What an applier no longer names goes, though it named it in another version.
    let again = apply(&taken, &thing("g/v2", json!({})), false, &types.writer("first", "g/v2")).unwrap();
    assert_eq!(again["spec"], json!({"two": "z"}));

    // An update in one version takes from whoever owned the field in the other.
    let mut updated = types.convert(&taken, "g/v1").unwrap();
    updated["spec"]["one"] = "y".into();
    let stored = types.convert(&taken, "g/v1").unwrap();
    track_update(Some(&stored), &mut updated, &types.writer("third", "g/v1"));
    assert_eq!(owners(&updated), owned(&[("first", "g/v1", &["f:both"]), ("third", "g/v1", &["f:one"])]));
}

#[test]
fn owners_of_a_version_that_is_gone_own_nothing() {
    let types = Renamed::new();
    let mut live = thing("g/v1", json!({"one": "a"}));
    live["metadata"]["managedFields"] = json!([{"manager": "old", "operation": "Apply", "apiVersion": "g/v0",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:one": {}}}}]);
    let applied = apply(&live, &thing("g/v1", json!({"one": "z"})), false, &types.writer("new", "g/v1")).unwrap();
    assert_eq!(owners(&applied), owned(&[("new", "g/v1", &["f:one"])]));
}

#[test]
fn a_custom_map_named_selector_is_owned_key_by_key() {
    let types = Renamed::new();
    let map = |key: &str| thing("g/v1", json!({"selector": {key: "x"}}));
    let live = apply(&thing("g/v1", json!({})), &map("a"), false, &types.writer("first", "g/v1")).unwrap();
    let both = apply(&live, &map("b"), false, &types.writer("second", "g/v1")).unwrap();
    assert_eq!(both["spec"]["selector"], json!({"a": "x", "b": "x"}));
}

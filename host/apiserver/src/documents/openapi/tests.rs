use std::io::Read as _;
use std::sync::Arc;

use flate2::read::GzDecoder;
use http::HeaderMap;
use portcullis_machinery::Value;
use portcullis_machinery::definition::{Registry, RuntimeConfig};

use super::{Form, OpenApi, PROTOBUF_V2, form};

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).expect("compressed");
    plain
}

#[track_caller]
fn check_accept(accept: &str, expected: Option<&str>) {
    let mut headers = HeaderMap::new();
    if !accept.is_empty() {
        headers.insert("accept", accept.parse().expect("a header"));
    }
    let found = form(&headers).map(|form| if form == Form::Json { "json" } else { "protobuf" });
    assert_eq!(found, expected, "{accept}");
}

#[test]
fn the_first_form_that_is_taken() {
    check_accept("", Some("json"));
    check_accept("*/*", Some("json"));
    check_accept("application/json", Some("json"));
    check_accept(PROTOBUF_V2, Some("protobuf"));
    check_accept("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", Some("protobuf"));
    check_accept(
        "application/json;q=0.5, application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        Some("protobuf"),
    );
    check_accept("text/html, application/json", Some("json"));
    check_accept("text/html", None);
}

#[test]
fn documents_are_made_once_for_what_is_served() {
    let registry = Arc::new(Registry::builtin(&RuntimeConfig::default()));
    let (open_api, services) = (OpenApi::default(), Arc::default());
    let documents = open_api.of(Arc::clone(&registry), Arc::clone(&services));
    assert!(Arc::ptr_eq(&documents, &open_api.of(Arc::clone(&registry), Arc::clone(&services))));
    let apps = documents.version("apis/apps/v1").expect("apps are served");
    let later = open_api.of(Arc::new(registry.with_custom(Vec::new())), Arc::clone(&services));
    assert!(!Arc::ptr_eq(&documents, &later));
    // What has not changed is not made again.
    assert_eq!(later.version("apis/apps/v1").expect("still served").as_ptr(), apps.as_ptr());
    assert_eq!(later.tag, documents.tag);
    assert!(documents.version("apis/nothing/v1").is_none());
}

#[test]
fn everything_in_both_forms() {
    let documents = OpenApi::default().of(Arc::new(Registry::builtin(&RuntimeConfig::default())), Arc::default());
    let json = text(&documents.everything(Form::Json));
    let document: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(document["swagger"], "2.0");
    let pod = &document["definitions"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["x-kubernetes-group-version-kind"][0]["kind"], "Pod");
    assert!(pod["description"].as_str().is_some_and(|text| text.contains("container")));
    assert!(document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"].is_object());
    // Every reference leads somewhere: kubectl refuses a document with one that does not.
    let names = document["definitions"].as_object().expect("types");
    let mut dangling = Vec::new();
    references(&document, &mut |name| {
        if !names.contains_key(name) {
            dangling.push(name.to_owned());
        }
    });
    assert_eq!(dangling, Vec::<String>::new());
    let message = text(&documents.everything(Form::Protobuf));
    assert!(message.starts_with(b"\x0a\x032.0"));
    assert!(message.windows(22).any(|window| window == b"io.k8s.api.core.v1.Pod"));
}

fn references(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(reference) if key == "$ref" => visit(reference.trim_start_matches("#/definitions/")),
                    _ => references(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, visit)),
        _ => {}
    }
}

//! Custom resources in two versions, with a converter that counts its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Fixture, fixture};
use crate::customresources::conversion::{Converter, Converters};

/// Calls `spec.one` of v1 `spec.two` in v2.
#[derive(Default)]
struct Renaming {
    calls: AtomicUsize,
    objects: AtomicUsize,
    broken: AtomicBool,
}

struct Named(Arc<Renaming>);

impl Converters for Named {
    fn find(&self, plugin: &str, group: &str, resource: &str) -> Result<Arc<dyn Converter>, String> {
        assert_eq!((group, resource), ("g.test", "things"));
        if plugin == "renaming" { Ok(Arc::clone(&self.0) as Arc<dyn Converter>) } else { Err("nobody".to_owned()) }
    }
}

impl Converter for Renaming {
    fn serial(&self) -> u64 {
        7
    }

    fn convert(&self, document: Value) -> Result<Vec<Value>, String> {
        if self.broken.load(Ordering::Relaxed) {
            return Err("broken".to_owned());
        }
        let wanted = document["request"]["desiredAPIVersion"].as_str().unwrap().to_owned();
        let mut objects = document["objects"].as_array().unwrap().clone();
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.objects.fetch_add(objects.len(), Ordering::Relaxed);
        for object in &mut objects {
            assert!(object["metadata"].get("resourceVersion").is_none(), "{object}");
            let (from, to) = if wanted == "g.test/v2" { ("one", "two") } else { ("two", "one") };
            object["apiVersion"] = wanted.as_str().into();
            let value = object["spec"].as_object_mut().unwrap().remove(from);
            value.map(|value| object["spec"][to] = value);
        }
        Ok(objects)
    }
}

fn crd(plugin: &str) -> Value {
    let version = |name: &str, field: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {field: {"type": "string"}}}},
        }}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.g.test", "annotations": {"plugins.portcullis.dev/converter": plugin}},
        "spec": {"group": "g.test", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
            "versions": [version("v1", "one", true), version("v2", "two", false)]}})
}

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const V1: &str = "/apis/g.test/v1/things";
const V2: &str = "/apis/g.test/v2/things";

async fn with_crd(plugin: &str) -> (Fixture, Arc<Renaming>) {
    let fixture = fixture().await;
    let converter = Arc::new(Renaming::default());
    assert!(fixture.server.converters.set(Arc::new(Named(Arc::clone(&converter)))).is_ok());
    let (code, answer) = fixture.admin("POST", CRDS, crd(plugin)).await;
    assert_eq!(code, 201, "{answer}");
    for _ in 0..200 {
        if fixture.admin("GET", V2, Value::Null).await.0 == 200 {
            return (fixture, converter);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the definition is not served");
}

fn thing(version: &str, name: &str, field: &str) -> Value {
    json!({"apiVersion": format!("g.test/{version}"), "kind": "Thing", "metadata": {"name": name}, "spec": {field: name}})
}

#[tokio::test]
async fn a_form_is_made_once_and_a_list_is_one_batch() {
    let (fixture, converter) = with_crd("renaming").await;
    for name in ["a", "b", "c"] {
        let (code, answer) = fixture.admin("POST", V1, thing("v1", name, "one")).await;
        assert_eq!(code, 201, "{answer}");
    }
    assert_eq!(converter.calls.load(Ordering::Relaxed), 0);
    let (lists, get) = tokio::join!(
        futures::future::join_all((0..4).map(|_| fixture.admin("GET", V2, Value::Null))),
        fixture.admin("GET", "/apis/g.test/v2/things/b", Value::Null)
    );
    for (code, list) in lists {
        let items: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["spec"]).collect();
        assert_eq!((code, items), (200, vec![&json!({"two": "a"}), &json!({"two": "b"}), &json!({"two": "c"})]));
    }
    assert_eq!((get.0, &get.1["spec"], &get.1["apiVersion"]), (200, &json!({"two": "b"}), &json!("g.test/v2")));
    assert_eq!(converter.objects.load(Ordering::Relaxed), 3, "each object is converted once for all who ask");
    assert_eq!(converter.calls.load(Ordering::Relaxed), 1);
    // A write is converted to the stored version, and what is answered is what a read gives.
    let (code, answer) = fixture.admin("POST", V2, thing("v2", "d", "two")).await;
    assert_eq!((code, &answer["spec"], &answer["apiVersion"]), (201, &json!({"two": "d"}), &json!("g.test/v2")));
    let (_, stored) = fixture.admin("GET", "/apis/g.test/v1/things/d", Value::Null).await;
    assert_eq!((&stored["spec"], &stored["apiVersion"]), (&json!({"one": "d"}), &json!("g.test/v1")));
}

#[tokio::test]
async fn what_cannot_be_converted_is_not_half_applied() {
    let check = async |plugin: &str, why: &str| {
        let (fixture, converter) = with_crd(plugin).await;
        converter.broken.store(true, Ordering::Relaxed);
        assert_eq!(fixture.admin("POST", V1, thing("v1", "a", "one")).await.0, 201);
        let of =
            |version: &str| format!("conversion by plugin {plugin:?} for g.test/{version}, Kind=Thing failed: {why}");
        for (method, path, body, from) in [
            ("GET", V2, Value::Null, "v1"),
            ("GET", "/apis/g.test/v2/things/a", Value::Null, "v1"),
            ("DELETE", "/apis/g.test/v2/things/a", Value::Null, "v1"),
            ("POST", V2, thing("v2", "b", "two"), "v2"),
        ] {
            let (code, status) = fixture.admin(method, path, body).await;
            let message = status["message"].as_str().unwrap_or_default();
            assert_eq!((code, &status["reason"]), (500, &Value::Null), "{method} {path}: {status}");
            // Where nobody converts at all, it is the request's version that is told.
            assert!(message == of(from) || message == of("v2"), "{method} {path}: {message}");
        }
        let (code, list) = fixture.admin("GET", V1, Value::Null).await;
        assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 1), "reads of the stored version go on");
    };
    check("renaming", "broken").await;
    check("nobody", "nobody").await;
}

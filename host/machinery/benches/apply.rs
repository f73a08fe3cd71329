//! What server-side apply costs: `cargo bench -p portcullis-machinery --bench apply`.
//!
//! Objects of 100 fields, a ConfigMap of 100 keys and a Pod of 20 containers with five fields each, that one manager
//! applied: applied again as they are, with one field changed, and by a second manager who shares all and changes one.
//! One thread; the least of many rounds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_machinery::Value;
use portcullis_machinery::apply::{Writer, apply};
use portcullis_machinery::codec::encode;
use portcullis_machinery::schema::{SchemaRef, builtin};
use serde_json::json;

const LASTS: Duration = Duration::from_millis(300);

/// The least microseconds that `work` takes.
fn least<T>(mut work: impl FnMut() -> T) -> f64 {
    let (began, mut best) = (Instant::now(), Duration::MAX);
    while began.elapsed() < LASTS {
        let start = Instant::now();
        black_box(work());
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e6
}

fn writer<'a>(manager: &'a str, schema: &'a SchemaRef) -> Writer<'a> {
    let now = Timestamp::UNIX_EPOCH;
    Writer { manager, subresource: "", api_version: "v1", schema, reset_fields: &[&["status"]], now, versions: None }
}

fn config_map(first: &str) -> Value {
    let data: Value =
        (0..100).map(|n| (format!("key-{n:02}"), if n == 0 { first.into() } else { json!("value") })).collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": data})
}

fn pod(first: &str) -> Value {
    let container = |n: usize| {
        json!({"name": format!("c{n}"), "image": if n == 0 { first } else { "registry.example/app:1" },
            "workingDir": "/", "imagePullPolicy": "Always", "terminationMessagePath": "/dev/log"})
    };
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"},
        "spec": {"containers": (0..20).map(container).collect::<Vec<_>>()}})
}

fn row(what: &str, micros: f64, bytes: usize) {
    println!("{what:<64} {micros:>9.1} µs {bytes:>8} bytes");
}

fn main() {
    type Make = fn(&str) -> Value;
    for (kind, make) in [("ConfigMap", config_map as Make), ("Pod", pod as Make)] {
        let schema = builtin::schema(&format!("io.k8s.api.core.v1.{kind}")).expect("a type");
        let (wanted, other) = (make("one"), make("two"));
        let identity = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "default"}});
        let mut live = apply(&identity, &wanted, false, &writer("one", &schema)).expect("applied");
        live["metadata"]["uid"] = json!("a");
        let shared = apply(&live, &wanted, false, &writer("two", &schema)).expect("shared");
        let cases = [
            ("created", &identity, &wanted, "one"),
            ("applied again", &live, &wanted, "one"),
            ("applied with one field changed", &live, &other, "one"),
            ("shared by two managers, the second applies again", &shared, &wanted, "two"),
            ("taken from another manager with force", &shared, &other, "two"),
        ];
        for (what, live, wanted, manager) in cases {
            let writer = writer(manager, &schema);
            let bytes = encode(&apply(live, wanted, true, &writer).expect("applied")).len();
            row(&format!("{kind} of 100 fields, {what}"), least(|| apply(live, wanted, true, &writer)), bytes);
        }
    }
}

//! What the forms of an object on the wire cost: `cargo bench -p portcullis-machinery --bench wire`.
//!
//! Of each golden vector, where their folder is present, and of a few documents of its own otherwise: JSON read and made
//! to fit its type, JSON written, protobuf read and written, and each form made from the other. One thread; the least of
//! many rounds, since the question is what the work costs.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portcullis_machinery::Value;
use portcullis_machinery::codec::{Media, conform, decode, decode_as, encode, protobuf};
use portcullis_machinery::definition::{Registry, RuntimeConfig, split_api_version};
use portcullis_machinery::{object, schema::SchemaRef};
use serde_json::json;

/// How long each number may take.
const LASTS: Duration = Duration::from_millis(20);

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

/// Documents for where there are no vectors.
fn own() -> Vec<Value> {
    let container = |n: usize| {
        json!({"name": format!("c{n}"), "image": "registry.example/app:1", "args": ["--a", "--b"],
            "env": [{"name": "A", "value": "b"}], "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5}})
    };
    let metadata = json!({"name": "a", "namespace": "default", "labels": {"app": "a", "tier": "front"}});
    let pod = json!({"containers": [container(0), container(1)], "volumes": [{"name": "v", "emptyDir": {}}]});
    vec![
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": pod}),
        json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": metadata, "spec": {"replicas": 3,
            "selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": metadata, "spec": pod}}}),
        json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/24"},
            "status": {"capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}),
    ]
}

fn documents() -> Vec<Value> {
    let shared = std::env::var_os("PORTCULLIS_SHARED").map_or_else(|| "../../../shared".into(), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("kubernetes-1.36/wire")) else { return own() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let texts = paths.into_iter().filter_map(|path| std::fs::read(path).ok());
    texts.filter_map(|text| serde_json::from_slice(&text).ok()).collect()
}

fn measure(name: &str, document: &Value, schema: &SchemaRef) -> Option<[f64; 6]> {
    let text = encode(document);
    let bytes = protobuf::encode(document)?;
    let typed = decode_as(&text, Media::Json, schema).ok()?.object;
    let from_protobuf = |bytes: &[u8]| {
        let mut found = decode(bytes, Media::Protobuf).ok()?.object;
        conform(&mut found, schema).ok()?;
        Some(found)
    };
    let times = [
        least(|| decode_as(&text, Media::Json, schema)),
        least(|| encode(&typed)),
        least(|| from_protobuf(&bytes)),
        least(|| protobuf::encode(&typed)),
        least(|| decode_as(&text, Media::Json, schema).ok().and_then(|read| protobuf::encode(&read.object))),
        least(|| from_protobuf(&bytes).map(|read| encode(&read))),
    ];
    print!("{name:<58} {:>7} {:>7}", text.len(), bytes.len());
    times.iter().for_each(|time| print!(" {time:>8.1}"));
    println!();
    Some(times)
}

fn main() {
    println!("{:<58} {:>15} {:>54}", "", "bytes", "microseconds: decode and encode, and from one to the other");
    let columns = ["json", "protobuf", "json in", "json out", "pb in", "pb out", "json>pb", "pb>json"];
    print!("{:<58}", "kind");
    columns.iter().for_each(|column| print!(" {column:>8}"));
    println!();
    let registry = Registry::builtin(&RuntimeConfig { all: true, ..RuntimeConfig::default() });
    let mut all = Vec::new();
    for document in documents() {
        let (group, version) = split_api_version(object::api_version(&document));
        let Some(definition) = registry.kind(group, version, object::kind(&document)) else { continue };
        let name = format!("{} {}", definition.api_version(), definition.kind);
        all.extend(measure(&name, &document, &definition.schema));
    }
    print!("{:<74}", format!("mean of {}", all.len()));
    for column in 0..6 {
        print!(" {:>8.1}", all.iter().map(|times| times[column]).sum::<f64>() / all.len().max(1) as f64);
    }
    println!();
}

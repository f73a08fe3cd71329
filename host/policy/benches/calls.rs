//! What a call costs: `cargo bench -p portcullis-policy`.
//!
//! A guest that declares five paths of a 4 KB pod and checks that it was handed a tape, warm and in a fresh instance;
//! 20 such policies in a row; a host call; and the first-party components as far as they are built (in `target/guests`
//! or the folder that `PORTCULLIS_GUESTS` names). Minima over many rounds, since the question is what the work costs.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{bench, document, guest};
use portcullis_policy::{ModuleSource, PluginSpec, Policy, Stage};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

const PATHS: [&str; 5] = [
    "/object/metadata/labels/team",
    "/object/spec/containers/*/image",
    "/object/spec/containers/*/resources/limits/memory",
    "/object/spec/hostNetwork",
    "/request/operation",
];

/// A pod of about so many bytes of JSON.
fn pod(bytes: usize) -> Value {
    let container = |n: usize| {
        json!({"name": format!("c{n}"), "image": format!("registry.example/app:{n}"), "imagePullPolicy": "IfNotPresent",
            "resources": {"limits": {"cpu": "1", "memory": "128Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    };
    let mut pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default",
        "labels": {"team": "a", "app": "web"}, "annotations": {}}, "spec": {"containers": [container(0), container(1)],
        "hostNetwork": false, "restartPolicy": "Always", "serviceAccountName": "default"}});
    let mut n = 0;
    while pod.to_string().len() < bytes {
        pod["metadata"]["annotations"][format!("example.com/note-{n}")] =
            json!("some words about this pod, as tools leave them");
        n += 1;
    }
    pod
}

/// The least time of a run in microseconds, over half a second of rounds.
fn least(mut run: impl FnMut(), times: u32) -> f64 {
    let end = Instant::now() + Duration::from_millis(500);
    let mut best = f64::MAX;
    while Instant::now() < end {
        let start = Instant::now();
        for _ in 0..times {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    }
    best
}

fn row(what: &str, micros: f64, bar: &str) {
    println!("{what:<62} {micros:>9.2} µs   {bar}");
}

fn main() {
    let bench = bench();
    let load = |spec: PluginSpec, fresh: bool| -> Arc<Policy> {
        let mut spec = spec;
        spec.limits.fresh = fresh;
        bench.load(spec).unwrap()
    };
    let checker = || {
        guest(Stage::Validator)
            .paths(&PATHS)
            .call("(if (i32.ne (i32.load (local.get 0)) (i32.const 0x50415450)) (then unreachable))")
            .spec()
    };
    for bytes in [4 << 10, 20 << 10, 100 << 10] {
        let review = document(json!({"object": pod(bytes), "request": {"operation": "CREATE"}}));
        let warm = load(checker(), false);
        let name = format!("five paths of a {} KB pod, warm", bytes >> 10);
        row(&name, least(|| drop(warm.call_validator(&review).unwrap()), 1000), "(prototype 0.68 to 0.70)");
    }
    let review = document(json!({"object": pod(4 << 10), "request": {"operation": "CREATE"}}));
    let patterns = PATHS.map(|path| portcullis_machinery::path::Pattern::parse(path).unwrap());
    let pack = least(|| drop(portcullis_machinery::tape::project(&*review, &patterns).unwrap()), 1000);
    row("  of which the projection", pack, "");
    let fresh = load(checker(), true);
    row(
        "five paths of a 4 KB pod, fresh instance",
        least(|| drop(fresh.call_validator(&review).unwrap()), 100),
        "(prototype 22)",
    );
    let policies: Vec<_> = (0..20).map(|_| load(checker(), false)).collect();
    let twenty = least(|| policies.iter().for_each(|policy| drop(policy.call_validator(&review).unwrap())), 100);
    row("20 policies, warm", twenty, "(prototype 15)");

    let host_calls = guest(Stage::Validator)
        .imports(r#"(import "portcullis:policy/clock@0.1.0" "now" (func $now (result i64)))"#)
        .call("(loop (drop (call $now)) (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))");
    let policy = load(host_calls.spec(), false);
    row(
        "a host call (clock.now)",
        least(|| drop(policy.call_validator(&review).unwrap()), 1) / 1000.0,
        "(prototype 0.09)",
    );

    let folder = std::env::var_os("PORTCULLIS_GUESTS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests"), PathBuf::from);
    let certificate = json!({"tls": {"peerCertificates": [{"subject": {"commonName": "admin", "organization": ["system:masters"]}}]}});
    for (name, stage, config, value) in [
        ("authn-x509", Stage::Authenticator, Value::Null, certificate),
        (
            "admission-defaults",
            Stage::Mutator,
            Value::Null,
            json!({"object": pod(4 << 10), "request": {"operation": "CREATE", "namespace": "default"}}),
        ),
    ] {
        let path = folder.join(format!("{name}.wasm"));
        if !path.is_file() {
            println!("{name}: not built, skipped ({})", path.display());
            continue;
        }
        let value = document(value);
        let call = |policy: &Policy| match stage {
            Stage::Authenticator => policy.call_authenticator(&value).map(drop),
            _ => policy.call_mutator(&value).map(drop),
        };
        for (kind, fresh, times) in [("warm", false, 1000), ("fresh instance", true, 100)] {
            let mut spec = PluginSpec::new(name, stage, ModuleSource::File(path.clone()));
            spec.config = config.clone();
            spec.grants.cluster_read = true;
            let policy = load(spec, fresh);
            row(&format!("{name}, {kind}"), least(|| call(&policy).unwrap(), times), "");
        }
    }
}

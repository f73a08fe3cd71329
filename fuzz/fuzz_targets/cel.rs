//! Any text as an expression: it is compiled or refused, and what is compiled runs within its budget and gives a value or
//! an error, but never a panic.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_cel::admission::Names;
use portcullis_cel::types::DYN;
use portcullis_cel::{Budget, Options, Program, Val, Variables};
use serde_json::{Value, json};

static OBJECT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"replicas": 3, "ratio": 0.5, "on": true, "none": null, "containers": [{"name": "c", "image": "i:1"}]},
    })
});

fuzz_target!(|text: &str| {
    let mut names = Names::untyped(true);
    let _ = names.compose("v", "object.spec.replicas");
    for patches in [false, true] {
        let Ok(program) = Program::compile_with(text, &names.variables(false), Options { patches }) else { continue };
        let object = || Ok(Val::from_json(&OBJECT, &DYN));
        let variables: Variables<'_> =
            ["object", "oldObject", "params", "request", "namespaceObject", "variables"].map(|name| (name.into(), object())).into_iter().collect();
        // A small budget keeps each input short; what is over it is cut in the same way as at the full one.
        let mut budget = Budget { per_call: 10_000, left: 10_000 };
        if let Ok(value) = program.run(&variables, &mut budget) {
            let _ = value.to_json();
        }
    }
});

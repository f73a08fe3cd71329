//! Any text as an expression, of a policy, of a rule in a schema and of a device selector: it is compiled or refused, its
//! cost is estimated, and what is compiled runs within its budget and gives a value or an error, but never a panic.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_cel::admission::Names;
use portcullis_cel::rules::{RuleSet, definition};
use portcullis_cel::types::DYN;
use portcullis_cel::{Budget, Options, Program, Val, Variables, devices};
use portcullis_machinery::structural::Structural;
use serde_json::{Value, json};

static OBJECT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"replicas": 3, "ratio": 0.5, "on": true, "none": null, "containers": [{"name": "c", "image": "i:1"}]},
    })
});

fn schema(rule: &str) -> Value {
    json!({"type": "object", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "x-kubernetes-validations": [{"rule": rule, "messageExpression": rule}], "properties": {
            "replicas": {"type": "integer"}, "ratio": {"type": "number"}, "on": {"type": "boolean"},
            "none": {"type": "string", "nullable": true}, "when": {"type": "string", "format": "date-time"},
            "port": {"x-kubernetes-int-or-string": true},
            "containers": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "maxItems": 10, "items": {"type": "object", "properties": {
                    "name": {"type": "string", "maxLength": 63}, "image": {"type": "string"}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }},
    }})
}

fuzz_target!(|text: &str| {
    let mut names = Names::untyped(true);
    let _ = names.compose("v", "object.spec.replicas");
    for patches in [false, true] {
        let Ok(program) = Program::compile_with(text, &names.variables(false), Options { patches }) else { continue };
        assert!(program.min_cost() <= program.max_cost());
        let object = || Ok(Val::from_json(&OBJECT, &DYN));
        let variables: Variables<'_> = ["object", "oldObject", "params", "request", "namespaceObject", "variables"]
            .map(|name| (name.into(), object()))
            .into_iter()
            .collect();
        // A small budget keeps each input short; what is over it is cut in the same way as at the full one.
        let mut budget = Budget { per_call: 10_000, left: 10_000 };
        if let Ok(value) = program.run(&variables, &mut budget) {
            let _ = value.to_json();
        }
    }
    let schema = Structural::read(&schema(text));
    // A rule that its definition would be refused for is never run.
    if definition::check(&schema, "schema", &[]).is_empty()
        && let Some(rules) = RuleSet::compile(&schema, true)
    {
        let _ = rules.run(&OBJECT, Some(&OBJECT), &schema);
    }
    let _ = devices::check(text);
});

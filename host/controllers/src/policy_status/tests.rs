use portcullis_machinery::Value;
use serde_json::json;

use super::{BUILTIN, type_checking};

/// What the status of a policy over deployments says of one expression.
fn check(expression: &str, more: Value, expected: &[(&str, &str)]) {
    let mut policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"],
            }]},
            "validations": [{"expression": expression}],
        },
    });
    for (key, value) in more.as_object().expect("an object") {
        policy["spec"][key] = value.clone();
    }
    let found = type_checking(&BUILTIN, &policy);
    let warnings = found.get("expressionWarnings").and_then(Value::as_array).cloned().unwrap_or_default();
    assert_eq!(warnings.len(), expected.len(), "{expression}: {found}");
    for (warning, (field, text)) in warnings.iter().zip(expected) {
        assert_eq!(warning["fieldRef"], *field);
        let said = warning["warning"].as_str().expect("a text");
        assert!(said.starts_with("apps/v1, Kind=Deployment: ERROR: <input>:1:"), "{said}");
        assert!(said.contains(text) && said.ends_with('\n'), "{said}");
    }
}

#[test]
fn expressions_are_checked_against_the_kinds_named() {
    let first = "spec.validations[0].expression";
    check("object.spec.replicas > 1", json!({}), &[]);
    check("object.metadata.labels['a'] == 'b' && has(object.spec.template.spec.containers)", json!({}), &[]);
    check("object.replicas > 1", json!({}), &[(first, "undefined field 'replicas'")]);
    let overload = "found no matching overload for '_>_' applied to '(int, string)'";
    check("object.spec.replicas > '1'", json!({}), &[(first, overload)]);
    check(
        "object.spec.template.spec.containers.all(c, c.nmae == 'x')",
        json!({}),
        &[(first, "undefined field 'nmae'")],
    );
    check("oldObject.spec.foo == 1", json!({}), &[(first, "undefined field 'foo'")]);
    let variables = json!({"variables": [{"name": "n", "expression": "object.spec.replicas"}]});
    check("variables.n == 1", variables.clone(), &[]);
    check(
        "variables.n == 'x'",
        variables,
        &[(first, "found no matching overload for '_==_' applied to '(int, string)'")],
    );
    let params = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}});
    check("params.data['n'] == 'x'", params.clone(), &[]);
    check("params.dta['n'] == 'x'", params, &[(first, "undefined field 'dta'")]);
    let any = json!({"matchConstraints": {"resourceRules": [{
        "apiGroups": ["*"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"],
    }]}});
    check("object.nothing == 1", any, &[]);
    let message = json!({"validations": [{"expression": "true", "messageExpression": "object.spec.nothing"}]});
    check("", message, &[("spec.validations[0].messageExpression", "undefined field 'nothing'")]);
}

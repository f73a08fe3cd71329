use serde_json::json;

use super::*;
use crate::definition::builtin_definitions;

fn check(plural: &str, stored: Value, expected: Result<Value, &str>) {
    let definition = builtin_definitions().iter().find(|definition| definition.plural == plural).unwrap();
    let found = to_stored_version(definition, stored);
    assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|why| *why), "{plural}");
}

#[test]
fn versions_of_a_definition() {
    const NOW: &str = "apiextensions.k8s.io/v1";
    const THEN: &str = "apiextensions.k8s.io/v1beta1";
    let object = |version: &str, spec: Value| json!({"kind": "CustomResourceDefinition", "apiVersion": version, "metadata": {"name": "a"}, "spec": spec});
    let of = |then: Value, now: Value| check("customresourcedefinitions", object(THEN, then), Ok(object(NOW, now)));
    of(
        json!({"group": "g", "version": "v1"}),
        json!({"group": "g", "versions": [{"name": "v1", "served": true, "storage": true}]}),
    );
    // What is said for all versions.
    of(
        json!({
            "version": "v1", "versions": [{"name": "v1", "served": true, "storage": true}, {"name": "v2", "served": true}],
            "validation": {"openAPIV3Schema": {"type": "object"}}, "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "A", "JSONPath": ".a"}], "selectableFields": [{"jsonPath": ".spec.a"}],
        }),
        json!({"versions": [
            {
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}},
                "subresources": {"status": {}}, "additionalPrinterColumns": [{"name": "A", "jsonPath": ".a"}],
                "selectableFields": [{"jsonPath": ".spec.a"}],
            },
            {
                "name": "v2", "served": true, "schema": {"openAPIV3Schema": {"type": "object"}},
                "subresources": {"status": {}}, "additionalPrinterColumns": [{"name": "A", "jsonPath": ".a"}],
                "selectableFields": [{"jsonPath": ".spec.a"}],
            },
        ]}),
    );
    // What each says for itself, and a webhook.
    of(
        json!({
            "versions": [{"name": "v1", "additionalPrinterColumns": [{"JSONPath": ".b"}], "schema": {}}],
            "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "u"}, "conversionReviewVersions": ["v1"]},
        }),
        json!({
            "versions": [{"name": "v1", "additionalPrinterColumns": [{"jsonPath": ".b"}], "schema": {}}],
            "conversion": {
                "strategy": "Webhook", "webhook": {"clientConfig": {"url": "u"}, "conversionReviewVersions": ["v1"]},
            },
        }),
    );
    of(
        json!({"versions": [], "conversion": {"strategy": "None"}}),
        json!({"versions": [], "conversion": {"strategy": "None"}}),
    );
}

#[test]
fn other_kinds() {
    let object = |kind: &str, version: &str| json!({"kind": kind, "apiVersion": version, "spec": {}});
    check("deployments", object("Deployment", "apps/v1"), Ok(object("Deployment", "apps/v1")));
    let group = "admissionregistration.k8s.io";
    check(
        "mutatingadmissionpolicies",
        object("MutatingAdmissionPolicy", &format!("{group}/v1beta1")),
        Ok(object("MutatingAdmissionPolicy", &format!("{group}/v1"))),
    );
    let then = json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1", "spec": {
        "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
    }});
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    let now = json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2", "spec": {
        "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }});
    check("horizontalpodautoscalers", then, Ok(now));
    check(
        "deployments",
        object("Deployment", "apps/v1beta1"),
        Err("Deployment in version \"apps/v1beta1\": this server knows how to read apps/v1"),
    );
    check(
        "pods",
        object("Deployment", "apps/v1"),
        Err("an object of kind \"Deployment\" where there should be one of kind \"Pod\""),
    );
}

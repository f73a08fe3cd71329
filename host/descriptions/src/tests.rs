use std::collections::BTreeSet;

use portcullis_machinery::openapi::Descriptions as _;
use portcullis_machinery::schema::builtin;

use super::Descriptions;

#[track_caller]
fn check(type_name: &str, field: &str, begins: &str) {
    let texts = Descriptions::default();
    let found = if field.is_empty() { texts.of_type(type_name) } else { texts.of_field(type_name, field) };
    assert!(found.is_some_and(|text| text.starts_with(begins)), "{type_name} {field}: {found:?}");
}

#[test]
fn types_and_fields_are_described() {
    check("io.k8s.api.core.v1.Pod", "", "Pod is a collection");
    check("io.k8s.api.core.v1.Pod", "apiVersion", "APIVersion defines");
    check("io.k8s.api.core.v1.Container", "image", "Container image name.");
    check("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "creationTimestamp", "CreationTimestamp is");
    check("io.k8s.api.apps.v1.DeploymentStrategy", "type", "Type of deployment. Can be \"Recreate\"");
    check("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec", "caBundle", "CABundle is");
    check(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        "spec",
        "spec describes",
    );
    check("io.k8s.List", "items", "List of");
    check("io.k8s.List", "", "List is");
}

#[test]
fn what_is_not_there_is_not_described() {
    let texts = Descriptions::default();
    for (type_name, field) in [
        ("io.k8s.api.core.v1.Pod", "nothing"),
        ("io.k8s.api.core.v1.Nothing", ""),
        ("io.example.Thing", ""),
        ("", ""),
        ("Pod", ""),
    ] {
        assert_eq!(texts.of_type(type_name).filter(|_| field.is_empty()), None, "{type_name}");
        assert_eq!(texts.of_field(type_name, field).filter(|_| !field.is_empty()), None, "{type_name} {field}");
    }
}

/// All but those that the published document itself does not describe. Lists are described together.
#[test]
fn nearly_every_field_is_described() {
    let texts = Descriptions::default();
    let (mut fields, mut missing) = (0, BTreeSet::new());
    for name in builtin::names() {
        let Some(schema) = builtin::schema(name).filter(|_| !name.ends_with("List")) else { continue };
        for field in schema.fields() {
            fields += 1;
            if texts.of_field(name, &field.name).is_none() {
                missing.insert(format!("{name} {}", field.name));
            }
        }
    }
    println!("{} of {fields} fields are not described: {missing:#?}", missing.len());
    assert!(missing.len() * 50 < fields, "{} of {fields}: {missing:#?}", missing.len());
}

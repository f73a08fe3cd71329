//! Warns of what is accepted and still not what its author wants: deprecated fields, names that make bad host names,
//! definitions that hide each other. It refuses nothing. The texts are those that clients see elsewhere.

mod objects;
mod pod;

use portcullis_sdk::{Input, ValueRef, Verdict, to_json};

/// There is nothing to configure.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// What is read of the document.
pub const PATHS: [&str; 8] = [
    "/object/metadata/name",
    "/object/metadata/annotations",
    "/object/spec",
    "/object/addressType",
    "/object/template/spec",
    "/oldObject/spec",
    "/request/operation",
    "/request/resource/resource",
];

/// What is looked at.
pub(crate) struct Object<'a> {
    pub name: &'a str,
    pub annotations: ValueRef<'a>,
    pub spec: ValueRef<'a>,
    pub address_type: &'a str,
    pub created: bool,
}

/// All warnings of one object.
pub fn warn(_: &Config, input: &Input) -> Verdict {
    let created = input.str(6) == "CREATE";
    // What stays as it is was warned of when it came.
    if !created && to_json(input.get(2)) == to_json(input.get(5)) {
        return Verdict::allow();
    }
    let object = Object {
        name: input.str(0),
        annotations: input.get(1),
        spec: input.get(2),
        address_type: input.str(3),
        created,
    };
    let mut warnings = Vec::new();
    match input.str(7) {
        "pods" => pod::of_pod(&object, &mut warnings),
        "podtemplates" => pod::of_spec("template.spec", input.get(4), &mut warnings),
        "cronjobs" => {
            let spec = object.spec.pointer("/jobTemplate/spec/template/spec");
            pod::of_spec("spec.jobTemplate.spec.template.spec", spec, &mut warnings);
        }
        "replicationcontrollers" | "deployments" | "replicasets" | "statefulsets" | "daemonsets" | "jobs" => {
            pod::of_spec("spec.template.spec", object.spec.pointer("/template/spec"), &mut warnings);
        }
        _ => {}
    }
    objects::of(input.str(7), &object, &mut warnings);
    warnings.into_iter().fold(Verdict::allow(), Verdict::warn)
}

portcullis_sdk::validator!(Config, PATHS, warn);

#[cfg(test)]
mod tests;

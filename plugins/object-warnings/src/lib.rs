//! Warns of what is accepted and still not what its author wants: deprecated fields, names that make bad host names,
//! definitions that hide each other. It refuses nothing. The texts are those that clients see elsewhere.

mod addresses;
mod labels;
mod objects;
mod pod;
mod ports;
mod volumes;

use portcullis_sdk::{Input, ValueRef, Verdict};

/// There is nothing to configure.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// What is read of the document.
pub const PATHS: [&str; 6] = [
    "/object",
    "/oldObject",
    "/request/operation",
    "/request/resource/group",
    "/request/resource/resource",
    "/request/subResource",
];

/// What is looked at.
pub(crate) struct Object<'a> {
    pub object: ValueRef<'a>,
    pub old: ValueRef<'a>,
    pub group: &'a str,
    pub resource: &'a str,
    pub created: bool,
}

impl<'a> Object<'a> {
    pub fn name(&self) -> &'a str {
        self.object.get("metadata").get("name").str_or_empty()
    }

    pub fn annotations(&self) -> ValueRef<'a> {
        self.object.get("metadata").get("annotations")
    }

    pub fn spec(&self) -> ValueRef<'a> {
        self.object.get("spec")
    }

    /// Whether what is desired changes: of a template that stays as it is its author was told when it came.
    fn changes(&self) -> bool {
        let generation = |object: ValueRef| object.get("metadata").get("generation").as_i64();
        self.created || generation(self.object) != generation(self.old)
    }

    /// Where the kind has its template of pods; its member `spec` is the pod's.
    fn template(&self) -> Option<(&'static str, ValueRef<'a>)> {
        let workload = || Some(("spec.template.", self.spec().get("template")));
        match (self.group, self.resource) {
            ("", "podtemplates") => Some(("template.", self.object.get("template"))),
            ("batch", "cronjobs") => {
                Some(("spec.jobTemplate.spec.template.", self.spec().pointer("/jobTemplate/spec/template")))
            }
            ("", "replicationcontrollers")
            | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
            | ("batch", "jobs") => workload(),
            _ => None,
        }
    }
}

/// All warnings of one object.
pub fn warn(_: &Config, input: &Input) -> Verdict {
    let object = Object {
        object: input.get(0),
        old: input.get(1),
        group: input.str(3),
        resource: input.str(4),
        created: input.str(2) == "CREATE",
    };
    let mut warnings = Vec::new();
    match input.str(5) {
        "" => {
            if let Some((path, template)) = object.template().filter(|_| object.changes()) {
                pod::of_template(path, template, true, &mut warnings);
            }
            objects::of(&object, &mut warnings);
        }
        "status" => objects::of_status(&object, &mut warnings),
        _ => {}
    }
    warnings.into_iter().fold(Verdict::allow(), Verdict::warn)
}

portcullis_sdk::validator!(Config, PATHS, warn);

#[cfg(test)]
mod tests;

//! A pod as the checks see it.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

/// A violation: the short reason, and who does what.
pub(crate) type Violation = (String, String);

/// A pod, or the template of one.
pub(crate) struct Pod<'a> {
    pub(crate) annotations: ValueRef<'a>,
    pub(crate) spec: ValueRef<'a>,
}

/// Who sets what it must not: the pod itself, and containers by name.
#[derive(Default)]
pub(crate) struct Setters {
    pub(crate) pod: bool,
    pub(crate) containers: Vec<String>,
}

impl Setters {
    pub(crate) fn none(&self) -> bool {
        !self.pod && self.containers.is_empty()
    }

    /// `pod and containers "a", "b"`.
    pub(crate) fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.pod {
            parts.push("pod".to_owned());
        }
        if !self.containers.is_empty() {
            parts.push(containers(&self.containers));
        }
        parts.join(" and ")
    }
}

impl<'a> Pod<'a> {
    pub(crate) fn of_template(template: ValueRef<'a>) -> Self {
        Pod { annotations: template.get("metadata").get("annotations"), spec: template.get("spec") }
    }

    /// All containers, in the order in which violations name them.
    pub(crate) fn containers(&self) -> impl Iterator<Item = ValueRef<'a>> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |field| spec.get(field).iter())
    }

    /// The names of the containers for which `bad` holds.
    pub(crate) fn names(&self, mut bad: impl FnMut(ValueRef<'a>) -> bool) -> Vec<String> {
        self.containers().filter(|one| bad(*one)).map(|one| one.get("name").str_or_empty().to_owned()).collect()
    }

    /// The pod and the containers for whose security context `bad` holds.
    pub(crate) fn setters(&self, mut bad: impl FnMut(ValueRef<'a>) -> bool) -> Setters {
        let pod = bad(self.spec.get("securityContext"));
        Setters { pod, containers: self.names(|container| bad(container.get("securityContext"))) }
    }

    pub(crate) fn is_windows(&self) -> bool {
        self.spec.get("os").get("name").is_str("windows")
    }

    /// Root in a user namespace of the pod's own is nobody outside.
    pub(crate) fn has_user_namespace(&self) -> bool {
        self.spec.get("hostUsers").as_bool() == Some(false)
    }
}

/// `one` or `many`, by the number.
pub(crate) fn plural<'t>(one: &'t str, many: &'t str, count: usize) -> &'t str {
    if count == 1 { one } else { many }
}

/// `"a", "b"`.
pub(crate) fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `containers "a", "b"`.
pub(crate) fn containers(names: &[String]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names))
}

/// Sorted texts without repetitions.
pub(crate) type Texts = BTreeSet<String>;

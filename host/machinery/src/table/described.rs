//! What the columns mean, from a table of facts: most are a field whose description says it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::openapi::Descriptions;

/// Texts by kind and column.
static TABLE: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    let lines = include_str!("../../facts/columns.tsv").lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let mut parts = line.splitn(3, '\t');
        Some(((parts.next()?, parts.next()?), parts.next()?))
    };
    lines.filter_map(row).collect()
});

/// The description of a column. What there are no descriptions for is described by its name.
pub(super) fn describe(kind: &str, column: &str, descriptions: &dyn Descriptions) -> String {
    let text = match (TABLE.get(&(kind, column)), column) {
        (Some(text), _) => *text,
        (None, "Name") => "=meta.ObjectMeta.name",
        (None, "Age" | "Created At") => "=meta.ObjectMeta.creationTimestamp",
        (None, other) => return format!("{other} of the object."),
    };
    let Some((type_name, field)) = text.strip_prefix('=').and_then(|path| path.rsplit_once('.')) else {
        return text.replace("\\n", "\n");
    };
    let type_name = match type_name.strip_prefix("api.") {
        Some(name) => format!("io.k8s.api.{name}"),
        None => type_name.replacen("meta.", "io.k8s.apimachinery.pkg.apis.meta.v1.", 1),
    };
    descriptions.of_field(&type_name, field).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Descriptions for Echo {
        fn of_type(&self, _: &str) -> Option<&str> {
            None
        }
        fn of_field(&self, type_name: &str, field: &str) -> Option<&str> {
            let known = type_name == "io.k8s.api.core.v1.PodSpec" && field == "nodeName";
            known.then_some("a node").or_else(|| type_name.ends_with("meta.v1.ObjectMeta").then_some("metadata"))
        }
    }

    #[test]
    fn texts() {
        let check = |kind: &str, column: &str, expected: &str| assert_eq!(describe(kind, column, &Echo), expected);
        check("Pod", "Name", "metadata");
        check("Widget", "Created At", "metadata");
        check("Pod", "Node", "a node");
        check("Job", "Duration", "Time required to complete the job.");
        check("Plugin", "Stage", "Stage of the object.");
        assert!(describe("CertificateSigningRequest", "SignerName", &Echo).contains("defaulted:\n 1. If"));
    }
}

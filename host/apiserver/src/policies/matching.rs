//! Which requests a policy or a binding is about.

use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Value, object};

use crate::admission::AdmissionAttributes;

/// Whether a request is one of those that `MatchResources` describes. `required` is whether rules must be given, as a
/// policy's must; a binding without rules matches whatever its policy matches.
pub fn matches(resources: Option<&Value>, attributes: &AdmissionAttributes, object: &Value, required: bool) -> bool {
    let Some(resources) = resources else { return !required };
    let rules = object::list_at(resources, &["resourceRules"]);
    let hit = |rules: &[Value]| rules.iter().any(|rule| rule_matches(rule, attributes));
    if (rules.is_empty() && required) || (!rules.is_empty() && !hit(rules)) {
        return false;
    }
    if hit(object::list_at(resources, &["excludeResourceRules"])) {
        return false;
    }
    namespace_matches(resources.get("namespaceSelector"), attributes, object)
        && object_matches(resources.get("objectSelector"), attributes, object)
}

fn rule_matches(rule: &Value, attributes: &AdmissionAttributes) -> bool {
    let any = |key: &str, wanted: &str| object::list_at(rule, &[key]).iter().any(|one| one == "*" || one == wanted);
    let names = object::list_at(rule, &["resourceNames"]);
    let scope = object::str_at(rule, &["scope"]).unwrap_or("*");
    let namespaced = !attributes.namespace.is_empty() && attributes.resource.name != "namespaces";
    any("operations", attributes.operation.as_str())
        && any("apiGroups", &attributes.resource.group)
        && any("apiVersions", &attributes.resource.version)
        && object::list_at(rule, &["resources"])
            .iter()
            .filter_map(Value::as_str)
            .any(|one| resource_matches(one, attributes))
        && (names.is_empty() || names.iter().any(|name| *name == *attributes.name))
        && match scope {
            "Namespaced" => namespaced,
            "Cluster" => !namespaced,
            _ => true,
        }
}

fn resource_matches(pattern: &str, attributes: &AdmissionAttributes) -> bool {
    let (resource, sub) = pattern.split_once('/').unwrap_or((pattern, ""));
    let whole = pattern == "*" && attributes.subresource.is_empty();
    whole
        || ((resource == "*" || resource == attributes.resource.name)
            && (sub == attributes.subresource || (sub == "*" && pattern.contains('/'))))
}

fn selector(value: Option<&Value>) -> Option<LabelSelector> {
    // An empty selector, and none, select everything.
    let selector = LabelSelector::from_object(Some(value?)).ok()?;
    (!selector.is_everything()).then_some(selector)
}

fn namespace_matches(value: Option<&Value>, attributes: &AdmissionAttributes, object: &Value) -> bool {
    let Some(selector) = selector(value) else { return true };
    if attributes.resource.group.is_empty() && attributes.resource.name == "namespaces" {
        let old = attributes.old_object.as_deref();
        let namespace = if object.is_null() { old.unwrap_or(object) } else { object };
        return selector.matches_object(namespace);
    }
    match (&attributes.namespace_object, attributes.namespace.is_empty()) {
        (Some(namespace), _) => selector.matches_object(namespace),
        // Objects outside of namespaces are not narrowed by them.
        (None, outside) => outside,
    }
}

fn object_matches(value: Option<&Value>, attributes: &AdmissionAttributes, object: &Value) -> bool {
    let Some(selector) = selector(value) else { return true };
    let old = attributes.old_object.as_deref();
    (object.is_object() && selector.matches_object(object)) || old.is_some_and(|old| selector.matches_object(old))
}

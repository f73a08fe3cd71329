//! Which names a definition gets, and the conditions that say so.
//!
//! Within a group every resource name (plural, singular, short) and every kind (also of lists) belongs to the definition
//! that had it first. What a definition asks for and does not get leaves it unestablished.

use std::collections::HashSet;

use portcullis_machinery::{Value, object};
use serde_json::{Map, json};

const APPROVAL: &str = "api-approved.kubernetes.io";

mod index;

pub use index::Names;

/// Of the names that a definition asks for, those that other definitions of its group have been given.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

/// Sets a condition; its time changes only with its status.
pub fn set_condition(crd: &mut Value, type_: &str, status: &str, reason: &str, message: &str) {
    let mut conditions = object::list_at(crd, &["status", "conditions"]).to_vec();
    let now = object::now_rfc3339();
    let wanted = |time: &str| json!({"type": type_, "status": status, "lastTransitionTime": time, "reason": reason, "message": message});
    match conditions.iter_mut().find(|condition| object::str_at(condition, &["type"]) == Some(type_)) {
        Some(condition) if object::str_at(condition, &["status"]) == Some(status) => {
            let time = object::str_at(condition, &["lastTransitionTime"]).unwrap_or(&now).to_owned();
            *condition = with_generation(condition, wanted(&time));
        }
        Some(condition) => *condition = with_generation(condition, wanted(&now)),
        None => conditions.push(wanted(&now)),
    }
    object::set_at(crd, &["status", "conditions"], conditions);
}

fn with_generation(old: &Value, mut new: Value) -> Value {
    if let Some(generation) = old.get("observedGeneration") {
        new["observedGeneration"] = generation.clone();
    }
    new
}

/// The definition with the status that it should have beside the others of its group.
pub fn decide(crd: &Value, taken: &Taken) -> Value {
    let mut new = crd.clone();
    let asked = |field: &str| object::str_at(crd, &["spec", "names", field]).unwrap_or_default();
    let had = |field: &str| object::str_at(crd, &["status", "acceptedNames", field]).unwrap_or_default();
    let mut accepted =
        object::get_at(crd, &["status", "acceptedNames"]).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut conflict: Option<(&str, String)> = None;
    let in_use = |name: &str| format!("{} is already in use", Value::from(name));
    let mut one = |field: &str, reason: &'static str, taken: &HashSet<String>, accepted: &mut Map<String, Value>| {
        let name = asked(field);
        if name == had(field) || !taken.contains(name) {
            accepted.insert(field.to_owned(), name.into());
        } else {
            conflict = Some((reason, in_use(name)));
        }
    };
    one("plural", "PluralConflict", &taken.resources, &mut accepted);
    one("singular", "SingularConflict", &taken.resources, &mut accepted);
    let short = object::list_at(crd, &["spec", "names", "shortNames"]);
    let had_short = object::list_at(crd, &["status", "acceptedNames", "shortNames"]);
    let refused: Vec<String> = short
        .iter()
        .filter(|name| !had_short.contains(name))
        .filter_map(Value::as_str)
        .filter(|name| taken.resources.contains(*name))
        .map(in_use)
        .collect();
    let short_conflict = match refused.as_slice() {
        [] => {
            replace_list(&mut accepted, "shortNames", short);
            None
        }
        [only] => Some(only.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    };
    // Of several conflicts the last one checked is told.
    if let Some(text) = short_conflict {
        conflict = Some(("ShortNamesConflict", text));
    }
    let mut one = |field: &str, reason: &'static str, accepted: &mut Map<String, Value>| {
        let name = asked(field);
        if name == had(field) || !taken.kinds.contains(name) {
            accepted.insert(field.to_owned(), name.into());
        } else {
            conflict = Some((reason, in_use(name)));
        }
    };
    one("kind", "KindConflict", &mut accepted);
    one("listKind", "ListKindConflict", &mut accepted);
    replace_list(&mut accepted, "categories", object::list_at(crd, &["spec", "names", "categories"]));
    // What was not given is still there as the empty text.
    accepted.entry("kind").or_insert_with(|| "".into());
    accepted.entry("plural").or_insert_with(|| "".into());
    object::set_at(&mut new, &["status", "acceptedNames"], Value::Object(accepted));
    match &conflict {
        Some((reason, message)) => set_condition(&mut new, "NamesAccepted", "False", reason, message),
        None => set_condition(&mut new, "NamesAccepted", "True", "NoConflicts", "no conflicts found"),
    }
    let established = portcullis_machinery::definition::custom::has_condition(crd, "Established");
    if conflict.is_none() && !established {
        let message = "the initial names have been accepted";
        set_condition(&mut new, "Established", "True", "InitialNamesAccepted", message);
    } else if !established {
        set_condition(&mut new, "Established", "False", "NotAccepted", "not all names are accepted");
    }
    approval(&mut new);
    new
}

fn replace_list(accepted: &mut Map<String, Value>, field: &str, list: &[Value]) {
    if list.is_empty() {
        accepted.remove(field);
    } else {
        accepted.insert(field.to_owned(), list.to_vec().into());
    }
}

/// Groups of the Kubernetes community are approved by an annotation.
fn approval(crd: &mut Value) {
    let group = object::str_at(crd, &["spec", "group"]).unwrap_or_default();
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|suffix| group.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    if !protected {
        return;
    }
    let given = object::annotation(crd, APPROVAL).unwrap_or_default().to_owned();
    let (status, reason, message) = if given.is_empty() {
        let message = format!(
            "protected groups must have approval annotation \"{APPROVAL}\", see \
             https://github.com/kubernetes/enhancements/pull/1111"
        );
        ("False", "MissingAnnotation", message)
    } else if given.starts_with("unapproved") {
        ("False", "UnapprovedAnnotation", format!("not approved: {}", Value::from(given)))
    } else if given.starts_with("http://") || given.starts_with("https://") {
        ("True", "ApprovedAnnotation", format!("approved in {given}"))
    } else {
        let message = format!(
            "protected groups must have approval annotation \"{APPROVAL}\" with either a URL or a reason starting with \
             \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"
        );
        ("False", "InvalidAnnotation", message)
    };
    set_condition(crd, "KubernetesAPIApprovalPolicyConformant", status, reason, &message);
}

#[cfg(test)]
mod tests;

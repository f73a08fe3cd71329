//! What a new pod's fields say of each other.

use portcullis_machinery::{Value, object};
use serde_json::json;

const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Completes a new pod: selectors by its own labels, and profiles that older clients give as annotations.
pub fn prepare_new(pod: &mut Value) {
    merge_label_keys(pod);
    profiles_of_annotations(pod);
}

/// `matchLabelKeys` and `mismatchLabelKeys` become requirements of the selector beside them, with the pod's own values
/// (KEP-3633, KEP-3243).
fn merge_label_keys(pod: &mut Value) {
    let labels = pod.pointer("/metadata/labels").cloned().unwrap_or_default();
    let merge = |term: &mut Value| {
        if term.get("labelSelector").is_none_or(Value::is_null) {
            return;
        }
        for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
            let keys: Vec<String> =
                object::list_at(term, &[list]).iter().filter_map(|key| key.as_str().map(str::to_owned)).collect();
            for key in keys {
                let Some(value) = labels.get(&key).cloned() else { continue };
                let mut requirements = object::list_at(term, &["labelSelector", "matchExpressions"]).to_vec();
                requirements.push(json!({"key": key, "operator": operator, "values": [value]}));
                object::set_at(term, &["labelSelector", "matchExpressions"], requirements);
            }
        }
    };
    let each = |pod: &mut Value, path: &[&str], inner: &[&str]| {
        let Some(Value::Array(terms)) = object::get_at_mut(pod, path) else { return };
        for term in terms {
            if let Some(term) = object::get_at_mut(term, inner) {
                merge(term);
            }
        }
    };
    for affinity in ["podAffinity", "podAntiAffinity"] {
        let at = ["spec", "affinity", affinity];
        each(pod, &[&at[..], &["requiredDuringSchedulingIgnoredDuringExecution"]].concat(), &[]);
        each(pod, &[&at[..], &["preferredDuringSchedulingIgnoredDuringExecution"]].concat(), &["podAffinityTerm"]);
    }
    each(pod, &["spec", "topologySpreadConstraints"], &[]);
}

/// Containers whose AppArmor profile is given by the annotation of old get it as a field.
fn profiles_of_annotations(pod: &mut Value) {
    let given: Vec<(String, String)> = object::annotations(pod)
        .filter_map(|(key, value)| Some((key.strip_prefix(APPARMOR)?.to_owned(), value.to_owned())))
        .collect();
    for list in ["initContainers", "containers"] {
        let Some(Value::Array(containers)) = object::get_at_mut(pod, &["spec", list]) else { continue };
        for container in containers {
            let name = object::str_at(container, &["name"]).unwrap_or_default();
            let Some((_, profile)) = given.iter().find(|(container, _)| container == name) else { continue };
            if object::get_at(container, &["securityContext", "appArmorProfile"]).is_some() {
                continue;
            }
            let profile = match profile.strip_prefix("localhost/") {
                Some(local) => json!({"type": "Localhost", "localhostProfile": local}),
                None if profile == "runtime/default" => json!({"type": "RuntimeDefault"}),
                None if profile == "unconfined" => json!({"type": "Unconfined"}),
                None => continue,
            };
            object::set_at(container, &["securityContext", "appArmorProfile"], profile);
        }
    }
}

/// Narrows a write through `resize` to what it may change: the resources of the pod and of its containers. Where containers
/// were added, left out or renamed, the whole is left for validation to refuse.
pub fn resize(new: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let of = |pod: &Value, list: &str| object::list_at(pod, &["spec", list]).to_vec();
    if lists.iter().any(|list| of(new, list).len() != of(old, list).len()) {
        return;
    }
    let merged = lists.map(|list| {
        let (given, mut kept) = (of(new, list), of(old, list));
        for (with, container) in given.iter().zip(&mut kept) {
            if with.get("name") != container.get("name") {
                return given;
            }
            for field in ["resources", "resizePolicy"] {
                replace(container, field, with.get(field).cloned());
            }
        }
        kept
    });
    let resources = object::get_at(new, &["spec", "resources"]).cloned();
    for part in ["spec", "status"] {
        replace(new, part, old.get(part).cloned());
    }
    for part in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let kept = object::get_at(old, &["metadata", part]).cloned();
        replace(&mut new["metadata"], part, kept);
    }
    let spec = &mut new["spec"];
    replace(spec, "resources", resources);
    for (list, containers) in lists.into_iter().zip(merged) {
        if !containers.is_empty() {
            replace(spec, list, Some(containers.into()));
        }
    }
}

fn replace(members: &mut Value, field: &str, with: Option<Value>) {
    let Some(members) = members.as_object_mut() else { return };
    match with {
        Some(value) => drop(members.insert(field.to_owned(), value)),
        None => drop(members.remove(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_profiles() {
        let mut pod = json!({
            "metadata": {"labels": {"v": "1"}, "annotations": {format!("{APPARMOR}c"): "localhost/p"}},
            "spec": {
                "containers": [{"name": "c"}, {"name": "d"}],
                "topologySpreadConstraints": [{"labelSelector": {}, "matchLabelKeys": ["v", "none"]}],
            },
        });
        prepare_new(&mut pod);
        let requirement = json!([{"key": "v", "operator": "In", "values": ["1"]}]);
        assert_eq!(pod.pointer("/spec/topologySpreadConstraints/0/labelSelector/matchExpressions"), Some(&requirement));
        let profile = json!({"type": "Localhost", "localhostProfile": "p"});
        assert_eq!(pod.pointer("/spec/containers/0/securityContext/appArmorProfile"), Some(&profile));
        assert!(pod.pointer("/spec/containers/1/securityContext").is_none());
    }
}

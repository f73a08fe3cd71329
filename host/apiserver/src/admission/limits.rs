//! LimitRanges: defaults and bounds for single pods, containers and claims of a namespace (API reference, "Limit Ranges").

use portcullis_machinery::quantity::Quantity;
use portcullis_machinery::quota::{self, Amounts};
use portcullis_machinery::{Status, Value, object};

use super::{AdmissionAttributes, Operation};
use crate::handlers::Scope;
use crate::handlers::scope::cache_of;

/// Where it is written down which values came from here.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// The items of all limit ranges of the namespace, if the write is one that they are for.
fn items(scope: &Scope, attributes: &AdmissionAttributes) -> Vec<Value> {
    let is_pod = scope.definition.kind == "Pod";
    let concerned = scope.group().is_empty()
        && scope.sub().is_empty()
        && match attributes.operation {
            Operation::Create => is_pod || scope.definition.kind == "PersistentVolumeClaim",
            // The containers of a pod do not change.
            Operation::Update => scope.definition.kind == "PersistentVolumeClaim",
            Operation::Delete | Operation::Connect => false,
        };
    let registry = scope.server.registry.load();
    let Some(definition) = registry.resource("", "v1", "limitranges").filter(|_| concerned) else { return Vec::new() };
    let prefix = definition.key_prefix(Some(&scope.namespace));
    let all = cache_of(&scope.server, definition).peek();
    all.under(&prefix, None).flat_map(|range| object::list_at(&range.value(), &["spec", "limits"]).to_vec()).collect()
}

fn of_type<'a>(items: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    items.iter().filter(move |item| object::str_at(item, &["type"]) == Some(kind))
}

/// Gives a new pod's containers the requests and limits that they do not state.
pub fn fill_in(scope: &Scope, attributes: &AdmissionAttributes, pod: &mut Value) {
    if scope.definition.kind != "Pod" {
        return;
    }
    let mut notes = Vec::new();
    for item in of_type(&items(scope, attributes), "Container") {
        notes.extend(fill_in_containers(pod, item));
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        object::set_at(pod, &["metadata", "annotations", ANNOTATION], note);
    }
}

fn fill_in_containers(pod: &mut Value, item: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        let Some(Value::Array(containers)) = object::get_at_mut(pod, &["spec", list]) else { continue };
        for container in containers {
            let name = object::str_at(container, &["name"]).unwrap_or_default().to_owned();
            for (field, default, word) in [("requests", "defaultRequest", "request"), ("limits", "default", "limit")] {
                let Some(Value::Object(defaults)) = item.get(default) else { continue };
                let mut set = Vec::new();
                for (resource, amount) in defaults {
                    let at = ["resources", field, resource.as_str()];
                    if object::get_at(container, &at).is_none() {
                        object::set_at(container, &at, amount.clone());
                        set.push(resource.as_str());
                    }
                }
                if !set.is_empty() {
                    notes.push(format!("{} {word} for {what} {name}", set.join(", ")));
                }
            }
        }
    }
    notes
}

/// Refuses what is out of bounds.
///
/// # Errors
/// 403 with everything that is.
pub fn check(scope: &Scope, attributes: &AdmissionAttributes, new: &Value) -> Result<(), Status> {
    let items = items(scope, attributes);
    if items.is_empty() || object::deletion_timestamp(new).is_some() {
        return Ok(());
    }
    let mut errors = Vec::new();
    if scope.definition.kind == "Pod" {
        for item in of_type(&items, "Container") {
            for list in ["containers", "initContainers"] {
                for container in object::list_at(new, &["spec", list]) {
                    let part = |field| quota::amounts(object::get_at(container, &["resources", field]));
                    bounds("Container", item, &part("requests"), &part("limits"), &mut errors);
                }
            }
        }
        for item in of_type(&items, "Pod") {
            bounds("Pod", item, &quota::pod_total(new, "requests"), &quota::pod_total(new, "limits"), &mut errors);
        }
    } else {
        let requests = quota::amounts(object::get_at(new, &["spec", "resources", "requests"]));
        for item in of_type(&items, "PersistentVolumeClaim") {
            claim_bounds(item, &requests, &mut errors);
        }
    }
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(Status::forbidden(scope.group(), scope.resource(), &attributes.name, one)),
        many => {
            let all = format!("[{}]", many.join(", "));
            Err(Status::forbidden(scope.group(), scope.resource(), &attributes.name, &all))
        }
    }
}

fn bounds(kind: &str, item: &Value, requests: &Amounts, limits: &Amounts, errors: &mut Vec<String>) {
    for (name, bound) in quota::amounts(item.get("min")) {
        let start = format!("minimum {name} usage per {kind} is {bound}");
        match requests.get(&name) {
            None => errors.push(format!("{start}.  No request is specified")),
            Some(request) if *request < bound => errors.push(format!("{start}, but request is {request}")),
            Some(_) => {
                if let Some(limit) = limits.get(&name).filter(|limit| **limit < bound) {
                    errors.push(format!("{start}, but limit is {limit}"));
                }
            }
        }
    }
    for (name, bound) in quota::amounts(item.get("max")) {
        let start = format!("maximum {name} usage per {kind} is {bound}");
        match limits.get(&name) {
            None => errors.push(format!("{start}.  No limit is specified")),
            Some(limit) if *limit > bound => errors.push(format!("{start}, but limit is {limit}")),
            Some(_) => {
                if let Some(request) = requests.get(&name).filter(|request| **request > bound) {
                    errors.push(format!("{start}, but request is {request}"));
                }
            }
        }
    }
    for (name, ratio) in quota::amounts(item.get("maxLimitRequestRatio")) {
        let start = format!("{name} max limit to request ratio per {kind} is {ratio}");
        let given = |amounts: &Amounts| amounts.get(&name).copied().filter(|amount| !amount.is_zero());
        match (given(requests), given(limits)) {
            (None, _) => errors.push(format!("{start}, but no request is specified or request is 0")),
            (_, None) => errors.push(format!("{start}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let found = limit.as_f64() / request.as_f64();
                if found > ratio.as_f64() {
                    errors.push(format!("{start}, but provided ratio is {found:.6}"));
                }
            }
        }
    }
}

fn claim_bounds(item: &Value, requests: &Amounts, errors: &mut Vec<String>) {
    let mut check = |word: &str, bounds: Amounts, refused: fn(&Quantity, &Quantity) -> bool| {
        for (name, bound) in bounds {
            let start = format!("{word} {name} usage per PersistentVolumeClaim is {bound}");
            match requests.get(&name) {
                None => errors.push(format!("{start}.  No request is specified")),
                Some(request) if refused(request, &bound) => errors.push(format!("{start}, but request is {request}")),
                Some(_) => {}
            }
        }
    };
    check("minimum", quota::amounts(item.get("min")), |request, bound| request < bound);
    check("maximum", quota::amounts(item.get("max")), |request, bound| request > bound);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_noted() {
        let mut pod = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}});
        let item = json!({"default": {"cpu": "2", "memory": "1Gi"}, "defaultRequest": {"cpu": "500m"}});
        assert_eq!(
            fill_in_containers(&mut pod, &item),
            ["cpu request for container c", "memory limit for container c"]
        );
        let expected = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
        assert_eq!(pod.pointer("/spec/containers/0/resources"), Some(&expected));
    }

    #[test]
    fn what_is_out_of_bounds() {
        let check = |item: Value, requests: Value, limits: Value, expected: &[&str]| {
            let mut errors = Vec::new();
            bounds("Container", &item, &quota::amounts(Some(&requests)), &quota::amounts(Some(&limits)), &mut errors);
            assert_eq!(errors, expected, "{item}");
        };
        let (min, max) = (json!({"min": {"cpu": "100m"}}), json!({"max": {"cpu": "1"}}));
        check(min.clone(), json!({"cpu": "200m"}), json!({}), &[]);
        check(
            min.clone(),
            json!({}),
            json!({}),
            &["minimum cpu usage per Container is 100m.  No request is specified"],
        );
        check(min, json!({"cpu": "50m"}), json!({}), &["minimum cpu usage per Container is 100m, but request is 50m"]);
        check(max, json!({}), json!({"cpu": "2"}), &["maximum cpu usage per Container is 1, but limit is 2"]);
        check(
            json!({"maxLimitRequestRatio": {"cpu": "2"}}),
            json!({"cpu": "1"}),
            json!({"cpu": "3"}),
            &["cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"],
        );
    }
}

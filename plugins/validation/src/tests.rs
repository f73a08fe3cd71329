//! The rules against recorded answers, where the corpus is at hand, and against a few objects where it is not.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use portcullis_sdk::testing::project;
use portcullis_sdk::{ErrorType, Input};
use serde_json::{Value, json};

use super::*;

fn reason(error: &ErrorType) -> &'static str {
    match error {
        ErrorType::Required => "FieldValueRequired",
        ErrorType::Invalid => "FieldValueInvalid",
        ErrorType::NotSupported => "FieldValueNotSupported",
        ErrorType::Duplicate => "FieldValueDuplicate",
        ErrorType::Forbidden => "FieldValueForbidden",
        ErrorType::NotFound => "FieldValueNotFound",
        ErrorType::TooLong => "FieldValueTooLong",
        ErrorType::TooMany => "FieldValueTooMany",
        ErrorType::TypeInvalid => "FieldValueTypeInvalid",
    }
}

fn run(object: &Value, old: Option<&Value>, group: &str) -> Vec<(String, String)> {
    let mut document = json!({"object": object});
    if let Some(old) = old {
        document["oldObject"] = old.clone();
    }
    let packed = project(&document, &["/object", "/oldObject"]);
    let input = Input::new(&packed);
    let kind = object["kind"].as_str().unwrap_or_default();
    let review =
        Review { object: input.get(0), old: input.get(1), update: old.is_some(), group, kind, subresource: "" };
    validate(&review).iter().map(|error| (reason(&error.error_type).to_owned(), error.field.clone())).collect()
}

/// Checks the (reason, field) pairs, or that there are none.
fn check(group: &str, object: Value, old: Option<Value>, expected: &[(&str, &str)]) {
    let found = run(&object, old.as_ref(), group);
    let expected: Vec<_> =
        expected.iter().map(|(reason, field)| (format!("FieldValue{reason}"), (*field).to_owned())).collect();
    assert_eq!(found, expected, "{object}");
}

#[test]
fn metadata() {
    let object = |meta: Value| json!({"kind": "Widget", "metadata": meta});
    check("example.com", object(json!({"name": "a.b"})), None, &[]);
    check("example.com", object(json!({})), None, &[("Required", "metadata.name")]);
    check("example.com", object(json!({"name": "A"})), None, &[("Invalid", "metadata.name")]);
    check("", json!({"kind": "Namespace", "metadata": {"name": "a.b"}}), None, &[("Invalid", "metadata.name")]);
    check("rbac.authorization.k8s.io", json!({"kind": "Role", "metadata": {"name": "system:x"}}), None, &[]);
    check(
        "example.com",
        object(json!({"name": "a", "labels": {"a b": "c d"}})),
        None,
        &[("Invalid", "metadata.labels"), ("Invalid", "metadata.labels")],
    );
    check("example.com", object(json!({"name": "a", "annotations": {"A.b/C": "anything"}})), None, &[]);
    check(
        "",
        json!({"kind": "ConfigMap", "metadata": {"name": "a", "finalizers": ["x"]}}),
        None,
        &[("Invalid", "metadata.finalizers[0]")],
    );
    let old = object(json!({"name": "a", "deletionTimestamp": "t", "finalizers": ["a/b"]}));
    check(
        "example.com",
        object(json!({"name": "a", "finalizers": ["a/b", "c/d"]})),
        Some(old),
        &[("Forbidden", "metadata.finalizers")],
    );
}

#[test]
fn messages() {
    let text = formats::dns_label("A").join("");
    assert_eq!(
        text,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
        with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    );
    let text = formats::label_value("-").join("");
    assert_eq!(
        text,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
        and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
        '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    );
}

#[test]
fn quantities() {
    let parse = super::core::quantity;
    for (small, large) in
        [("500m", "1"), ("1", "1k"), ("1k", "1Ki"), ("999M", "1Gi"), ("-1", "0"), ("1e2", "101"), ("0.5", "501m")]
    {
        assert!(parse(small) < parse(large), "{small} {large}");
    }
    assert_eq!(parse("1"), parse("1000m"));
    assert_eq!(parse("x"), None);
}

#[test]
fn updates() {
    let map = |data: &str, immutable: bool| json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "immutable": immutable, "data": {"k": data}});
    check("", map("b", true), Some(map("a", true)), &[("Forbidden", "data")]);
    check("", map("b", true), Some(map("a", false)), &[]);
    let pod = |image: &str, policy: &str| json!({"kind": "Pod", "metadata": {"name": "a"}, "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": image}]}});
    check("", pod("b", "Always"), Some(pod("a", "Always")), &[]);
    check("", pod("b", "Never"), Some(pod("a", "Always")), &[("Forbidden", "spec")]);
}

/// For each kind, how many of the recorded causes are found.
const LEAST: &[(&str, u32)] = &[
    ("CSIDriver", 22),
    ("CSINode", 21),
    ("CSIStorageCapacity", 21),
    ("CertificateSigningRequest", 15),
    ("ClusterRole", 20),
    ("ClusterRoleBinding", 17),
    ("ConfigMap", 5),
    ("ControllerRevision", 21),
    ("CronJob", 22),
    ("CustomResourceDefinition", 29),
    ("DaemonSet", 1),
    ("Deployment", 23),
    ("DeviceClass", 20),
    ("EndpointSlice", 21),
    ("Event", 14),
    ("FlowSchema", 21),
    ("Ingress", 21),
    ("Job", 21),
    ("Lease", 22),
    ("LimitRange", 19),
    ("MutatingAdmissionPolicyBinding", 20),
    ("MutatingWebhookConfiguration", 20),
    ("Namespace", 27),
    ("Node", 21),
    ("PersistentVolumeClaim", 21),
    ("Pod", 108),
    ("PodDisruptionBudget", 14),
    ("PodTemplate", 3),
    ("PriorityLevelConfiguration", 21),
    ("ReplicaSet", 22),
    ("ReplicationController", 21),
    ("ResourceClaimTemplate", 21),
    ("ResourceSlice", 21),
    ("Role", 17),
    ("RoleBinding", 24),
    ("Service", 40),
    ("ServiceAccount", 21),
    ("ServiceCIDR", 21),
    ("StatefulSet", 5),
    ("StorageClass", 21),
    ("ValidatingAdmissionPolicy", 20),
    ("ValidatingAdmissionPolicyBinding", 20),
    ("ValidatingWebhookConfiguration", 20),
    ("VolumeAttributesClass", 21),
];

fn scenarios() -> Option<PathBuf> {
    let shared = env::var_os("PORTCULLIS_SHARED").map_or_else(|| PathBuf::from("../../../shared"), PathBuf::from);
    Some(shared.join("behaviour/scenarios")).filter(|folder| folder.is_dir())
}

/// The group of a path such as `/apis/apps/v1/namespaces/x/deployments`, and the plural, if it is a create.
fn target(step: &Value) -> Option<&str> {
    let path = step["path"].as_str()?.split('?').next()?;
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (group, rest) = match segments[..] {
        ["api", _, ref rest @ ..] => ("", rest),
        ["apis", group, _, ref rest @ ..] => (group, rest),
        _ => return None,
    };
    let collection = matches!(rest, [_] | ["namespaces", _, _]);
    (step["method"] == "POST" && collection && step["body"].is_object()).then_some(group)
}

/// A recorded object with something in the place of what the recording left open.
fn plain(value: &Value) -> Value {
    let text = value.to_string().replace("$NS", "ns").replace("<rand>", "abcde").replace("<rv:new>", "1");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    // Letters that the replayer fills in.
    if let Some(name) = value["metadata"]["name"].as_str().filter(|name| name.contains("$PAD") || name.contains('<')) {
        value["metadata"]["name"] = name.replace(|c| "$()<>PAD".contains(c), "").into();
    }
    // Values that vary are recorded as `<uid:1>` and the like, which is no label's value.
    let templates = ["/metadata/labels", "/spec/template/metadata/labels", "/spec/selector/matchLabels"];
    for labels in templates {
        for value in value.pointer_mut(labels).and_then(Value::as_object_mut).into_iter().flatten().map(|entry| entry.1)
        {
            if value.as_str().is_some_and(|text| text.starts_with('<')) {
                *value = "varies".into();
            }
        }
    }
    value
}

/// Every recorded create that was accepted must pass, except that defaults are not applied here: an object that the
/// server answered with is taken as what was checked. Of the refused ones, metadata errors must all be found.
#[test]
fn recorded_creates() {
    let Some(folder) = scenarios() else {
        println!("skipped: no corpus");
        return;
    };
    let (mut accepted, mut wrong) = (0, Vec::new());
    let mut refused: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let scenario: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        for step in scenario["steps"].as_array().into_iter().flatten() {
            let Some(group) = target(step) else { continue };
            let (body, answer) = (plain(&step["body"]), &step["expect"]["body"]);
            let at = format!("{}/{}", path.file_stem().expect("a name").to_string_lossy(), step["id"]);
            match step["expect"]["status"].as_u64() {
                Some(201) if answer["kind"] == body["kind"] && answer["metadata"].is_object() => {
                    accepted += 1;
                    let found = run(&plain(answer), None, group);
                    if !found.is_empty() {
                        wrong.push(format!("{at}: {found:?}"));
                    }
                }
                Some(422) if answer["details"]["causes"].is_array() => {
                    let found = run(&body, None, group);
                    let counts = refused.entry(body["kind"].as_str().unwrap_or_default().to_owned()).or_default();
                    for cause in answer["details"]["causes"].as_array().into_iter().flatten() {
                        let pair = (
                            cause["reason"].as_str().unwrap_or_default().to_owned(),
                            cause["field"].as_str().unwrap_or_default().to_owned(),
                        );
                        counts.1 += 1;
                        if found.contains(&pair) {
                            counts.0 += 1;
                        } else if env::var_os("SHOW_MISSING").is_some() {
                            println!("missing {at}: {} {pair:?}", body["kind"]);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    for (kind, (found, all)) in &refused {
        println!("{kind}: {found} of {all} causes");
    }
    println!("{accepted} accepted objects, {} wrongly refused", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is found of the recorded causes may only grow: raise these with every kind that gains rules.
    for (kind, least) in LEAST {
        let found = refused.get(*kind).map_or(0, |counts| counts.0);
        assert!(found >= *least, "{kind}: {found} causes found, {least} were found before");
    }
}

/// Every recorded update that was accepted must pass, against what the server answered before.
#[test]
fn recorded_updates() {
    let Some(folder) = scenarios() else {
        println!("skipped: no corpus");
        return;
    };
    let (mut accepted, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let scenario: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        let mut stored: BTreeMap<String, Value> = BTreeMap::new();
        for step in scenario["steps"].as_array().into_iter().flatten() {
            let (url, answer) = (step["path"].as_str().unwrap_or_default(), &step["expect"]["body"]);
            let (bare, dry) = (url.split('?').next().unwrap_or_default(), url.contains("dryRun"));
            let good =
                matches!(step["expect"]["status"].as_u64(), Some(200 | 201)) && answer["metadata"]["name"].is_string();
            if !good {
                continue;
            }
            let new = plain(answer);
            let key = match step["method"].as_str() {
                Some("POST") => format!("{bare}/{}", answer["metadata"]["name"].as_str().unwrap_or_default()),
                _ => bare.to_owned(),
            };
            let group = bare.strip_prefix("/apis/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
            // Subresources have rules of their own: a resize may change what an update may not.
            if bare.ends_with("/resize") {
                continue;
            }
            let old = stored.get(&key).filter(|old| old["kind"] == new["kind"]);
            if let (Some("PUT" | "PATCH"), Some(old)) = (step["method"].as_str(), old) {
                accepted += 1;
                let found = run(&new, Some(old), group);
                if !found.is_empty() {
                    wrong.push(format!(
                        "{}/{}: {found:?}",
                        path.file_stem().expect("a name").to_string_lossy(),
                        step["id"]
                    ));
                }
            }
            if !dry {
                stored.insert(key, new);
            }
        }
    }
    println!("{accepted} accepted updates, {} wrongly refused", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

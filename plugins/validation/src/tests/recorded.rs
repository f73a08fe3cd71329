//! The rules against recorded answers: what was accepted must pass, and of what was refused, as many of the recorded
//! causes as before must be found. Defaults are the host's business and not applied here, so an accepted object is
//! taken as the server answered with it, and causes that only defaulted objects have are not counted on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;

use super::{errors, reason};

/// For each kind, how many of the recorded causes are found, and how many of those with the recorded message.
const LEAST: &[(&str, u32, u32)] = &[
    ("APIService", 7, 7),
    ("CSIDriver", 27, 27),
    ("CSINode", 26, 26),
    ("CSIStorageCapacity", 22, 22),
    ("CertificateSigningRequest", 17, 17),
    ("ClusterRole", 20, 20),
    ("ClusterRoleBinding", 17, 17),
    ("ConfigMap", 5, 5),
    ("ControllerRevision", 24, 24),
    ("CronJob", 37, 37),
    ("CustomResourceDefinition", 86, 85),
    ("DaemonSet", 3, 3),
    ("Deployment", 24, 24),
    ("DeviceClass", 20, 20),
    ("EndpointSlice", 34, 34),
    ("Endpoints", 10, 10),
    ("Event", 16, 16),
    ("FlowSchema", 22, 22),
    ("HorizontalPodAutoscaler", 20, 20),
    ("IPAddress", 7, 7),
    ("Ingress", 42, 42),
    ("Job", 135, 135),
    ("Lease", 22, 22),
    ("LimitRange", 21, 21),
    ("MutatingAdmissionPolicy", 5, 5),
    ("MutatingAdmissionPolicyBinding", 21, 21),
    ("MutatingWebhookConfiguration", 52, 52),
    ("Namespace", 27, 27),
    ("NetworkPolicy", 16, 16),
    ("Node", 26, 26),
    ("PersistentVolume", 16, 16),
    ("PersistentVolumeClaim", 34, 34),
    ("Pod", 206, 197),
    ("PodDisruptionBudget", 20, 20),
    ("PodTemplate", 3, 3),
    ("PriorityClass", 3, 3),
    ("PriorityLevelConfiguration", 32, 32),
    ("ReplicaSet", 23, 23),
    ("ReplicationController", 21, 21),
    ("ResourceClaim", 9, 9),
    ("ResourceClaimTemplate", 22, 22),
    ("ResourceSlice", 23, 23),
    ("Role", 17, 17),
    ("RoleBinding", 25, 25),
    ("RuntimeClass", 9, 9),
    ("Secret", 1, 1),
    ("Service", 48, 48),
    ("ServiceAccount", 21, 21),
    ("ServiceCIDR", 21, 21),
    ("StatefulSet", 10, 10),
    ("StorageClass", 33, 33),
    ("ValidatingAdmissionPolicy", 34, 34),
    ("ValidatingAdmissionPolicyBinding", 31, 31),
    ("ValidatingWebhookConfiguration", 22, 22),
    ("VolumeAttachment", 4, 4),
    ("VolumeAttributesClass", 24, 24),
];

fn scenarios() -> Vec<(String, Value)> {
    let shared = env::var_os("PORTCULLIS_SHARED").map_or_else(|| PathBuf::from("../../../shared"), PathBuf::from);
    let Ok(folder) = fs::read_dir(shared.join("behaviour/scenarios")) else {
        println!("skipped: no corpus");
        return Vec::new();
    };
    let files = folder.map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| {
        let scenario = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), scenario)
    };
    files.map(read).collect()
}

/// What a step of a scenario writes.
struct Write<'a> {
    group: &'a str,
    /// The path of the object, or for a create of its collection.
    path: &'a str,
    subresource: &'a str,
    create: bool,
    dry: bool,
}

impl<'a> Write<'a> {
    /// The group of `/apis/apps/v1/namespaces/x/deployments/y/status` and so on.
    fn of(step: &'a Value) -> Option<Self> {
        let (path, query) = step["path"].as_str()?.split_once('?').unwrap_or((step["path"].as_str()?, ""));
        let create = match step["method"].as_str()? {
            "POST" => true,
            "PUT" | "PATCH" => false,
            _ => return None,
        };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (group, rest) = match segments[..] {
            ["api", _, ref rest @ ..] => ("", rest),
            ["apis", group, _, ref rest @ ..] => (group, rest),
            _ => return None,
        };
        let rest = match rest {
            ["namespaces", _, inner @ ..] if inner.len() > 1 || inner.len() == 1 && create => inner,
            _ => rest,
        };
        let subresource = match (rest, create) {
            ([_], true) | ([_, _], false) => "",
            ([_, _, "status" | "approval" | "finalize"], false) => rest[2],
            _ => return None,
        };
        let path = path.strip_suffix(subresource).unwrap_or(path).trim_end_matches('/');
        Some(Self { group, path, subresource, create, dry: query.contains("dryRun") })
    }
}

/// A recorded object with something in the place of what the recording left open.
fn plain(value: &Value) -> Value {
    let marks = [("$NS", "ns"), ("<rand>", "abcde"), ("<rv:new>", "1"), ("<uid>", "u1"), ("<ip>", "10.96.0.9")];
    let text = marks.iter().fold(value.to_string(), |text, (mark, with)| text.replace(mark, with));
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    // Letters that the replayer fills in.
    if let Some(name) = value["metadata"]["name"].as_str().filter(|name| name.contains("$PAD") || name.contains('<')) {
        value["metadata"]["name"] = name.replace(|c| "$()<>PAD".contains(c), "").into();
    }
    value
}

#[derive(Default)]
struct Count {
    found: u32,
    worded: u32,
    all: u32,
}

fn refused(at: &str, body: &Value, old: Option<&Value>, write: &Write, causes: &[Value], count: &mut Count) {
    let found = errors(body, old, write.group, write.subresource);
    for cause in causes {
        let cause_of = |part: &str| cause[part].as_str().unwrap_or_default().replace("$NS", "ns");
        let same = |error: &&portcullis_sdk::FieldError| {
            reason(&error.error_type) == cause_of("reason") && error.field == cause_of("field")
        };
        let all: Vec<_> = found.iter().filter(same).collect();
        let worded = all.iter().any(|error| cause_of("message").ends_with(&error.detail));
        count.all += 1;
        count.found += u32::from(!all.is_empty());
        count.worded += u32::from(worded);
        if !worded && env::var_os("SHOW_MISSING").is_some() {
            let what = if all.is_empty() { "missing" } else { "other message" };
            println!("{what} {at}: {} {cause} {:?}", body["kind"], all.first().map(|error| &error.detail));
        }
    }
}

#[test]
fn recorded() {
    let (mut accepted, mut wrong) = (0, Vec::new());
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for (name, scenario) in scenarios() {
        let mut stored: BTreeMap<String, Value> = BTreeMap::new();
        for step in scenario["steps"].as_array().into_iter().flatten() {
            let Some(write) = Write::of(step) else { continue };
            let (answer, at) = (&step["expect"]["body"], format!("{name}/{}", step["id"]));
            let path = write.path.replace("$NS", "ns");
            let old = if write.create { None } else { stored.get(&path) };
            match step["expect"]["status"].as_u64() {
                Some(200 | 201) if answer["metadata"]["name"].is_string() => {
                    let new = plain(answer);
                    let old = old.filter(|old| old["kind"] == new["kind"]);
                    if write.create || old.is_some() {
                        accepted += 1;
                        let found = errors(&new, old, write.group, write.subresource);
                        if !found.is_empty() {
                            wrong.push(format!("{at}: {found:?}"));
                        }
                    }
                    let name = new["metadata"]["name"].as_str().unwrap_or_default();
                    let key = if write.create { format!("{}/{name}", write.path) } else { write.path.to_owned() };
                    if !write.dry {
                        stored.insert(plain(&key.into()).as_str().expect("a path").to_owned(), new);
                    }
                }
                Some(422) if answer["details"]["causes"].is_array() && step["method"] != "PATCH" => {
                    let body = plain(&step["body"]);
                    if write.create || old.is_some() {
                        let count = counts.entry(body["kind"].as_str().unwrap_or_default().to_owned()).or_default();
                        let causes = answer["details"]["causes"].as_array().expect("causes");
                        refused(&at, &body, old, &write, causes, count);
                    }
                }
                _ => {}
            }
        }
    }
    for (kind, count) in &counts {
        println!("    ({kind:?}, {}, {}), // of {}", count.found, count.worded, count.all);
    }
    println!("{accepted} accepted objects, {} wrongly refused", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is found may only grow: raise these with every kind that gains rules.
    for (kind, found, worded) in LEAST {
        let count = counts.get(*kind).map_or((0, 0), |count| (count.found, count.worded));
        assert!(
            accepted == 0 || count.0 >= *found && count.1 >= *worded,
            "{kind}: {count:?} found, of {found}, {worded}"
        );
    }
}

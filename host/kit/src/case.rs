//! Cases: what a policy is asked, and what it should answer.
//!
//! A file in `cases/` holds one case, or several with `---` between them. A case has `expect` (see [`crate::expect`]) and
//! the question: either the stage's whole `document`, or a shorthand for it that fills in what a policy rarely reads.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use portcullis_machinery::definition::split_api_version;
use portcullis_machinery::{Value, object};
use portcullis_policy::{AdmissionDocument, Document, JsonDocument, Stage};
use serde_json::{Map, json};

use crate::KitError;
use crate::call::Question;
use crate::cluster::Resources;

/// One case.
#[derive(Clone)]
pub struct Case {
    /// The file, and the case's own `name` or its number if the file has several.
    pub title: String,
    /// The configuration, where it is another than the Plugin's.
    pub config: Option<Value>,
    /// The objects that `cluster.get` finds.
    pub cluster: Vec<Value>,
    /// What the policy is asked.
    pub question: Question,
    /// What it should answer.
    pub expect: Value,
}

/// The members that a case of any stage has.
const COMMON: [&str; 5] = ["name", "config", "cluster", "expect", "document"];

/// The members of a stage's shorthand.
fn shorthand(stage: Stage) -> &'static [&'static str] {
    match stage {
        Stage::Mutator | Stage::Validator | Stage::ObjectValidator => &[
            "object",
            "oldObject",
            "namespaceObject",
            "operation",
            "resource",
            "subResource",
            "user",
            "dryRun",
            "options",
        ],
        Stage::Authorizer => &["user", "request"],
        Stage::Authenticator => &["tls", "authorization", "request"],
        Stage::Converter => &["objects", "desiredAPIVersion"],
        Stage::Scheduler => &["pod", "nodes", "pods"],
    }
}

/// Reads all cases in a folder, by the names of the files.
///
/// # Errors
/// If a file cannot be read or a case cannot be understood.
pub fn read_all(folder: &Path, stage: Stage, resources: &Resources) -> Result<Vec<Case>, KitError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(KitError::file(folder))?,
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(KitError::file(&path))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        cases.extend(parse(&text, &file, stage, resources)?);
    }
    Ok(cases)
}

/// Reads the cases of one file.
///
/// # Errors
/// If one cannot be understood.
pub fn parse(text: &str, file: &str, stage: Stage, resources: &Resources) -> Result<Vec<Case>, KitError> {
    let fault = |case: &str, detail: String| KitError::Case { case: case.to_owned(), detail };
    let values: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| fault(file, error.to_string()))?;
    let values: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
    let several = values.len() > 1;
    let one = |(index, value): (usize, Value)| {
        let title = match (value["name"].as_str(), several) {
            (Some(name), _) => format!("{file}: {name}"),
            (None, true) => format!("{file} #{}", index + 1),
            (None, false) => file.to_owned(),
        };
        case(value, title.clone(), stage, resources).map_err(|detail| fault(&title, detail))
    };
    values.into_iter().enumerate().map(one).collect()
}

fn case(value: Value, title: String, stage: Stage, resources: &Resources) -> Result<Case, String> {
    let Value::Object(mut members) = value else { return Err("a case is an object".into()) };
    let known = |key: &&String| COMMON.contains(&key.as_str()) || shorthand(stage).contains(&key.as_str());
    if let Some(unknown) = members.keys().find(|key| !known(key)) {
        let all: Vec<&str> = COMMON.iter().chain(shorthand(stage)).copied().collect();
        return Err(format!("there is no {unknown:?} in a case of this stage; there are {}", all.join(", ")));
    }
    let expect = members.remove("expect").ok_or("it does not say what it expects")?;
    crate::expect::check(stage, &expect)?;
    let config = members.remove("config");
    let cluster = list(members.remove("cluster"), "cluster")?;
    members.remove("name");
    let question = match members.remove("document") {
        Some(document) if members.is_empty() => question(stage, document),
        Some(_) => return Err("it has a document and parts of a document beside it".into()),
        None => question(stage, document(stage, members, resources)?),
    };
    Ok(Case { title, config, cluster, question, expect })
}

fn list(value: Option<Value>, what: &str) -> Result<Vec<Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("{what} must be a list")),
    }
}

/// The question of a whole document. Members that the stage does not have are left out, as the server never sends them.
fn question(stage: Stage, mut document: Value) -> Question {
    let mut member = |name: &str| document.get_mut(name).map(Value::take).filter(|value| !value.is_null());
    match stage {
        Stage::Mutator | Stage::Validator | Stage::ObjectValidator => {
            let mut shared = |name: &str| member(name).map(Arc::new);
            let parts = AdmissionDocument {
                object: shared("object"),
                old_object: shared("oldObject"),
                namespace_object: shared("namespaceObject"),
                request: shared("request").unwrap_or_default(),
                ..AdmissionDocument::default()
            };
            let object = parts.object.clone();
            Question { object, ..of(Arc::new(parts)) }
        }
        Stage::Scheduler => {
            let (pod, nodes, pods) = (member("pod"), member("nodes"), member("pods"));
            let items = |value: Option<Value>| list(value, "").unwrap_or_default();
            let pod = pod.unwrap_or_default();
            let document = Arc::new(JsonDocument(json!({"pod": pod})));
            Question { pod, nodes: items(nodes), pods: items(pods), ..of(document) }
        }
        _ => of(Arc::new(JsonDocument(document))),
    }
}

fn of(document: Arc<dyn Document>) -> Question {
    Question { document, object: None, nodes: Vec::new(), pods: Vec::new(), pod: Value::Null }
}

/// The document that a shorthand stands for.
fn document(stage: Stage, mut members: Map<String, Value>, resources: &Resources) -> Result<Value, String> {
    match stage {
        Stage::Mutator | Stage::Validator | Stage::ObjectValidator => admission(members, resources),
        Stage::Authorizer => {
            let user = user(members.remove("user"))?;
            let mut request = json!({"verb": "get", "apiGroup": "", "apiVersion": "v1", "resource": "", "subresource": "",
                "namespace": "", "name": "", "path": "", "resourceRequest": true});
            merge(&mut request, members.remove("request"));
            Ok(json!({"user": user, "request": request}))
        }
        Stage::Authenticator => {
            let mut request = json!({"method": "GET", "path": "/api", "sourceIP": "192.0.2.1", "headers": {}});
            merge(&mut request, members.remove("request"));
            members.insert("request".into(), request);
            Ok(Value::Object(members))
        }
        Stage::Converter => {
            let objects = members.remove("objects").unwrap_or_else(|| json!([]));
            let first = objects.get(0).cloned().unwrap_or_default();
            let (group, _) = split_api_version(object::api_version(&first));
            let (resource, _) = resources.of(&first);
            let desired = members.remove("desiredAPIVersion").ok_or("it has no desiredAPIVersion")?;
            Ok(json!({"request": {"uid": "case", "desiredAPIVersion": desired, "group": group,
                "resource": resource, "kind": object::kind(&first)}, "objects": objects}))
        }
        Stage::Scheduler => Ok(Value::Object(members)),
    }
}

fn merge(into: &mut Value, from: Option<Value>) {
    if let (Value::Object(into), Some(Value::Object(from))) = (into, from) {
        into.extend(from);
    }
}

/// A user by name alone, or with all that a user has.
fn user(given: Option<Value>) -> Result<Value, String> {
    let mut user = json!({"username": "jo", "uid": "", "groups": ["system:authenticated"], "extra": {}});
    match given {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => user["username"] = json!(name),
        Some(whole @ Value::Object(_)) => merge(&mut user, Some(whole)),
        Some(_) => return Err("user must be a name or an object".into()),
    }
    Ok(user)
}

fn admission(mut members: Map<String, Value>, resources: &Resources) -> Result<Value, String> {
    let (object, old) = (members.remove("object"), members.remove("oldObject"));
    let subject = object.as_ref().or(old.as_ref()).cloned().unwrap_or_default();
    let operation = members.remove("operation").unwrap_or_else(|| {
        json!(match (&object, &old) {
            (None, Some(_)) => "DELETE",
            (Some(_), Some(_)) => "UPDATE",
            _ => "CREATE",
        })
    });
    let (group, version) = split_api_version(object::api_version(&subject));
    let (plural, namespaced) = resources.of(&subject);
    let resource = match members.remove("resource") {
        None => json!({"group": group, "version": version, "resource": plural}),
        Some(Value::String(name)) => {
            let (name, group) = name.split_once('.').unwrap_or((&name, group));
            json!({"group": group, "version": version, "resource": name})
        }
        Some(whole) => whole,
    };
    let namespace = match (object::namespace(&subject), namespaced) {
        ("", true) => "default",
        (given, _) => given,
    };
    let space = members.remove("namespaceObject").or_else(|| {
        (!namespace.is_empty()).then(|| {
            json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}}})
        })
    });
    let mut document = json!({"request": {
        "uid": "case",
        "operation": operation,
        "kind": {"group": group, "version": version, "kind": object::kind(&subject)},
        "resource": resource,
        "subResource": members.remove("subResource").unwrap_or_else(|| json!("")),
        "name": object::name(&subject),
        "namespace": namespace,
        "dryRun": members.remove("dryRun").unwrap_or_else(|| json!(false)),
        "userInfo": user(members.remove("user"))?,
        "options": members.remove("options").unwrap_or_else(|| json!({})),
    }});
    for (name, value) in [("object", object), ("oldObject", old), ("namespaceObject", space)] {
        if let Some(value) = value {
            document[name] = value;
        }
    }
    Ok(document)
}

#[cfg(test)]
mod tests;

//! What is replayed: requests that the server kept, and stored objects as if they were written now.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::resource::NAMESPACES;
use portcullis_client::{Client, ClientError, ListParams};
use portcullis_machinery::{Value, object};
use portcullis_plugins::matching::{Matcher, RequestKind};
use portcullis_policy::{AdmissionDocument, Stage};
use serde_json::json;

use crate::{KitError, served};

/// How many objects a page of a list has.
const PAGE: u32 = 500;
/// Who writes stored objects once more.
const USER: &str = "system:portcullis:replay";

/// A question that is put to both versions.
pub struct Subject {
    /// When it was asked, or that it is a stored object.
    pub when: String,
    /// What it is about.
    pub document: AdmissionDocument,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.document.request;
        let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let place: Vec<&str> =
            [text("/namespace"), text("/name")].into_iter().filter(|part| !part.is_empty()).collect();
        let subresource = text("/subResource");
        let resource = match subresource {
            "" => text("/resource/resource").to_owned(),
            _ => format!("{}/{subresource}", text("/resource/resource")),
        };
        write!(f, "{} {} {resource} {}", self.when, text("/operation"), place.join("/"))?;
        match text("/userInfo/username") {
            USER => Ok(()),
            user => write!(f, " by {user}"),
        }
    }
}

fn failed(what: &str) -> impl FnOnce(ClientError) -> KitError + '_ {
    move |error| KitError::Cluster { what: what.to_owned(), error }
}

/// The requests of the last so long that the server kept, as components of a stage met them.
pub async fn recorded(client: &Client, stage: Stage, since: Duration) -> Result<Vec<Subject>, KitError> {
    let path = format!("/portcullis/admission-requests?since={}", since.as_secs());
    let bytes =
        client.get_raw(&path, "*/*").await.map_err(failed("the requests that the server kept cannot be read"))?;
    let step = if stage == Stage::Mutator { "mutate" } else { "validate" };
    let lines = String::from_utf8_lossy(&bytes);
    let subject = |line: &str| {
        let mut value: Value = serde_json::from_str(line).ok()?;
        if value["step"] != step {
            return None;
        }
        let when = value["time"].as_str().unwrap_or_default().to_owned();
        let mut take = |member: &str| value["document"].get_mut(member).map(Value::take);
        let (object, old_object) = (take("object").map(Arc::new), take("oldObject").map(Arc::new));
        let (namespace_object, request) = (take("namespaceObject").map(Arc::new), Arc::new(take("request")?));
        Some(Subject {
            when,
            document: AdmissionDocument {
                object,
                old_object,
                namespace_object,
                request,
                ..AdmissionDocument::default()
            },
        })
    };
    Ok(lines.lines().filter_map(subject).collect())
}

/// Hands over every stored object that one of the versions may look at. Says what could not be read.
pub async fn stored(
    client: &Client,
    matchers: &[Option<&Matcher>],
    mut each: impl FnMut(Subject),
) -> Result<Vec<String>, KitError> {
    let mut notes = Vec::new();
    let namespaces =
        client.list(&NAMESPACES, "", &ListParams::default()).await.map_err(failed("namespaces cannot be read"))?;
    let namespaces: HashMap<String, Arc<Value>> =
        namespaces.items.into_iter().map(|item| (object::name(&item).to_owned(), Arc::new(item))).collect();
    for served in served::all(client).await? {
        if !served.verbs.iter().any(|verb| verb == "list") {
            continue;
        }
        let resource = &served.resource;
        let looks_at = |operation: &str| {
            let kind = RequestKind {
                operation,
                group: &resource.group,
                version: &resource.version,
                resource: &resource.plural,
                subresource: "",
            };
            matchers.iter().flatten().any(|matcher| matcher.matches_kind(&kind))
        };
        let Some(operation) = ["CREATE", "UPDATE"].into_iter().find(|operation| looks_at(operation)) else { continue };
        let mut params = ListParams { limit: PAGE, ..ListParams::default() };
        loop {
            let page = match client.list(resource, "", &params).await {
                Ok(page) => page,
                Err(error) => {
                    notes.push(format!("{resource} are left out: {error}"));
                    break;
                }
            };
            for item in page.items {
                let namespace_object = namespaces.get(object::namespace(&item)).cloned();
                each(written(item, &served.resource, operation, namespace_object));
            }
            if page.continue_token.is_empty() {
                break;
            }
            params.continue_token = page.continue_token;
        }
    }
    Ok(notes)
}

/// A stored object as a write of it.
fn written(
    item: Value,
    resource: &portcullis_client::resource::Resource,
    operation: &str,
    namespace_object: Option<Arc<Value>>,
) -> Subject {
    let (group, version) = (&*resource.group, &*resource.version);
    let request = json!({
        "uid": "replay",
        "operation": operation,
        "kind": {"group": group, "version": version, "kind": &*resource.kind},
        "resource": {"group": group, "version": version, "resource": &*resource.plural},
        "subResource": "",
        "name": object::name(&item),
        "namespace": object::namespace(&item),
        "dryRun": true,
        "userInfo": {"username": USER, "uid": "", "groups": ["system:authenticated"], "extra": {}},
        "options": {},
    });
    let object = Arc::new(item);
    let old_object = (operation == "UPDATE").then(|| Arc::clone(&object));
    let document = AdmissionDocument {
        object: Some(object),
        old_object,
        namespace_object,
        request: Arc::new(request),
        ..AdmissionDocument::default()
    };
    Subject { when: "stored".to_owned(), document }
}

#[cfg(test)]
impl Subject {
    /// A creation of an object.
    pub(super) fn test(item: Value) -> Self {
        written(item, &NAMESPACES, "CREATE", None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_shown() {
        let mut subject = Subject::test(json!({"metadata": {"name": "red"}}));
        assert_eq!(subject.to_string(), "stored CREATE namespaces red");
        Arc::make_mut(&mut subject.document.request)["userInfo"]["username"] = json!("jo");
        Arc::make_mut(&mut subject.document.request)["subResource"] = json!("status");
        assert_eq!(subject.to_string(), "stored CREATE namespaces/status red by jo");
    }
}

//! ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, for going back to one of them.

use std::sync::Arc;

use portcullis_client::resource::CONTROLLERREVISIONS;
use portcullis_client::{Client, ClientError, DeleteParams, Informer, Object, ObjectExt};
use portcullis_machinery::Value;
use serde_json::{Map, json};

use crate::common::{controlled, controller_ref, fnv1a, safe_encode};

/// Annotations that say how an object came about, and not what it is.
const NOT_COPIED: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "deprecated.daemonset.template.generation"];

/// What differs between the kinds.
pub(crate) struct Style {
    /// The label of a revision that holds the hash.
    pub(crate) hash_label: &'static str,
    /// The owner's labels that its revisions have too.
    pub(crate) labels: fn(&Value) -> Option<&Value>,
}

/// The revisions of one owner.
pub(crate) struct History {
    /// Oldest first; the last one is the present template's.
    pub(crate) all: Vec<Object>,
    /// How many hashes were taken already: the owner's `status.collisionCount`.
    pub(crate) collisions: i64,
}

impl History {
    /// The revision of the present template.
    pub(crate) fn update(&self) -> &Value {
        self.all.last().map_or(&Value::Null, |revision| &**revision)
    }

    /// A revision by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Object> {
        self.all.iter().find(|revision| revision.name() == name)
    }
}

/// What a revision holds: a patch that makes the owner's template what it was.
fn data_of(owner: &Value) -> Value {
    let mut template = owner.at(&["spec", "template"]).cloned().unwrap_or_else(|| json!({}));
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template that a revision holds.
pub(crate) fn template_of(revision: &Value) -> Value {
    let mut template = revision.at(&["data", "spec", "template"]).cloned().unwrap_or_default();
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    template
}

/// The hash of a template, with the number of collisions so far.
fn hash(data: &Value, collisions: i64) -> String {
    let mut text = data.to_string();
    if collisions > 0 {
        text.push_str(&collisions.to_string());
    }
    safe_encode(&fnv1a(text.as_bytes()).to_string())
}

/// The hash that a revision is named after.
pub(crate) fn hash_of<'a>(revision: &'a Value, style: &Style) -> &'a str {
    revision.label(style.hash_label).unwrap_or("")
}

/// The owner's revisions, that of the present template made or made the newest.
pub(crate) async fn sync(
    client: &Client,
    informer: &Informer,
    owner: &Value,
    style: &Style,
) -> Result<History, ClientError> {
    let mut all = controlled(informer, owner);
    all.sort_by_key(|revision| (revision.int_at(&["revision"]).unwrap_or(0), revision.name().to_owned()));
    let mut collisions = owner.int_at(&["status", "collisionCount"]).unwrap_or(0);
    let next = all.last().map_or(0, |last| last.int_at(&["revision"]).unwrap_or(0)) + 1;
    let data = data_of(owner);
    if let Some(at) = all.iter().position(|revision| revision["data"] == data) {
        let mut same = all.remove(at);
        if at < all.len() {
            let mut newest = (*same).clone();
            newest["revision"] = next.into();
            same = Arc::new(client.update(&CONTROLLERREVISIONS, &newest).await?);
        }
        all.push(same);
        return Ok(History { all, collisions });
    }
    loop {
        let revision = new_revision(owner, style, &data, next, collisions);
        match client.create(&CONTROLLERREVISIONS, owner.namespace(), &revision).await {
            Ok(created) => all.push(Arc::new(created)),
            Err(error) if error.is_already_exists() => {
                let found = client.get(&CONTROLLERREVISIONS, owner.namespace(), revision.name()).await?;
                if found["data"] != data {
                    // Another template has the same hash.
                    collisions += 1;
                    continue;
                }
                all.push(Arc::new(found));
            }
            Err(error) => return Err(error),
        }
        return Ok(History { all, collisions });
    }
}

fn new_revision(owner: &Value, style: &Style, data: &Value, number: i64, collisions: i64) -> Value {
    let hash = hash(data, collisions);
    let labels = (style.labels)(owner).and_then(Value::as_object).cloned().unwrap_or_default();
    let annotations: Map<String, Value> = owner
        .at(&["metadata", "annotations"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, _)| !NOT_COPIED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let prefix: String = owner.name().chars().take(223).collect();
    let mut revision = json!({
        "kind": "ControllerRevision", "apiVersion": "apps/v1",
        "metadata": {
            "name": format!("{prefix}-{hash}"),
            "namespace": owner.namespace(),
            "labels": labels,
            "ownerReferences": [controller_ref(owner)],
        },
        "data": data,
        "revision": number,
    });
    revision["metadata"]["labels"][style.hash_label] = hash.into();
    if !annotations.is_empty() {
        revision["metadata"]["annotations"] = annotations.into();
    }
    revision
}

/// Deletes the oldest revisions over the owner's limit; those in use stay.
pub(crate) async fn truncate(
    client: &Client,
    owner: &Value,
    history: &History,
    in_use: impl Fn(&Value) -> bool,
) -> Result<(), ClientError> {
    let limit = usize::try_from(owner.int_at(&["spec", "revisionHistoryLimit"]).unwrap_or(10)).unwrap_or(0);
    let past = history.all.len().saturating_sub(1);
    let idle: Vec<&Object> = history.all[..past].iter().filter(|revision| !in_use(revision)).collect();
    for revision in &idle[..idle.len().saturating_sub(limit)] {
        let params = DeleteParams::uid(revision.uid());
        match client.delete(&CONTROLLERREVISIONS, revision.namespace(), revision.name(), &params).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

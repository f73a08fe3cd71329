//! `plugin history` and `plugin undo`: the versions that a Plugin had, which the cluster keeps as ControllerRevisions, and
//! the way back to one of them.

use portcullis_client::resource::{CONTROLLERREVISIONS, PLUGINS};
use portcullis_client::{Client, ClientError, ListParams};
use portcullis_machinery::{Value, object};
use portcullis_plugins::rollout::revision;
use serde_json::json;

use crate::KitError;

/// Where the cluster keeps versions.
const NAMESPACE: &str = "kube-system";

fn failed(what: &str) -> impl FnOnce(ClientError) -> KitError + '_ {
    move |error| KitError::Cluster { what: what.to_owned(), error }
}

/// A version that a Plugin had.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its number; the latest has the highest.
    pub number: i64,
    /// The name of its ControllerRevision.
    pub name: String,
    /// When it was first seen.
    pub since: String,
    /// The part of the spec that is a version.
    pub spec: Value,
}

impl Revision {
    fn of(object: &Value) -> Self {
        let text = |path: &[&str]| object::str_at(object, path).unwrap_or_default().to_owned();
        Self {
            number: object::i64_at(object, &["revision"]).unwrap_or_default(),
            name: object::name(object).to_owned(),
            since: text(&["metadata", "creationTimestamp"]),
            spec: object.pointer("/data/spec").cloned().unwrap_or_default(),
        }
    }

    /// The component, short enough for a table.
    fn source(&self) -> String {
        let source = |kind: &str| object::str_at(&self.spec, &["source", kind]);
        match (source("digest"), source("file"), source("embedded")) {
            (Some(digest), ..) => digest.chars().take("sha256:".len() + 12).collect(),
            (_, Some(file), _) => file.to_owned(),
            (.., Some(name)) => format!("embedded {name}"),
            _ => String::new(),
        }
    }
}

/// A Plugin and its versions, the oldest first.
///
/// # Errors
/// What the cluster says.
pub async fn read(client: &Client, name: &str) -> Result<(Value, Vec<Revision>), KitError> {
    let plugin = client.get(&PLUGINS, "", name).await.map_err(failed("the Plugin cannot be read"))?;
    let list = client.list(&CONTROLLERREVISIONS, NAMESPACE, &ListParams::default()).await;
    let list = list.map_err(failed("the versions cannot be read"))?;
    let own = |object: &&Value| object::controller_of(object).is_some_and(|owner| owner["uid"] == object::uid(&plugin));
    let mut revisions: Vec<Revision> = list.items.iter().filter(own).map(Revision::of).collect();
    revisions.sort_by_key(|revision| revision.number);
    Ok((plugin, revisions))
}

/// The lines of a Plugin's history.
pub fn lines(plugin: &Value, revisions: &[Revision]) -> Vec<String> {
    let status = |path: &[&str]| object::str_at(plugin, path);
    let serves = status(&["status", "activeRevision"]);
    let candidate = status(&["status", "rollout", "candidate"]).zip(status(&["status", "rollout", "phase"]));
    let shadow = status(&["status", "shadow", "revision"]);
    let mut lines = vec![format!("{:<9} {:<8} {:<20} {:<20}  STATE", "REVISION", "MODE", "SOURCE", "SINCE")];
    for revision in revisions {
        let is = |name: Option<&str>| name == Some(revision.name.as_str());
        let state = match candidate {
            _ if is(serves) => "serves".to_owned(),
            _ if is(shadow) => "shadow".to_owned(),
            Some((name, phase)) if name == revision.name => format!("canary: {phase}"),
            _ => String::new(),
        };
        let mode = object::str_at(&revision.spec, &["mode"]).unwrap_or("Enforce");
        let line =
            format!("{:<9} {mode:<8} {:<20} {:<20}  {state}", revision.number, revision.source(), revision.since);
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The version of a number, or the latest one that is not what the Plugin describes now.
///
/// # Errors
/// [`KitError::Project`] if there is none.
pub fn choose<'a>(plugin: &Value, revisions: &'a [Revision], number: Option<i64>) -> Result<&'a Revision, KitError> {
    let name = object::name(plugin);
    match number {
        Some(number) => {
            let found = revisions.iter().find(|revision| revision.number == number);
            found
                .ok_or_else(|| KitError::Project(format!("{name} has no revision {number}: see plugin history {name}")))
        }
        None => {
            let present = revision::name(name, &plugin["spec"]);
            let mut others = revisions.iter().filter(|revision| revision.name != present);
            others.next_back().ok_or_else(|| KitError::Project(format!("{name} has no other revision")))
        }
    }
}

/// Makes a Plugin describe a version that it had. That takes over at once, whatever `spec.rollout` said: it has served
/// before, and whoever undoes something wants it gone.
///
/// # Errors
/// What the cluster says.
pub async fn undo(client: &Client, plugin: &Value, to: &Revision) -> Result<Value, KitError> {
    let updated = client.update(&PLUGINS, &undone(plugin, to)).await;
    updated.map_err(failed("the Plugin was not changed"))
}

fn undone(plugin: &Value, to: &Revision) -> Value {
    let mut next = plugin.clone();
    let mut spec = to.spec.clone();
    for member in ["rollout", "logLevel"] {
        if let Some(kept) = plugin["spec"].get(member) {
            spec[member] = kept.clone();
        }
    }
    if spec.pointer("/rollout/type").is_some_and(|kind| kind != "Immediate") {
        spec["rollout"]["type"] = json!("Immediate");
    }
    next["spec"] = spec;
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revisions() -> Vec<Revision> {
        let made = |number: i64, digest: &str| {
            let spec = json!({"stage": "validator", "source": {"digest": digest}});
            Revision { number, name: revision::name("p", &spec), since: String::new(), spec }
        };
        vec![made(1, "sha256:a"), made(3, "sha256:b")]
    }

    #[test]
    fn the_one_before_is_chosen() {
        let check = |digest: &str, number: Option<i64>, expected: Option<i64>| {
            let plugin =
                json!({"metadata": {"name": "p"}, "spec": {"stage": "validator", "source": {"digest": digest}}});
            let all = revisions();
            let found = choose(&plugin, &all, number).ok().map(|revision| revision.number);
            assert_eq!(found, expected, "{digest} {number:?}");
        };
        check("sha256:b", None, Some(1));
        check("sha256:a", None, Some(3));
        check("sha256:b", Some(3), Some(3));
        check("sha256:b", Some(2), None);
    }

    #[test]
    fn what_is_no_version_stays() {
        let plugin = json!({"metadata": {"name": "p", "resourceVersion": "7"}, "spec": {"stage": "validator", "mode": "Audit",
            "source": {"digest": "sha256:b"}, "logLevel": "Debug", "rollout": {"type": "Canary", "canary": {"percent": 5}}}});
        let next = undone(&plugin, &revisions()[0]);
        let expected = json!({"stage": "validator", "source": {"digest": "sha256:a"}, "logLevel": "Debug",
            "rollout": {"type": "Immediate", "canary": {"percent": 5}}});
        assert_eq!((&next["spec"], &next["metadata"]["resourceVersion"]), (&expected, &json!("7")));
    }

    #[test]
    fn lines_say_what_serves() {
        let all = revisions();
        let plugin = json!({"status": {"activeRevision": all[0].name, "rollout": {"candidate": all[1].name, "phase": "RolledBack"}}});
        let lines = lines(&plugin, &all);
        assert!(lines[1].starts_with("1 ") && lines[1].ends_with("serves"), "{lines:?}");
        assert!(lines[2].starts_with("3 ") && lines[2].ends_with("canary: RolledBack"), "{lines:?}");
    }
}

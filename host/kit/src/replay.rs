//! `plugin replay`: which decisions a new version would make otherwise, before it is applied.
//!
//! The candidate and the version that serves are both run here, in the runtime that the server has, on the requests that
//! the server kept and on every stored object that they match: as if it were made anew, or written once more where a
//! plugin does not look at creations. What they decide is compared; nothing is asked of the cluster but to be read.

mod subjects;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use portcullis_client::Client;
use portcullis_machinery::Value;
use portcullis_plugins::matching::{Matcher, RequestKind, Subject as Matched};
use portcullis_plugins::mode::is_admission;
use portcullis_policy::{AdmissionDocument, Policy, Stage};
use serde_json::json;

use self::subjects::Subject;
pub use self::versions::{Candidate, Versions};
use crate::KitError;
use crate::call::{Prepared, Question, failure, observed};

/// One version, ready to be asked.
pub struct Version {
    matcher: Matcher,
    policy: Arc<Policy>,
}

/// What is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests of the last so long.
    pub since: Duration,
    /// Whether stored objects are looked at.
    pub objects: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// A line for each decision that would change.
    pub changes: Vec<String>,
    /// How many requests were replayed.
    pub requests: usize,
    /// How many stored objects were looked at.
    pub objects: usize,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

/// Replays.
///
/// # Errors
/// If a version does not load, or the cluster cannot be read.
pub async fn replay(client: &Client, candidate: &Candidate, options: Options) -> Result<Report, KitError> {
    let Versions { candidate, serving, stage } = versions::load(client, candidate).await?;
    if !is_admission(stage) {
        return Err(KitError::Project(format!(
            "only policies of admission can be replayed, and this one is of the stage {stage}"
        )));
    }
    let mut report = Report::default();
    match subjects::recorded(client, stage, options.since).await {
        Ok(all) => {
            for subject in all.iter().filter(|subject| any_matches(&candidate, serving.as_ref(), subject)) {
                report.requests += 1;
                compare(&candidate, serving.as_ref(), stage, subject, &mut report);
            }
        }
        Err(error) => report.notes.push(format!("no requests are replayed: {error}")),
    }
    if options.objects {
        let matchers = [Some(&candidate.matcher), serving.as_ref().map(|version| &version.matcher)];
        let notes = subjects::stored(client, &matchers, |subject| {
            if any_matches(&candidate, serving.as_ref(), &subject) {
                report.objects += 1;
                compare(&candidate, serving.as_ref(), stage, &subject, &mut report);
            }
        })
        .await?;
        report.notes.extend(notes);
    }
    Ok(report)
}

fn any_matches(candidate: &Version, serving: Option<&Version>, subject: &Subject) -> bool {
    candidate.matches(subject) || serving.is_some_and(|version| version.matches(subject))
}

fn compare(candidate: &Version, serving: Option<&Version>, stage: Stage, subject: &Subject, report: &mut Report) {
    let nothing = || decision(stage, &json!({"allowed": true}), subject);
    let asked = |version: &Version| if version.matches(subject) { version.decide(stage, subject) } else { nothing() };
    let (before, after) = (serving.map_or_else(nothing, asked), asked(candidate));
    if before.key != after.key {
        report.changes.push(format!("{subject}: {} -> {}", before.shown, after.shown));
    }
}

/// What was decided, to compare and to show.
struct Decision {
    key: Value,
    shown: String,
}

fn decision(stage: Stage, answer: &Value, subject: &Subject) -> Decision {
    let message = |member: &str| answer[member]["message"].as_str().unwrap_or_default().to_owned();
    if answer.get("fails").is_some() {
        return Decision { key: json!("fails"), shown: format!("fails: {}", message("fails")) };
    }
    if answer.get("denied").is_some() {
        return Decision { key: json!("denied"), shown: format!("denied: {}", message("denied")) };
    }
    if let Some(errors) = answer.get("errors").and_then(Value::as_array) {
        let mut places: Vec<String> =
            errors.iter().map(|error| format!("{} {}", error["field"], error["type"])).collect();
        places.sort();
        let text = |error: &Value| {
            format!("{}: {}", error["field"].as_str().unwrap_or_default(), error["detail"].as_str().unwrap_or_default())
        };
        let shown = errors.iter().map(text).collect::<Vec<_>>().join(", ");
        return Decision { key: json!(places), shown: format!("invalid: {shown}") };
    }
    let object = subject.document.object.as_deref().unwrap_or(&Value::Null);
    match answer.get("object").filter(|changed| stage == Stage::Mutator && *changed != object) {
        Some(changed) => Decision { key: json!({"object": changed}), shown: format!("changed by {}", answer["patch"]) },
        None => Decision { key: json!("allowed"), shown: "allowed".to_owned() },
    }
}

impl Version {
    fn matches(&self, subject: &Subject) -> bool {
        let request = &subject.document.request;
        let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = RequestKind {
            operation: text("/operation"),
            group: text("/resource/group"),
            version: text("/resource/version"),
            resource: text("/resource/resource"),
            subresource: text("/subResource"),
        };
        let matched = Matched {
            namespace: text("/namespace"),
            namespace_object: subject.document.namespace_object.as_deref(),
            object: subject.document.object.as_deref(),
            old_object: subject.document.old_object.as_deref(),
        };
        self.matcher.matches_kind(&kind) && self.matcher.matches_subject(&matched)
    }

    fn decide(&self, stage: Stage, subject: &Subject) -> Decision {
        let document: AdmissionDocument = subject.document.clone();
        let question = Question {
            object: document.object.clone(),
            document: Arc::new(document),
            nodes: Vec::new(),
            pods: Vec::new(),
            pod: Value::Null,
        };
        let answer = Prepared::new(&self.policy, &question).and_then(|prepared| prepared.ask(&self.policy));
        let answer = answer.and_then(|answer| observed(answer, &question)).unwrap_or_else(|error| failure(&error));
        decision(stage, &answer, subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_compared_by_what_they_do() {
        let object = json!({"a": 1});
        let subject = Subject::test(object.clone());
        let check = |stage: Stage, one: Value, other: Value, same: bool| {
            let keys = [&one, &other].map(|answer| decision(stage, answer, &subject).key);
            assert_eq!(keys[0] == keys[1], same, "{one} {other}");
        };
        let (allowed, denied) = (json!({"allowed": true}), json!({"denied": {"message": "x"}}));
        check(Stage::Validator, allowed.clone(), denied.clone(), false);
        check(Stage::Validator, denied.clone(), json!({"denied": {"message": "y"}}), true);
        check(Stage::Validator, denied, json!({"fails": {"message": "x"}}), false);
        check(Stage::Mutator, allowed.clone(), json!({"allowed": true, "object": object, "patch": []}), true);
        check(Stage::Mutator, allowed.clone(), json!({"allowed": true, "object": {"a": 2}, "patch": [1]}), false);
        let errors =
            |field: &str, detail: &str| json!({"errors": [{"field": field, "type": "invalid", "detail": detail}]});
        check(Stage::ObjectValidator, errors("a", "x"), errors("a", "y"), true);
        check(Stage::ObjectValidator, errors("a", "x"), errors("b", "x"), false);
        check(Stage::ObjectValidator, errors("a", "x"), allowed, false);
    }
}

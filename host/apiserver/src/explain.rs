//! One request explained: who was asked on its way, what they said, and how long it took.
//!
//! A write that is a dry run is explained if the query says `explain=true` and the caller may `explain` Plugins. The answer
//! is then an `Explanation`, with the answer that the request would have had in it. Where nobody asks, a request pays for
//! one look at a field that is empty.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::Response;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use portcullis_machinery::definition::plugins::{GROUP, VERSION};
use portcullis_machinery::{Status, Value};
use serde_json::json;

use crate::authz::Authorizer;
use crate::context::{RequestContext, RequestInfo, UserInfo};
use crate::{request_info, respond};

/// What an answer was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It counts.
    Decides,
    /// It counts, and is that of a canary.
    Canary,
    /// It is compared with that of a canary.
    Compared,
    /// It is compared with the one that counts, and is that of a shadow.
    Shadow,
}

impl Part {
    /// The word in an explanation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::Canary => "canary",
            Self::Compared => "compared",
            Self::Shadow => "shadow",
        }
    }
}

/// Somebody who was asked.
#[derive(Clone, Debug)]
pub struct Step {
    /// At which stage.
    pub stage: &'static str,
    /// The plugin's name; for what the host decides, the name of that.
    pub plugin: String,
    /// The digest of its component; empty for what the host decides.
    pub digest: String,
    /// The plugin's mode.
    pub mode: &'static str,
    /// What the answer was for.
    pub part: Part,
    /// The answer in a word.
    pub verdict: &'static str,
    /// Why, as far as was said.
    pub reason: String,
    /// How many operations a change has.
    pub operations: usize,
    /// How long it took.
    pub took: Duration,
}

/// What is explained of a request.
#[derive(Debug, Default)]
pub struct Explanation(Mutex<Vec<Step>>);

impl Explanation {
    /// Adds a step.
    pub fn add(&self, step: Step) {
        self.0.lock().push(step);
    }
}

/// Whether a request asks to be explained.
pub(crate) fn is_wanted(query: &[(String, String)]) -> bool {
    request_info::first(query, "explain").is_some_and(|value| matches!(value, "" | "true" | "1"))
}

/// Whether it may be: the caller (and not whom they act as) may `explain` Plugins, and it is a write that is not made.
///
/// # Errors
/// 403, or 400 for a request that is no dry run.
pub(crate) fn check(
    authorizer: &Authorizer,
    caller: &UserInfo,
    info: &RequestInfo,
    query: &[(String, String)],
) -> Result<(), Status> {
    let asked = RequestInfo {
        is_resource_request: true,
        verb: "explain".to_owned(),
        api_group: GROUP.to_owned(),
        api_version: VERSION.to_owned(),
        resource: "plugins".to_owned(),
        ..RequestInfo::default()
    };
    authorizer.require(caller, &asked)?;
    let writes = matches!(info.verb.as_str(), "create" | "update" | "patch" | "delete");
    if !info.is_resource_request || !writes || request_info::first(query, "dryRun") != Some("All") {
        return Err(Status::bad_request("only a write that is a dry run can be explained: add dryRun=All"));
    }
    Ok(())
}

/// Waits for what the host itself does at a stage, and adds it as a step if the request is explained.
pub(crate) async fn host<T>(
    cx: &RequestContext,
    stage: &'static str,
    name: &str,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let Some(explanation) = &cx.explain else { return work.await };
    let start = Instant::now();
    let result = work.await;
    explanation.add(Step::of_host(
        stage,
        name,
        result.as_ref().err().map(|status| status.message.as_str()),
        start.elapsed(),
    ));
    result
}

impl Step {
    /// A step of the host's own, refused for a reason or let through.
    pub(crate) fn of_host(stage: &'static str, name: &str, refused: Option<&str>, took: Duration) -> Self {
        Self {
            stage,
            plugin: name.to_owned(),
            digest: String::new(),
            mode: "Enforce",
            part: Part::Decides,
            verdict: if refused.is_some() { "denied" } else { "allowed" },
            reason: refused.unwrap_or_default().to_owned(),
            operations: 0,
            took,
        }
    }

    fn value(&self) -> Value {
        let mut value = json!({
            "stage": self.stage,
            "by": self.plugin,
            "mode": self.mode,
            "part": self.part.as_str(),
            "verdict": self.verdict,
            "micros": (self.took.as_secs_f64() * 1e7).round() / 10.0,
        });
        for (member, text) in [("digest", &self.digest), ("reason", &self.reason)] {
            if !text.is_empty() {
                value[member] = text.as_str().into();
            }
        }
        if self.operations > 0 {
            value["operations"] = self.operations.into();
        }
        value
    }
}

/// The answer to a request that was explained: the steps, and the answer that it would have had.
pub(crate) async fn answer(
    cx: &RequestContext,
    explanation: &Explanation,
    response: Response<Body>,
    took: Duration,
) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let answered = crate::negotiation::header(&parts.headers, "content-type").contains("json");
    let object = if answered { serde_json::from_slice(&bytes).unwrap_or(Value::Null) } else { Value::Null };
    let steps: Vec<Value> = explanation.0.lock().iter().map(Step::value).collect();
    let info = &cx.info;
    let value = json!({
        "kind": "Explanation",
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "request": {
            "uid": cx.request_id,
            "user": cx.user.username,
            "verb": info.verb,
            "apiGroup": info.api_group,
            "apiVersion": info.api_version,
            "resource": info.resource,
            "subresource": info.subresource,
            "namespace": info.namespace,
            "name": info.name,
        },
        "steps": steps,
        "micros": (took.as_secs_f64() * 1e7).round() / 10.0,
        "response": {"code": parts.status.as_u16(), "object": object},
    });
    let mut response = respond::raw(200, "application/json", value.to_string());
    for warning in parts.headers.get_all(http::header::WARNING) {
        response.headers_mut().append(http::header::WARNING, warning.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_have_what_explained() {
        let authorizer = Authorizer::new(vec![crate::server_config::AuthorizationMode::AlwaysDeny]);
        let admin = UserInfo { groups: vec!["system:masters".to_owned()], ..UserInfo::default() };
        let check = |user: &UserInfo, verb: &str, query: &[(&str, &str)], expected: u16| {
            let info = RequestInfo { is_resource_request: true, verb: verb.to_owned(), ..RequestInfo::default() };
            let query: Vec<(String, String)> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let code = check(&authorizer, user, &info, &query).map_or_else(|status| status.code, |()| 200);
            assert_eq!(code, expected, "{verb} {query:?}");
        };
        check(&admin, "create", &[("dryRun", "All")], 200);
        check(&admin, "create", &[], 400);
        check(&admin, "list", &[("dryRun", "All")], 400);
        check(&UserInfo::default(), "create", &[("dryRun", "All")], 403);
    }

    #[test]
    fn a_step_says_what_is_known() {
        let step = Step::of_host("validator", "webhooks", Some("no"), Duration::from_nanos(12_340));
        let expected = json!({"stage": "validator", "by": "webhooks", "mode": "Enforce", "part": "decides",
                              "verdict": "denied", "micros": 12.3, "reason": "no"});
        assert_eq!(step.value(), expected);
    }
}

//! Mutating webhooks: each is asked in its turn, about the object as those before it have left it.

use std::time::Instant;

use portcullis_machinery::{Status, Value, codec, defaults, patch};
use serde::Serialize;

use super::call::{Failure, Step, call, settle};
use super::is_exempt;
use super::matching::{Asked, Invocation, invocation};
use super::table::Placed;
use crate::admission::AdmissionAttributes;
use crate::admission::reinvocation::Reinvocation;
use crate::audit::Level;
use crate::handlers::Scope;

/// Lets the mutating webhooks change an object. A deletion has `Value::Null` as its object.
///
/// # Errors
/// What the first that refuses, or that cannot be asked, says. The object may be half changed then.
pub async fn mutate(
    scope: &Scope,
    attributes: &AdmissionAttributes,
    object: &mut Value,
    rounds: &mut Reinvocation,
) -> Result<(), Status> {
    let candidates = scope.server.webhooks.mutating.candidates(&scope.server, &attributes.resource);
    if candidates.is_empty() || is_exempt(attributes) {
        return Ok(());
    }
    let again = rounds.is_again();
    rounds.webhooks.begin(again, object);
    let asked = Asked::new(scope, attributes).await;
    let mut result = Ok(());
    for placed in candidates.iter() {
        result = one(&asked, placed, object, rounds).await;
        if result.is_err() {
            break;
        }
    }
    rounds.webhooks.end(object);
    result
}

async fn one(asked: &Asked<'_>, placed: &Placed, object: &mut Value, rounds: &mut Reinvocation) -> Result<(), Status> {
    let hook = &placed.hook;
    let Some(invocation) = invocation(hook, asked, object).await? else { return Ok(()) };
    // In the second round nobody is asked for the first time.
    if rounds.is_again() && !rounds.webhooks.is_due(&hook.id) {
        return Ok(());
    }
    let begun = Instant::now();
    let note = Note { asked, placed, round: usize::from(rounds.is_again()) };
    let outcome = ask(&note, &invocation, object).await;
    let changed = matches!(outcome, Ok(true));
    note.mutated(changed);
    if changed {
        rounds.webhooks.changed();
        rounds.ask();
    }
    if hook.again_if_needed {
        rounds.webhooks.invoked(hook.id.clone());
    }
    settle(Step::Mutating, hook, asked, begun, outcome.err(), || note.failed_open())
}

/// Asks a webhook and applies its patch. Whether that changed anything.
async fn ask(note: &Note<'_>, invocation: &Invocation, object: &mut Value) -> Result<bool, Failure> {
    let (asked, hook) = (note.asked, &note.placed.hook);
    let unconverted = |status: Status| Failure::Internal(Box::new(status));
    let form = asked.form(invocation, object).await.map_err(unconverted)?;
    let old = asked.form(invocation, asked.old.unwrap_or(&Value::Null)).await.map_err(unconverted)?;
    let answer = call(Step::Mutating, hook, asked, invocation, &form, &old).await?;
    let Some(bytes) = answer.patch else { return Ok(false) };
    let undecodable = |why: String| Failure::Calling {
        why: format!("received undecodable patch in webhook response: {why}"),
        code: 503,
    };
    let operations: Value = serde_json::from_slice(&bytes).map_err(|error| match error.is_eof() {
        true => undecodable("unexpected end of JSON input".into()),
        false => undecodable(error.to_string()),
    })?;
    let Value::Array(list) = &operations else {
        return Err(undecodable(
            "json: cannot unmarshal a value that is no list into Go value of type jsonpatch.Patch".into(),
        ));
    };
    if list.is_empty() {
        return Ok(false);
    }
    let internal = |why: String| Failure::Internal(Box::new(Status::internal(why)));
    if form.is_null() {
        return Err(internal(format!(
            "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
            hook.name
        )));
    }
    if answer.patch_type != "JSONPatch" {
        return Err(Failure::Calling { why: format!("unsupported patch type {:?}", answer.patch_type), code: 400 });
    }
    let mut patched = patch::json_patch(&form, &bytes).map_err(|status| internal(status.message))?;
    // The patch may not make another kind of the object.
    for field in ["apiVersion", "kind"] {
        if let (Some(map), Some(was)) = (patched.as_object_mut(), form.get(field)) {
            map.insert(field.to_owned(), was.clone());
        }
    }
    // What a subresource carries in a kind of its own has no other versions: then its type is the request's.
    let type_ = match &invocation.other {
        Some(other) if other.kind == invocation.kind.name => other,
        _ => &asked.scope.definition,
    };
    codec::conform(&mut patched, &type_.schema).map_err(|error| internal(error.to_string()))?;
    let changed = patched != *form;
    note.patched(&operations);
    defaults::apply_defaults(type_, &mut patched);
    drop(form);
    *object = asked.back(invocation, patched).await.map_err(unconverted)?;
    Ok(changed)
}

/// What the audit log is told of one call.
struct Note<'a> {
    asked: &'a Asked<'a>,
    placed: &'a Placed,
    round: usize,
}

impl Note<'_> {
    fn key(&self, prefix: &str) -> String {
        format!("{prefix}/round_{}_index_{}", self.round, self.placed.index)
    }

    fn mutated(&self, changed: bool) {
        let note = Annotation { mutated: Some(changed), ..self.annotation() };
        self.asked.scope.cx.annotate(&self.key("mutation.webhook.admission.k8s.io"), &note.text());
    }

    /// A patch is part of the request, and recorded where requests are.
    fn patched(&self, operations: &Value) {
        let note = Annotation { patch: Some(operations), patch_type: Some("JSONPatch"), ..self.annotation() };
        let cx = &self.asked.scope.cx;
        cx.annotate_at(Level::Request, &self.key("patch.webhook.admission.k8s.io"), &note.text());
    }

    fn annotation(&self) -> Annotation<'_> {
        let hook = &self.placed.hook;
        Annotation {
            configuration: &hook.configuration,
            webhook: &hook.name,
            mutated: None,
            patch: None,
            patch_type: None,
        }
    }

    fn failed_open(&self) {
        let key = self.key("failed-open.mutation.webhook.admission.k8s.io");
        self.asked.scope.cx.annotate(&key, &self.placed.hook.name);
    }
}

/// The value of an annotation; those who read them parse it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Annotation<'a> {
    configuration: &'a str,
    webhook: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
}

impl Annotation<'_> {
    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

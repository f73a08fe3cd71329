//! Validating webhooks: all that are concerned are asked at once.

use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use portcullis_machinery::{Status, Value};

use super::call::{Step, call, settle};
use super::is_exempt;
use super::matching::{Asked, Invocation, invocation};
use super::table::Placed;
use crate::admission::AdmissionAttributes;
use crate::handlers::Scope;

/// Asks the validating webhooks about a request. A deletion has `Value::Null` as its object.
///
/// # Errors
/// What the first of those that refuse says.
pub async fn validate(scope: &Scope, attributes: &AdmissionAttributes, object: &Value) -> Result<(), Status> {
    let candidates = scope.server.webhooks.validating.candidates(&scope.server, &attributes.resource);
    if candidates.is_empty() || is_exempt(attributes) {
        return Ok(());
    }
    let asked = Asked::new(scope, attributes).await;
    let mut concerned: Vec<(&Placed, Invocation)> = Vec::new();
    for placed in candidates.iter() {
        if let Some(invocation) = invocation(&placed.hook, &asked, object).await? {
            concerned.push((placed, invocation));
        }
    }
    let calls: FuturesUnordered<_> = concerned
        .iter()
        .enumerate()
        .map(|(index, (placed, invocation))| ask(&asked, index, placed, invocation, object))
        .collect();
    // All are waited for, so that what each says beside its verdict is passed on.
    let verdicts: Vec<Result<(), Status>> = calls.collect().await;
    verdicts.into_iter().collect()
}

async fn ask(
    asked: &Asked<'_>,
    index: usize,
    placed: &Placed,
    invocation: &Invocation,
    object: &Value,
) -> Result<(), Status> {
    let begun = Instant::now();
    let hook = &placed.hook;
    let old = asked.old.unwrap_or(&Value::Null);
    let (object, old) = (asked.form(invocation, object).await?, asked.form(invocation, old).await?);
    let outcome = call(Step::Validating, hook, asked, invocation, &object, &old).await;
    settle(Step::Validating, hook, asked, begun, outcome.err(), || {
        let key = format!("failed-open.validating.webhook.admission.k8s.io/round_0_index_{index}");
        asked.scope.cx.annotate(&key, &hook.name);
    })
}

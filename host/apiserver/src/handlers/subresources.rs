//! Subresources that are more than a part of the object: binding, eviction, tokens.

use axum::body::Body;
use http::Response;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::status::{Cause, StatusDetails};
use portcullis_machinery::{Status, Value, codec, object};
use serde_json::json;

use super::carried::Carried;
use super::options::{DeleteOptions, WriteKind, WriteOptions, write_options};
use super::scope::{cache_of, store_error};
use super::transform::respond_object;
use super::{Scope, body, delete, get, update};
use crate::admission::Operation;
use crate::negotiation::body_media;
use crate::{respond, tokens};

/// Answers a POST to a subresource.
///
/// # Errors
/// As the reference answers; 405 for a subresource that takes no POST.
pub async fn post(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let media = body_media(&scope.headers)?;
    let bytes = body::read(request_body, scope.server.config.max_request_body_bytes).await?;
    let options = write_options(&scope.query, WriteKind::Create)?;
    let sub = scope.subresource.as_ref().map(|sub| sub.kind.clone()).unwrap_or_default();
    let decoded = codec::decode(&bytes, media).map_err(|error| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {sub}): couldn't get version/kind; json parse \
             error: {error}"
        ))
    })?;
    let sent = decoded.object;
    match (scope.resource(), scope.sub()) {
        ("pods", "binding") => bind(scope, sent, &options).await,
        ("pods", "eviction") => evict(scope, sent, &options).await,
        ("serviceaccounts", "token") => {
            let account = get::find(scope).await?;
            let asked = carried(scope, &options);
            let mut sent = sent;
            asked.mutate(&mut sent).await?;
            asked.validate(&sent).await?;
            let answer = tokens::create_token(&scope.server, &scope.cx, &account.value(), sent).await?;
            respond_object(scope, 201, &answer)
        }
        _ => Err(Status::method_not_allowed()),
    }
}

/// What is posted to a subresource, as admission sees it.
fn carried(scope: &Scope, options: &WriteOptions) -> Carried {
    Carried::new(scope, Operation::Create, &scope.name, options.dry_run, options.to_value("CreateOptions"))
}

fn created() -> Status {
    Status { code: 201, ..Status::success(None) }
}

/// Assigns a pod to a node. `scope` names the pod, whether the request came to `bindings` or to `pods/…/binding`.
///
/// # Errors
/// 400, 409 or 500 as the reference answers.
pub async fn bind(scope: &Scope, mut binding: Value, options: &WriteOptions) -> Result<Response<Body>, Status> {
    let asked = carried(scope, options);
    asked.mutate(&mut binding).await?;
    let registry = scope.server.registry.load_full();
    let Some(pods) = registry.resource("", "v1", "pods") else { return Err(Status::resource_not_found()) };
    let mut scope = scope.clone();
    scope.definition = pods.clone();
    scope.subresource = pods.subresource("binding").cloned();
    let given = object::name(&binding).to_owned();
    if !given.is_empty() && given != scope.name {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let target = object::str_at(&binding, &["target", "name"]).unwrap_or("").to_owned();
    let kind = object::str_at(&binding, &["target", "kind"]).unwrap_or("");
    if !matches!(kind, "" | "Node") {
        let kind = Value::from(kind);
        let text = format!("target.kind: Unsupported value: {kind}: supported values: \"Node\", \"<empty>\"");
        return Err(Status::failure(500, "", text));
    }
    if target.is_empty() {
        return Err(Status::failure(500, "", "target.name: Required value"));
    }
    asked.validate(&binding).await?;
    let (name, key) = (scope.name.clone(), scope.key());
    let change = move |pod: &Value| {
        let (uid, version) = (object::uid(&binding), object::resource_version(&binding));
        if !uid.is_empty() && uid != object::uid(pod) {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                object::uid(pod)
            );
            return Err(Status::conflict("", "pods", &name, &why));
        }
        if !version.is_empty() && version != object::resource_version(pod) {
            return Err(Status::modified("", "pods", &name));
        }
        let refuse = |why: String| Err(Status::conflict("", "pods/binding", &name, &why));
        if object::deletion_timestamp(pod).is_some() {
            return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        let assigned = object::str_at(pod, &["spec", "nodeName"]).unwrap_or("");
        if !assigned.is_empty() {
            return refuse(format!("pod {name} is already assigned to node \"{assigned}\""));
        }
        if !object::list_at(pod, &["spec", "schedulingGates"]).is_empty() {
            return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        let mut pod = pod.clone();
        object::set_at(&mut pod, &["spec", "nodeName"], target.as_str());
        for (part, only) in [("annotations", None), ("labels", Some("topology.kubernetes.io/"))] {
            let Some(Value::Object(more)) = object::get_at(&binding, &["metadata", part]) else { continue };
            for (field, value) in more.iter().filter(|(key, _)| only.is_none_or(|only| key.starts_with(only))) {
                object::set_at(&mut pod, &["metadata", part, field], value.clone());
            }
        }
        // The room that was made for it is its own now.
        object::remove_at(&mut pod, &["status", "nominatedNodeName"]);
        let mut conditions = object::list_at(&pod, &["status", "conditions"]).to_vec();
        conditions.retain(|condition| condition.get("type") != Some(&"PodScheduled".into()));
        conditions.push(json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": object::now_rfc3339(),
        }));
        object::set_at(&mut pod, &["status", "conditions"], conditions);
        Ok(pod)
    };
    update::apply(&scope, &update::Source::Admitted(Box::new(change)), options).await?;
    Ok(respond::status_with(201, &scope.output, &created()))
}

/// Deletes a pod if no disruption budget forbids it (`policy/v1` Eviction).
async fn evict(scope: &Scope, mut eviction: Value, options: &WriteOptions) -> Result<Response<Body>, Status> {
    let asked = carried(scope, options);
    asked.mutate(&mut eviction).await?;
    let given = object::name(&eviction);
    if !given.is_empty() && given != scope.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut how = DeleteOptions::read(&[], eviction.get("deleteOptions"))?;
    how.dry_run |= options.dry_run;
    let pod = get::find(scope).await?.value();
    asked.validate(&eviction).await?;
    let phase = object::str_at(&pod, &["status", "phase"]).unwrap_or("");
    let over = matches!(phase, "Succeeded" | "Failed" | "Pending") || object::deletion_timestamp(&pod).is_some();
    if !over {
        spend_budget(scope, &pod, how.dry_run).await?;
    }
    let mut deletion = scope.clone();
    deletion.subresource = None;
    if !how.dry_run {
        mark_evicted(&deletion, &mut how).await?;
    }
    delete::remove_admitted(&deletion, &how).await?;
    Ok(respond::status_with(201, &scope.output, &created()))
}

/// Says in a pod's status why it goes, for those who ask whether its end was its own fault.
async fn mark_evicted(scope: &Scope, how: &mut DeleteOptions) -> Result<(), Status> {
    let mut of_status = scope.clone();
    of_status.subresource = scope.definition.subresource("status").cloned();
    let (pod_scope, wanted) = (scope.clone(), how.clone());
    let change = move |pod: &Value| {
        delete::check_preconditions(&pod_scope, &wanted, pod)?;
        let mut conditions = object::list_at(pod, &["status", "conditions"]).to_vec();
        let is_target = |condition: &Value| condition.get("type") == Some(&"DisruptionTarget".into());
        let known = conditions.iter().find(|condition| is_target(condition));
        let since = known.filter(|condition| condition.get("status") == Some(&"True".into()));
        let since = since.and_then(|condition| object::str_at(condition, &["lastTransitionTime"])).map(str::to_owned);
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastProbeTime": null,
            "lastTransitionTime": since.unwrap_or_else(object::now_rfc3339),
        });
        match conditions.iter_mut().find(|condition| is_target(condition)) {
            Some(known) => *known = condition,
            None => conditions.push(condition),
        }
        let mut pod = pod.clone();
        object::set_at(&mut pod, &["status", "conditions"], conditions);
        Ok(pod)
    };
    let options = WriteOptions::default();
    let (marked, _) = update::apply(&of_status, &update::Source::Admitted(Box::new(change)), &options).await?;
    // The pod is another version now, and that is the one to be deleted.
    if let Some(version) = &mut how.resource_version {
        object::resource_version(&marked).clone_into(version);
    }
    Ok(())
}

fn disrupted(cause: String, retry: u32) -> Status {
    let mut status =
        Status::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry);
    let details = status.details.get_or_insert_with(StatusDetails::default);
    details.causes.push(Cause { reason: "DisruptionBudget".into(), message: cause, field: String::new() });
    status
}

async fn spend_budget(scope: &Scope, pod: &Value, dry_run: bool) -> Result<(), Status> {
    let registry = scope.server.registry.load_full();
    let Some(budgets) = registry.resource("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let cache = cache_of(&scope.server, budgets);
    let all = cache.snapshot(None).await.map_err(|error| store_error(&error))?;
    let prefix = budgets.key_prefix(Some(&scope.namespace));
    let mut matching = Vec::new();
    for found in all.under(&prefix, None) {
        let budget = found.value();
        let selector = LabelSelector::from_object(object::get_at(&budget, &["spec", "selector"]));
        if selector.is_ok_and(|selector| selector.matches_object(pod)) {
            matching.push(budget);
        }
    }
    let budget = match matching.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        _ => {
            let why =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::internal(why));
        }
    };
    let ready = object::list_at(pod, &["status", "conditions"]).iter().any(|condition| {
        condition.get("type") == Some(&"Ready".into()) && condition.get("status") == Some(&"True".into())
    });
    let number = |field: &str| object::i64_at(&budget, &["status", field]).unwrap_or(0);
    let always = object::str_at(&budget, &["spec", "unhealthyPodEvictionPolicy"]) == Some("AlwaysAllow");
    let healthy_enough = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
    if !ready && (always || healthy_enough) {
        return Ok(());
    }
    let name = object::name(&budget).to_owned();
    let mut of_budget = scope.clone();
    of_budget.definition = budgets.clone();
    of_budget.subresource = budgets.subresource("status").cloned();
    of_budget.name.clone_from(&name);
    of_budget.query.clear();
    let pod_name = scope.name.clone();
    let change = move |budget: &Value| {
        let number = |field: &str| object::i64_at(budget, &["status", field]).unwrap_or(0);
        if number("observedGeneration") < object::generation(budget) {
            return Err(disrupted(format!("The disruption budget {name} is still being processed by the server."), 10));
        }
        let allowed = number("disruptionsAllowed");
        if allowed < 0 {
            return Err(Status::forbidden(
                "policy",
                "poddisruptionbudgets",
                &name,
                "pdb disruptions allowed is negative",
            ));
        }
        if allowed == 0 {
            return Err(disrupted(
                format!(
                    "The disruption budget {name} needs {} healthy pods and has {} currently",
                    number("desiredHealthy"),
                    number("currentHealthy")
                ),
                0,
            ));
        }
        let mut budget = budget.clone();
        object::set_at(&mut budget, &["status", "disruptionsAllowed"], allowed - 1);
        object::set_at(&mut budget, &["status", "disruptedPods", &pod_name], object::now_rfc3339());
        if allowed == 1 {
            let mut conditions = object::list_at(&budget, &["status", "conditions"]).to_vec();
            conditions.retain(|condition| condition.get("type") != Some(&"DisruptionAllowed".into()));
            conditions.push(json!({
                "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
                "lastTransitionTime": object::now_rfc3339(), "observedGeneration": object::generation(&budget),
            }));
            object::set_at(&mut budget, &["status", "conditions"], conditions);
        }
        Ok(budget)
    };
    let options = WriteOptions { dry_run, ..WriteOptions::default() };
    update::apply(&of_budget, &update::Source::Change(Box::new(change)), &options).await.map(|_| ())
}

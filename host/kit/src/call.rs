//! Asking a policy of any stage, and what it answered as one JSON object.

use std::sync::Arc;

use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Value, object, patch};
use portcullis_policy::{
    AuditAnnotation, AuthenticatorOutcome, AuthorizerDecision, CallError, Denial, Document, Findings, Mutation,
    NodeBatch, PatchOperation, PatchOperationKind, Placement, Policy, Scheduling, Stage, Verdict,
};
use portcullis_scheduler::{node_allocatable, pod_requests};
use serde_json::{Map, json};

/// What a policy is asked.
#[derive(Clone)]
pub struct Question {
    /// The stage's document.
    pub document: Arc<dyn Document>,
    /// The object under review, for mutators: what their patch is applied to.
    pub object: Option<Arc<Value>>,
    /// The nodes, for schedulers.
    pub nodes: Vec<Value>,
    /// The pods that are on the nodes, for schedulers.
    pub pods: Vec<Value>,
    /// The pod that is to be placed, for schedulers.
    pub pod: Value,
}

/// What a policy answered.
#[derive(Debug)]
pub enum Answer {
    /// Of a validator.
    Verdict(Verdict),
    /// Of a mutator.
    Mutation(Mutation),
    /// Of an object validator.
    Findings(Findings),
    /// Of an authorizer.
    Decision(AuthorizerDecision),
    /// Of an authenticator.
    Outcome(AuthenticatorOutcome),
    /// Of a converter.
    Objects(Result<Vec<String>, String>),
    /// Of a scheduler.
    Placement(Placement),
}

/// Counts the pods of a question.
struct Counter {
    nodes: Vec<String>,
    pods: Vec<Value>,
}

impl Scheduling for Counter {
    fn count_pods(&self, namespace: &str, selector: &str) -> Vec<u32> {
        let selector: Option<Value> = serde_json::from_str(selector).ok();
        let selector = selector.and_then(|selector| LabelSelector::from_object(Some(&selector)).ok());
        let counts = |pod: &&Value, node: &str| {
            pod["spec"]["nodeName"] == node
                && object::namespace(pod) == namespace
                && selector.as_ref().is_some_and(|selector| selector.matches_object(pod))
        };
        let count = |node: &String| self.pods.iter().filter(|pod| counts(pod, node)).count();
        self.nodes.iter().map(|node| u32::try_from(count(node)).unwrap_or(u32::MAX)).collect()
    }
}

/// A question made ready for one version of a policy, so that asking is the call and nothing else.
pub struct Prepared {
    document: Arc<dyn Document>,
    batch: Option<(NodeBatch, Arc<dyn Scheduling>)>,
}

impl Prepared {
    /// Packs what has to be packed once.
    ///
    /// # Errors
    /// If nodes cannot be packed.
    pub fn new(policy: &Policy, question: &Question) -> Result<Prepared, CallError> {
        let document = Arc::clone(&question.document);
        if policy.stage() != Stage::Scheduler {
            return Ok(Prepared { document, batch: None });
        }
        let packed = question.nodes.iter().map(|node| policy.pack_node(node)).collect::<Result<Vec<_>, _>>()?;
        let mut requests = pod_requests(&question.pod);
        for always in ["cpu", "memory", "pods"] {
            requests.entry(always.to_owned()).or_insert(0);
        }
        let names: Vec<String> = question.nodes.iter().map(|node| object::name(node).to_owned()).collect();
        let taken = |resource: &str, node: &str| -> i64 {
            let there = question.pods.iter().filter(|pod| pod["spec"]["nodeName"] == node);
            there.map(|pod| pod_requests(pod).get(resource).copied().unwrap_or(0)).sum()
        };
        let mut batch = NodeBatch {
            nodes: u32::try_from(names.len()).unwrap_or(u32::MAX),
            resources: requests.keys().cloned().collect(),
            requests: requests.values().copied().collect(),
            allocatable: Vec::new(),
            requested: Vec::new(),
            node_values: policy.join_nodes(packed.iter().map(Vec::as_slice))?,
        };
        for resource in requests.keys() {
            for (node, name) in question.nodes.iter().zip(&names) {
                batch.allocatable.push(node_allocatable(node).get(resource).copied().unwrap_or(0));
                batch.requested.push(taken(resource, name));
            }
        }
        let counter = Arc::new(Counter { nodes: names, pods: question.pods.clone() });
        Ok(Prepared { document, batch: Some((batch, counter)) })
    }

    /// Asks.
    ///
    /// # Errors
    /// If the policy gives no answer.
    pub fn ask(&self, policy: &Policy) -> Result<Answer, CallError> {
        let document = &self.document;
        Ok(match policy.stage() {
            Stage::Validator => Answer::Verdict(policy.call_validator(document)?),
            Stage::Mutator => Answer::Mutation(policy.call_mutator(document)?),
            Stage::ObjectValidator => Answer::Findings(policy.call_object_validator(document)?),
            Stage::Authorizer => Answer::Decision(policy.call_authorizer(document)?),
            Stage::Authenticator => Answer::Outcome(policy.call_authenticator(document)?),
            Stage::Converter => Answer::Objects(policy.call_converter(document)?),
            Stage::Scheduler => {
                let (batch, counter) =
                    self.batch.as_ref().ok_or_else(|| CallError::BadInput("there are no nodes".into()))?;
                Answer::Placement(policy.call_scheduler(document, batch, Arc::clone(counter))?)
            }
        })
    }
}

fn said(text: &str) -> Value {
    json!({"message": text})
}

/// A failure to answer, in the form of an answer.
pub fn failure(error: &CallError) -> Value {
    json!({"fails": {"message": error.to_string(), "reason": error.reason()}})
}

/// An answer as JSON, with the members that a case can name.
///
/// # Errors
/// If a patch does not apply or an object is no JSON: then the answer is a failure of the policy.
pub fn observed(answer: Answer, question: &Question) -> Result<Value, CallError> {
    let unusable = CallError::BadOutput;
    Ok(match answer {
        Answer::Verdict(verdict) => admission(verdict.denied, verdict.warnings, verdict.audit_annotations),
        Answer::Mutation(mutation) => {
            let denied = mutation.denied.is_some();
            let mut value = admission(mutation.denied, mutation.warnings, mutation.audit_annotations);
            if !denied {
                let operations = operations(&mutation.patch).map_err(unusable)?;
                let object = question.object.as_deref().cloned().unwrap_or_default();
                let patched = patch::json_patch(&object, operations.to_string().as_bytes());
                let patched = patched
                    .map_err(|status| CallError::BadOutput(format!("its patch does not apply: {}", status.message)))?;
                value["patch"] = operations;
                value["object"] = patched;
            }
            value
        }
        Answer::Findings(findings) => {
            let error = |error: &portcullis_policy::FieldError| {
                let value = serde_json::from_str(&error.value).unwrap_or(Value::Null);
                let kind = format!("{:?}", error.error_type);
                let kind = kind.rsplit("::").next().unwrap_or_default();
                json!({"field": error.field, "type": type_name(kind), "value": value, "detail": error.detail})
            };
            let errors: Vec<Value> = findings.errors.iter().map(error).collect();
            let mut value = json!({"warnings": findings.warnings});
            match errors.is_empty() {
                true => value["allowed"] = json!(true),
                false => value["errors"] = json!(errors),
            }
            value
        }
        Answer::Decision(AuthorizerDecision::Allow) => json!({"allow": true}),
        Answer::Decision(AuthorizerDecision::Deny(why)) => json!({"deny": said(&why)}),
        Answer::Decision(AuthorizerDecision::NoOpinion(why)) => json!({"noOpinion": said(&why)}),
        Answer::Outcome(AuthenticatorOutcome::NoOpinion) => json!({"noOpinion": true}),
        Answer::Outcome(AuthenticatorOutcome::Rejected(why)) => json!({"rejected": said(&why)}),
        Answer::Outcome(AuthenticatorOutcome::Authenticated(user)) => {
            let extra: Map<String, Value> = user.extra.into_iter().map(|(key, values)| (key, json!(values))).collect();
            let (username, uid, groups) = (user.username, user.uid, user.groups);
            json!({"authenticated": {"username": username, "uid": uid, "groups": groups, "extra": extra}})
        }
        Answer::Objects(Err(why)) => json!({"refused": said(&why)}),
        Answer::Objects(Ok(texts)) => {
            let objects = texts.iter().map(|text| serde_json::from_str::<Value>(text)).collect::<Result<Vec<_>, _>>();
            json!({"objects": objects.map_err(|error| unusable(format!("an object is no JSON: {error}")))?})
        }
        Answer::Placement(placement) => placed(&placement, question),
    })
}

/// `NotSupported` as a case writes it: `notSupported`.
fn type_name(kind: &str) -> String {
    let mut chars = kind.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

fn admission(denied: Option<Denial>, warnings: Vec<String>, annotations: Vec<AuditAnnotation>) -> Value {
    let audit: Map<String, Value> =
        annotations.into_iter().map(|annotation| (annotation.key, Value::String(annotation.value))).collect();
    let mut value = json!({"warnings": warnings, "audit": audit});
    match denied {
        None => value["allowed"] = json!(true),
        Some(denial) => {
            let causes: Vec<Value> = denial
                .causes
                .iter()
                .map(|cause| json!({"field": cause.field, "reason": cause.reason, "message": cause.message}))
                .collect();
            // As the server answers it: see `denial` in the interfaces.
            let code = if (400..500).contains(&denial.code) { denial.code } else { 403 };
            value["denied"] =
                json!({"message": denial.message, "code": code, "reason": denial.reason, "causes": causes});
        }
    }
    value
}

fn operations(list: &[PatchOperation]) -> Result<Value, String> {
    let one = |operation: &PatchOperation| {
        let op = match operation.op {
            PatchOperationKind::Add => "add",
            PatchOperationKind::Replace => "replace",
            PatchOperationKind::Remove => "remove",
            PatchOperationKind::Test => "test",
        };
        let mut entry = json!({"op": op, "path": operation.path});
        if operation.op != PatchOperationKind::Remove {
            entry["value"] = serde_json::from_str(&operation.value)
                .map_err(|error| format!("the value for {} is not JSON: {error}", operation.path))?;
        }
        Ok(entry)
    };
    list.iter().map(one).collect()
}

/// Scores and exclusions by the nodes' names, and the node that would be taken.
fn placed(placement: &Placement, question: &Question) -> Value {
    let (mut scores, mut excluded) = (Map::new(), Map::new());
    let mut best: Option<(i64, &str)> = None;
    for (node, score) in question.nodes.iter().zip(&placement.scores) {
        let name = object::name(node);
        if *score >= 0 {
            scores.insert(name.to_owned(), json!(score));
            let better = best.is_none_or(|(most, first)| (*score, first) > (most, name));
            if better {
                best = Some((*score, name));
            }
        } else {
            let reason = usize::try_from(-1 - *score).ok().and_then(|at| placement.reasons.get(at));
            excluded.insert(name.to_owned(), json!(reason));
        }
    }
    json!({"scores": scores, "excluded": excluded, "best": best.map(|(_, name)| name)})
}

//! ValidatingAdmissionPolicies' status: what can be said of the types in a policy's expressions, once it is known which
//! kinds it is about.
//!
//! When a policy is written nothing is known of its objects, so that a misspelt field is found only by the first request.
//! Here the expressions are checked against the published types of the kinds that the policy names (not those that it
//! means by a wildcard), and what is wrong becomes warnings in the status. They change nothing of what the policy does.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use portcullis_cel::Program;
use portcullis_cel::admission::Names;
use portcullis_cel::types::openapi;
use portcullis_client::{Client, ClientError, Informer, ListParams, ObjectExt, Resource, WorkQueue, run_workers};
use portcullis_machinery::Value;
use portcullis_machinery::definition::{Registry, ResourceDefinition, RuntimeConfig, custom, split_api_version};
use portcullis_machinery::object;
use serde_json::json;

use crate::common::Context;

const POLICIES: Resource = Resource::fixed(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    false,
);
const DEFINITIONS: Resource =
    Resource::fixed("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false);
/// How many kinds of a rule are checked at most.
const MOST_KINDS: usize = 10;

static BUILTIN: LazyLock<Registry> = LazyLock::new(|| Registry::builtin(&RuntimeConfig::default()));

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("validatingadmissionpolicy-status-controller");
    let queue: WorkQueue<String> = WorkQueue::new();
    let policies = Informer::builder(&client, &POLICIES).start(context.shutdown.clone());
    policies.synced().await;
    let add = queue.clone();
    policies.on_event(move |event| add.add(event.object().key()));
    run_workers("validatingadmissionpolicystatus", queue, 1, context.shutdown, move |key| {
        let (client, policies) = (client.clone(), policies.clone());
        async move {
            let Some(policy) = policies.get_key(&key) else { return Ok(()) };
            let observed = object::i64_at(&policy, &["status", "observedGeneration"]).unwrap_or(0);
            if object::generation(&policy) <= observed {
                return Ok(());
            }
            let registry = registry(&client).await?;
            let mut checked = (*policy).clone();
            object::set_at(&mut checked, &["status", "observedGeneration"], object::generation(&policy));
            object::set_at(&mut checked, &["status", "typeChecking"], type_checking(&registry, &policy));
            client.update_status(&POLICIES, &checked).await.map(drop)
        }
    })
    .await;
}

/// The kinds that are served.
async fn registry(client: &Client) -> Result<Registry, ClientError> {
    let definitions = client.list_all(&DEFINITIONS, "", &ListParams::default()).await?;
    Ok(BUILTIN.with_custom(definitions.items.iter().flat_map(custom::definitions).collect()))
}

/// `status.typeChecking`.
fn type_checking(registry: &Registry, policy: &Value) -> Value {
    let kinds = kinds(registry, policy);
    let params = object::get_at(policy, &["spec", "paramKind"]).map(|kind| {
        let (group, version) = split_api_version(kind.str_at(&["apiVersion"]));
        registry.kind(group, version, kind.str_at(&["kind"]))
    });
    let mut warnings = Vec::new();
    for (index, validation) in policy.list_at(&["spec", "validations"]).iter().enumerate() {
        for field in ["expression", "messageExpression"] {
            let text = validation.str_at(&[field]);
            let found: Vec<String> = kinds
                .iter()
                .filter(|_| !text.is_empty())
                .filter_map(|kind| {
                    let error = check(policy, text, kind, params.map(|kind| kind.map(|kind| &**kind)))?;
                    let ResourceDefinition { group, version, kind, .. } = &**kind;
                    Some(format!("{group}/{version}, Kind={kind}: {error}\n"))
                })
                .collect();
            if !found.is_empty() {
                let place = format!("spec.validations[{index}].{field}");
                warnings.push(json!({"fieldRef": place, "warning": found.join("\n")}));
            }
        }
    }
    if warnings.is_empty() { json!({}) } else { json!({"expressionWarnings": warnings}) }
}

/// What is wrong with an expression for objects of a kind. `params` is the kind of the parameters, if the policy has any
/// and it is served.
fn check(
    policy: &Value,
    expression: &str,
    kind: &ResourceDefinition,
    params: Option<Option<&ResourceDefinition>>,
) -> Option<String> {
    let type_of = |definition: &ResourceDefinition| openapi::of_kind(&definition.schema, &definition.kind);
    let mut names = Names::untyped(params.is_some());
    names.object = type_of(kind);
    if let Some(Some(params)) = params {
        names.params = Some(type_of(params));
    }
    names.composed = Some(Vec::new());
    for variable in policy.list_at(&["spec", "variables"]) {
        // A variable that is wrong is told where it is used.
        let _ = names.compose(variable.str_at(&["name"]), variable.str_at(&["expression"]));
    }
    Program::compile(expression, &names.variables(true)).err()
}

/// The kinds that a policy's rules name, sorted.
fn kinds(registry: &Registry, policy: &Value) -> Vec<Arc<ResourceDefinition>> {
    let mut found = BTreeSet::new();
    for rule in policy.list_at(&["spec", "matchConstraints", "resourceRules"]) {
        let texts = |key: &str| -> Vec<&str> {
            let mut texts: Vec<&str> = rule.list_at(&[key]).iter().filter_map(Value::as_str).collect();
            texts.sort_unstable();
            texts
        };
        let (groups, versions) = (texts("apiGroups"), texts("apiVersions"));
        if groups.iter().chain(&versions).any(|word| word.contains('*')) {
            continue;
        }
        let resources = texts("resources");
        let plain = || resources.iter().filter(|resource| !resource.contains(['*', '/']));
        let named = groups
            .iter()
            .flat_map(|group| versions.iter().map(move |version| (group, version)))
            .flat_map(|(group, version)| plain().filter_map(move |plural| registry.resource(group, version, plural)));
        for definition in named.take(MOST_KINDS) {
            found.insert((definition.group.clone(), definition.version.clone(), definition.kind.clone()));
        }
    }
    found.iter().filter_map(|(group, version, kind)| registry.kind(group, version, kind).cloned()).collect()
}

#[cfg(test)]
mod tests;
